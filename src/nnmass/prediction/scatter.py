"""How far networks lie from a line, where that may grow or fall along it."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, stdtr, stdtrit

FloatArray = npt.NDArray[np.float64]

_SPREAD = 2.5
_STEEPEST = 5.0
_GRID = 31
_REFINED = 3
_FARTHEST = 0.75
_BLOCK = 4_096
_STEPS = 200
_CLOSE = 1e-12
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Scatter:
    """Scatter around a least-squares line, whose logarithm is linear in the line's variable.

    At position u, the share of the fitted range that lies between its middle and x, a network's outcome is
    N(line, σ² h e^{2gu}): e^g is how many times larger the scatter is at the upper end than at the lower, and h says
    how much noisier than the average network's its outcome is known to be.  Few networks cannot tell g, so that it is
    averaged over: its prior is N(0, 2.5²), up to a ratio of e⁵ = 148, its posterior that prior times the likelihood
    with the line and σ integrated out (the restricted likelihood of Harville, Biometrika 61, 1974).  Intervals are
    those of the mixture of Student's t with n-2 degrees of freedom, around the unweighted line; beyond three quarters
    of the range from its middle the scatter stays as it is there.

    Attributes:
        middle: of the fitted range of x.
        extent: of that range.
        freedom: degrees of freedom.
        tilts: values of g.
        weights: their posterior, which sums to 1.
        variances: σ² given each.
        covariances: of the line's height and slope at the middle, per σ², given each: (height, both, slope).
    """

    middle: float
    extent: float
    freedom: int
    tilts: tuple[float, ...]
    weights: tuple[float, ...]
    variances: tuple[float, ...]
    covariances: tuple[tuple[float, float, float], ...]

    @classmethod
    def around_line(cls, x: FloatArray, y: FloatArray, noise: FloatArray) -> Self:
        """Measure the scatter of points around their least-squares line.

        Args:
            x: (n,) at least three, not all equal.
            y: (n,) outcomes.
            noise: (n,) what of each outcome's variance is known, as that of a mean over seeds.
        """
        middle, extent = float(x.min() + x.max()) / 2, float(np.ptp(x))
        design = np.stack([np.ones_like(x), (x - middle) / extent], 1)
        tilts, posterior, variances, squares = _posterior(design, y, _shares(design, y, noise))
        inverse = np.linalg.inv(design.T @ design)
        line = inverse @ np.einsum("kn,ni,nj->kij", variances, design, design) @ inverse
        return cls(
            middle=middle,
            extent=extent,
            freedom=len(x) - 2,
            tilts=tuple(tilts.tolist()),
            weights=tuple(posterior.tolist()),
            variances=tuple((squares / (len(x) - 2)).tolist()),
            covariances=tuple((float(c[0, 0]), float(c[0, 1]), float(c[1, 1])) for c in line),
        )

    @property
    def absent(self) -> bool:
        """Whether all points lie on the line."""
        return not any(self.variances)

    @property
    def ratio(self) -> float:
        """How many times larger the scatter is at the upper end than at the lower; the posterior's geometric mean."""
        return math.exp(float(np.dot(self.weights, self.tilts)))

    def position(self, x: FloatArray) -> FloatArray:
        """How far from the middle of the fitted range, as a share of its extent."""
        return (x - self.middle) / self.extent

    def half_widths(self, x: FloatArray, level: float) -> FloatArray:
        """Half the width of the interval around the line that holds a new network with probability ``level``."""
        flat = x.ravel()
        parts = [self._half(flat[k : k + _BLOCK], level) for k in range(0, len(flat), _BLOCK)]
        return np.concatenate(parts).reshape(x.shape) if parts else np.zeros(x.shape)

    def _half(self, x: FloatArray, level: float) -> FloatArray:
        u = self.position(x)
        tilts, weights, variances = (np.array(v)[:, None] for v in (self.tilts, self.weights, self.variances))
        height, both, slope = np.array(self.covariances).T[:, :, None]
        own = np.exp(2 * tilts * np.clip(u, -_FARTHEST, _FARTHEST))
        spread = np.sqrt(variances * (own + height + 2 * u * both + u**2 * slope))
        return mixture_quantile(spread, weights, self.freedom, level)


def mixture_quantile(spread: FloatArray, weights: FloatArray, freedom: int, level: float) -> FloatArray:
    """Half the width of the central interval of a mixture of Student's t around one centre.

    The probability outside, as a function of the half width, is convex and falls: Newton's steps from the left, where
    one part alone has as much outside, reach its root without ever passing it.

    Args:
        spread: (k, m) scale of each part.
        weights: (k, 1) share of each part, with sum 1.
        freedom: degrees of freedom.
        level: probability within.
    """
    outside = 1 - level
    alone = -stdtrit(freedom, np.minimum(outside / (2 * np.maximum(weights, outside)), 0.5))
    half: FloatArray = (spread * alone).max(0) + 0.0
    here = spread.max(0) > 0  # no scatter: no width
    spread, found = spread[:, here], half[here]
    scale = math.exp(gammaln((freedom + 1) / 2) - gammaln(freedom / 2)) / math.sqrt(freedom * math.pi)
    for _ in range(_STEPS):
        t = found / spread
        excess = (weights * 2 * stdtr(freedom, -t)).sum(0) - outside
        density = (weights * 2 * scale * (1 + t**2 / freedom) ** (-(freedom + 1) / 2) / spread).sum(0)
        step = excess / density
        found = found + step
        if (np.abs(step) <= _CLOSE * found).all():
            break
    half[here] = found
    return half


def curvature(x: FloatArray, y: FloatArray, noise: FloatArray) -> float | None:
    """Probability of a square term as large as that of the points, if they do lie around a line.

    Student's t of the square term, weighted by the scatter, and averaged over what the scatter around the parabola may
    be.

    Args:
        x: (n,) as in `Scatter.around_line`.
        y: (n,) outcomes.
        noise: (n,) likewise.

    Returns:
        The probability; None for fewer than five points or three different values, or for points on a line.
    """
    u = (x - (x.min() + x.max()) / 2) / np.ptp(x)
    design = np.stack([np.ones_like(u), u, u**2], 1)
    if len(x) < 5 or len(np.unique(u.round(9))) < 3 or _on_a_line(design[:, :2], y):
        return None
    _, posterior, variances, squares = _posterior(design, y, _shares(design, y, noise))
    free = len(x) - 3
    if not squares.any():
        return 0.0
    normal = np.einsum("kn,ni,nj->kij", 1 / variances, design, design)
    term = np.linalg.solve(normal, np.einsum("kn,ni,n->ki", 1 / variances, design, y)[..., None])[:, 2, 0]
    error = np.sqrt(squares / free * np.linalg.inv(normal)[:, 2, 2])
    return float(posterior @ (2 * stdtr(free, -np.abs(term) / error)))


def bend(x: FloatArray, y: FloatArray) -> tuple[float, float, float]:
    """By how much the least-squares parabola departs from the line: coefficients of 1, u and u², see `Scatter`."""
    u = (x - (x.min() + x.max()) / 2) / np.ptp(x)
    design = np.stack([np.ones_like(u), u, u**2], 1)
    constant, linear, square = np.linalg.lstsq(design, _residuals(design[:, :2], y))[0].tolist()
    return constant, linear, square


def _posterior(
    design: FloatArray, y: FloatArray, shares: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Tilts, their probabilities, and given each the relative variances of all outcomes and their sum of squares."""
    centre, width = 0.0, _SPREAD
    for _ in range(_REFINED):  # many networks leave a narrow posterior, which a grid of the prior's width misses
        ends = np.clip([centre - 5 * width, centre + 5 * width], -_STEEPEST, _STEEPEST)
        tilts = np.linspace(float(ends[0]), float(ends[1]), _GRID)
        variances: FloatArray = np.exp(2 * np.outer(tilts, design[:, 1])) * shares
        evidence, squares = _restricted(design, y, variances)
        evidence -= (tilts / _SPREAD) ** 2 / 2
        posterior = np.exp(evidence - evidence.max())
        posterior /= posterior.sum()
        centre = float(posterior @ tilts)
        width = math.sqrt(float(posterior @ (tilts - centre) ** 2) + np.diff(tilts)[0] ** 2 / 12)
    return tilts, posterior, variances, squares


def _shares(design: FloatArray, y: FloatArray, noise: FloatArray) -> FloatArray:
    """Variance of each outcome, relative to their mean: what the noise does not explain is the same for all."""
    if np.ptp(noise) <= 1e-12 * noise.max():
        return np.ones_like(y)
    free = len(y) - design.shape[1]
    unexplained = max(float((_residuals(design, y) ** 2).sum()) / free - float(noise.mean()), 0.0)
    variances = unexplained + noise
    shares: FloatArray = variances / variances.mean()
    return shares


def _restricted(design: FloatArray, y: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Restricted log likelihood and weighted sum of squares for each row of relative variances."""
    precision = 1 / variances
    normal = np.einsum("kn,ni,nj->kij", precision, design, design)
    right = np.einsum("kn,ni,n->ki", precision, design, y)
    line = np.linalg.solve(normal, right[..., None])[..., 0]
    squares = (precision * (y - line @ design.T) ** 2).sum(1)
    if _on_a_line(design, y):
        squares[:] = 0.0  # what is left is rounding, and tells nothing
    logs = np.log(squares, out=np.zeros_like(squares), where=squares > 0)
    return -(np.log(variances).sum(1) + np.linalg.slogdet(normal)[1] + (len(y) - design.shape[1]) * logs) / 2, squares


def _on_a_line(design: FloatArray, y: FloatArray) -> bool:
    return bool((_residuals(design, y) ** 2).mean() <= (_ROUNDING * np.abs(y).max()) ** 2)


def _residuals(design: FloatArray, y: FloatArray) -> FloatArray:
    residuals: FloatArray = y - design @ np.linalg.lstsq(design, y)[0]
    return residuals
