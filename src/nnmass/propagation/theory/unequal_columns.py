"""Sums of the singular values of large random matrices W·diag(g) with unequal columns.

Both laws come from √x = (1/π) ∫ x / (x + t) dt/√t: with r(t) = E tr (JJᵀ + t)⁻¹ the sum is (1/π) ∫ (H - t r(t)) dt/√t.
"""

import numpy as np

from nnmass.propagation.theory.columns import Columns, FloatArray
from nnmass.propagation.theory.random_matrix import Symmetry

_GAUSS, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_ANGLES: FloatArray = (_GAUSS + 1) * np.pi / 4
_T: FloatArray = np.tan(_ANGLES) ** 2
_MEASURE: FloatArray = _WEIGHTS / np.cos(_ANGLES) ** 2 / 2  # (1/π) ∫ f(t) dt/√t = Σ f(_T) · _MEASURE
_MOST_STEPS = 100


def gaussian_sum(rows: int, columns: Columns) -> FloatArray:
    """Sum of the singular values of a large G·diag(g), G of ``rows`` rows and independent entries of mean square 1.

    r(t) tends to the root of t r + Σ g² r / (1 + g² r) = H.  The left side is increasing and concave in r, so that
    Newton's method climbs to the root from any value below it, as H / (t + Σg²) is.

    Source: J. W. Silverstein, Z. D. Bai, J. Multivariate Anal. 54 (1995) 175-192.  With equal g it is the
    Marchenko-Pastur law.

    Args:
        rows: H.
        columns: their scales.

    Returns:
        One sum per sample.

    Examples:
        >>> gaussian_sum(8, Columns.plain(8)).round(4).tolist()  # 8 √8 · 8 / (3π)
        [19.2067]
    """
    total = columns.power_sum(1)
    g2 = _relative(columns.squares, total)
    r = rows / (_T + g2 @ columns.times)
    for _ in range(_MOST_STEPS):
        shrunk = g2 / (1 + g2 * r[..., None])
        excess = r * (_T + shrunk @ columns.times) - rows
        slope = _T + (shrunk / (1 + g2 * r[..., None])) @ columns.times
        r = r - excess / slope
        if np.abs(excess).max() < 1e-9 * rows:
            break
    sums: FloatArray = np.sqrt(total) * ((rows - _T * r) @ _MEASURE)
    return sums


def orthogonal_sum(rows: int, columns: Columns, total: int, symmetry: Symmetry) -> FloatArray:
    """Sum of the singular values of Q·diag(g), Q uniformly random with orthonormal rows.

    JJᵀ is a compression of diag(g²), which is free from Q.  With m(u) = (1/W) Σ 1 / (g² + u) over all W columns, those
    that are off included, r(t) tends to W m(u), where u is the root of t = u - (1 - H/W) / m(u) (Nica and Speicher).
    The right side is convex and increasing in u, so that Newton's method descends to the root from any value above it.

    At finite size r of a real matrix differs from this by ½ d/dt log dt/du, the sum by (1/4π) ∫ log(W/H dt/du) dt/√t;
    what is left falls with the square of the size.  Where each g is 0 or 1 this is the edge term of
    `mean_masked_orthogonal`.

    Source: A. Nica, R. Speicher, Amer. J. Math. 118 (1996) 799-837, for the law.

    Args:
        rows: H, fewer than W.
        columns: their scales; at most W are on.
        total: W.
        symmetry: ``"real"`` or ``"complex"``; only a real matrix has the second term.

    Returns:
        One sum per sample.

    Examples:
        >>> orthogonal_sum(8, Columns.expected(16, 4.0, 16), 16, "real").round(9).tolist()  # all scales are 2
        [16.0]
    """
    mean, ratio = columns.power_sum(1) / total, rows / total
    g2, off = _relative(columns.squares, mean), total - float(columns.times.sum())
    u = np.tile((_T + 1 - ratio) / ratio, (len(g2), 1))  # above the root: 1 / m <= u + the mean of g²
    for _ in range(_MOST_STEPS):
        near = 1 / (g2 + u[..., None])
        m, m2 = ((near**k @ columns.times + off / u**k) / total for k in (1, 2))
        slope = 1 - (1 - ratio) * m2 / m**2
        step = (u - (1 - ratio) / m - _T) / slope
        u = u - step
        if (np.abs(step) < 1e-9 * u).all():
            break
    values = rows - _T * total * m
    if symmetry == "real":
        values = values + np.log(slope / ratio) / 4
    sums: FloatArray = np.sqrt(mean) * (values @ _MEASURE)
    return sums


def _relative(squares: FloatArray, unit: FloatArray) -> FloatArray:
    """Give g² in each sample's own unit, with room for an axis of nodes: (samples, 1, kinds)."""
    return (squares / np.where(unit > 0, unit, 1.0)[:, None])[:, None, :]
