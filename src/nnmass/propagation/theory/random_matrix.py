"""Singular values of random matrices: Gaussian ones, and parts of orthogonal ones.

`mean_singular_value` is the f(H, W) of the theory; `mean_masked_orthogonal` its counterpart for orthogonal weights.
Laws of large matrices: Marchenko and Pastur, Math. USSR Sb. 1 (1967) 457; Wachter, Ann. Statist. 8 (1980) 937.
"""

import math
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from nnmass.errors import InvalidValueError
from nnmass.propagation.theory.finite_size import complex_sum, real_sum

FloatArray: TypeAlias = npt.NDArray[np.float64]
Symmetry: TypeAlias = Literal["real", "complex"]

EXACT_UP_TO = 64
"""Largest smaller side that is evaluated by the exact formulas."""
_EXACT_LARGER_SIDE = 4096  # beyond it the large-matrix law is within 1e-7, whatever the smaller side

_GAUSS, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_ANGLES: FloatArray = (_GAUSS + 1) * np.pi / 2
_ANGLE_WEIGHTS: FloatArray = _WEIGHTS / 2  # they average over 0 ... π


def mean_singular_value(
    rows: int, columns: float, *, symmetry: Symmetry = "real", excess_kurtosis: float = 0.0
) -> float:
    """Expected mean of the min(rows, columns) singular values of a matrix of independent entries of mean square 1.

    Write n, N for the smaller and larger side, y = n/N and a, b = (1 ∓ √y)².  The sum of the singular values, in units
    of √N, is  n ∫ √x dμ(x) + (√a + √b)/4 - ½ E[√x] + (κ/2) c₂, where

    - μ is the Marchenko-Pastur law on (a, b);
    - the next two terms, E over the arcsine law on (a, b), are the edge correction of real entries; it is zero for
      complex ones;
    - κ is the entries' excess kurtosis and c₂ the coefficient of cos 2θ in the cosine series of √x,
      x = 1 + y + 2√y cos θ; zero for normal entries (Lytova, Pastur, Ann. Probab. 37 (2009) 1778).

    The first three are replaced by exact values (`finite_size`) for n <= 64 and N <= 4096; the tests hold what they
    miss beyond.  The fourth is asymptotic always.

    Args:
        rows: H >= 1.
        columns: W > 0, real: an effective width.  A smaller side that is no whole number takes the large-matrix law,
            plus what that law misses at the whole numbers on either side, interpolated.
        symmetry: ``"real"`` entries, or ``"complex"`` ones as a random circular convolution has at each frequency.
        excess_kurtosis: κ; -1.2 for uniform entries; for complex z, (E|z|⁴ - 2 - |E z²|²) / (E|z|²)².

    Returns:
        f(H, W); multiply by the entries' standard deviation.

    Raises:
        InvalidValueError: a side is out of range, or the symmetry unknown.

    Examples:
        >>> round(mean_singular_value(1, 2), 6)  # E of a chi variable: √(π/2)
        1.253314
        >>> round(mean_singular_value(8, 16), 6)
        3.700023
    """
    _check_sides(rows, columns)
    _check_symmetry(symmetry)
    return _gaussian_sum(rows, float(columns), symmetry, excess_kurtosis) / min(rows, columns)


def singular_value_density(
    values: npt.ArrayLike, rows: int, columns: float, *, count: float | None = None
) -> FloatArray:
    """Density of the singular values of a large rows × columns matrix of independent entries of mean square 1.

    With n, N the smaller and larger side it is √((s₊² - s²)(s² - s₋²)) / (π n s) between s∓ = √N ∓ √n, the
    Marchenko-Pastur law in s, and 0 elsewhere; times n / ``count``.

    Args:
        values: s, of any shape.
        rows: H >= 1.
        columns: W > 0, real: an effective width.
        count: singular values that the density is shared by; ``rows`` if not given.  Of an effective width below
            ``rows`` the rest is a point mass at 0, which is left out: the result integrates to columns / rows.

    Returns:
        Density, in the shape of ``values``; for scaled entries use values / std, and divide the result by std.

    Raises:
        InvalidValueError: a side or ``count`` is out of range.

    Examples:
        >>> singular_value_density([0.0, 1.0, 2.5], 1, 1).round(6).tolist()  # the quarter circle √(4 - s²) / π
        [0.63662, 0.551329, 0.0]
    """
    _check_sides(rows, columns)
    count = max(rows, min(rows, columns)) if count is None else count
    if not count > 0:
        raise InvalidValueError(f"count must be positive, got {count!r}")
    s = np.asarray(values, dtype=np.float64)
    small, large = min(rows, columns), max(rows, columns)
    low, high = math.sqrt(large) - math.sqrt(small), math.sqrt(large) + math.sqrt(small)
    if low == 0:  # a square matrix: s cancels, and its density at 0 is finite
        return np.where(s >= 0, np.sqrt(np.maximum(high**2 - s**2, 0)), 0.0) / (np.pi * count)
    inside = (s > low) & (s < high)
    x = np.where(inside, s, high)
    density: FloatArray = np.sqrt((high**2 - x**2) * (x**2 - low**2)) / (np.pi * count * x)
    return density


def mean_masked_orthogonal(rows: int, columns: float, kept: float, *, symmetry: Symmetry = "real") -> float:
    """Expected mean singular value of an orthogonal matrix of which only some columns are kept.

    The matrix is uniformly random with orthonormal rows, or with orthonormal columns where rows >= columns.  Then the
    kept columns are orthonormal too: ``kept`` singular values are 1.  Else, with h = rows / columns and
    k = kept / columns, their squares x follow the law of a product of two free projections (Wachter's),
    √((x₊ - x)(x - x₋)) / (2π x (1 - x)) per column between x± = (√(h(1-k)) ± √(k(1-h)))², besides
    max(rows + kept - columns, 0) values of exactly 1.  Real matrices have the edge term of `mean_singular_value`.

    It is a law of large matrices, and least exact where rows ≈ kept; the tests hold it against simulation.

    Args:
        rows: H >= 1.
        columns: W > 0.
        kept: columns that are kept, 0 <= kept <= W, real.
        symmetry: as in `mean_singular_value`.

    Returns:
        Mean over the min(rows, columns) singular values, zeros included.

    Raises:
        InvalidValueError: a side, or ``kept``, is out of range.

    Examples:
        >>> mean_masked_orthogonal(8, 8, 4), mean_masked_orthogonal(8, 16, 16)
        (0.5, 1.0)
    """
    low, high = _projection_edges(rows, columns, kept)
    _check_symmetry(symmetry)
    if rows >= columns:
        return kept / columns
    return _projection_sum(rows, columns, kept, low, high, symmetry) / rows


@lru_cache(maxsize=65536)
def _gaussian_sum(rows: int, columns: float, symmetry: Symmetry, excess_kurtosis: float) -> float:
    """Sum of the singular values, exact where it can be."""
    small, large = min(rows, columns), max(rows, columns)
    total = large_sum(small, large, symmetry)
    if small <= EXACT_UP_TO and large <= _EXACT_LARGER_SIDE:
        below = math.floor(small)
        share = small - below
        total += (1 - share) * _missed(below, large, symmetry) + share * _missed(math.ceil(small), large, symmetry)
    if excess_kurtosis:
        _, root = _spectrum(small / large)
        total += excess_kurtosis * math.sqrt(large) * float(root * np.cos(2 * _ANGLES) @ _ANGLE_WEIGHTS)
    return total


def _missed(small: int, large: float, symmetry: Symmetry) -> float:
    """What the large-matrix law misses at a whole number."""
    if small == 0:
        return 0.0
    exact = real_sum if symmetry == "real" else complex_sum
    return exact(small, large) - large_sum(small, large, symmetry)


def large_sum(small: float, large: float, symmetry: Symmetry) -> float:
    """Sum of the singular values by the Marchenko-Pastur law and its edge term."""
    ratio = small / large
    _, root = _spectrum(ratio)
    total = small * 2 * float(np.sin(_ANGLES) ** 2 / root @ _ANGLE_WEIGHTS)
    if symmetry == "real":
        total += 0.5 - 0.5 * float(root @ _ANGLE_WEIGHTS)  # √a + √b = 2
    return math.sqrt(large) * total


def _spectrum(ratio: float) -> tuple[FloatArray, FloatArray]:
    """Give x = 1 + y + 2√y cos θ and its root at the quadrature angles, without cancellation where x is near 0."""
    x = (1 - math.sqrt(ratio)) ** 2 + 4 * math.sqrt(ratio) * np.cos(_ANGLES / 2) ** 2
    return x, np.sqrt(x)


def _projection_edges(rows: int, columns: float, kept: float) -> tuple[float, float]:
    """x₋ and x₊; equal where there is no continuous part."""
    _check_sides(rows, columns)
    if not 0 <= kept <= columns:
        raise InvalidValueError(f"kept must be in 0 ... {columns} (columns), got {kept!r}")
    if rows >= columns or kept in {0, columns}:
        return 1.0, 1.0
    h, k = rows / columns, kept / columns
    outer, inner = math.sqrt(h * (1 - k)), math.sqrt(k * (1 - h))
    return (outer - inner) ** 2, min((outer + inner) ** 2, 1.0)


def _projection_sum(rows: int, columns: float, kept: float, low: float, high: float, symmetry: Symmetry) -> float:
    ones = max(rows + kept - columns, 0.0)
    if high == low:  # all columns are kept, or none
        return ones
    x = low + (high - low) * np.cos(_ANGLES / 2) ** 2
    rest = (1 - high) + (high - low) * np.sin(_ANGLES / 2) ** 2  # 1 - x
    radius = (high - low) / 2
    total = columns * float((radius * np.sin(_ANGLES)) ** 2 / (2 * np.sqrt(x) * rest) @ _ANGLE_WEIGHTS) + ones
    if symmetry == "real":
        total += (math.sqrt(low) + math.sqrt(high)) / 4 - 0.5 * float(np.sqrt(x) @ _ANGLE_WEIGHTS)
    return min(total, float(min(rows, kept)))


def _check_sides(rows: int, columns: float) -> None:
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
        raise InvalidValueError(f"rows must be a whole number of at least 1, got {rows!r}")
    if not 0 < columns < math.inf:
        raise InvalidValueError(f"columns must be positive and finite, got {columns!r}")


def _check_symmetry(symmetry: str) -> None:
    if symmetry not in get_args(Symmetry):
        raise InvalidValueError(f'symmetry must be "real" or "complex", got {symmetry!r}')
