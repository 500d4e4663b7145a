"""Expected sum of the singular values of small Gaussian matrices, exactly.

With n rows and real N >= n columns the joint density of the singular values s is, for real entries, proportional to
∏_{i<j} |s_i² - s_j²| ∏ s_i^{N-n} exp(-s_i²/2), and for complex ones to the square of the first product times
∏ s_i^{2(N-n)+1} exp(-s_i²).  Both make sense, and are used, for real N.
"""

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import linalg, special

FloatArray: TypeAlias = npt.NDArray[np.float64]

_ORDER = 24  # Gauss points per panel
_MARGIN = 8.0  # standard deviations beyond the edges of the spectrum; the density is below 1e-14 there
_PANEL = 2.5  # widest panel; functions of order 64 are resolved to rounding


def real_sum(n: int, N: float) -> float:
    """Expected sum of the n singular values of an n × N matrix of independent N(0, 1) entries.

    By de Bruijn's integration formula the normalisation is a Pfaffian, so that E Σ s_i = ½ tr(A⁻¹ A') with the
    antisymmetric A_jk = ∬ sgn(t-s) f_j(s) f_k(t) ds dt and A' its derivative under f → (1 + εs) f; for odd n both
    are bordered by the single integrals.  The f_k are the Laguerre functions that are orthonormal on s > 0,
    f_k(s) ∝ L_k^{(N-n-1/2)}(s²) s^{N-n} exp(-s²/2), so that A stays well-conditioned (below 100 for n <= 64).

    Source: N. G. de Bruijn, J. Indian Math. Soc. 19 (1955) 133-151.

    Args:
        n: rows, >= 1.
        N: columns, >= n, real.

    Returns:
        The sum; relative error about 1e-13 for n <= 64, measured against twice the order and against n = 1.

    Examples:
        >>> round(real_sum(1, 1.0), 9)  # √(2/π)
        0.797884561
    """
    s, weights, half = _panels(n, N)
    f = _laguerre_functions(n, N - n, s)
    below, total = _running_integrals(f, half)
    sign_integrals = 2 * below - total[:, None]  # ∫ sgn(t-s) f_j(s) ds at every t
    A = (sign_integrals * weights) @ f.T
    B = -(f * s * weights) @ sign_integrals.T  # A' = B - Bᵀ
    if n % 2:
        A = np.block([[A, total[:, None]], [-total[None], np.zeros((1, 1))]])
        B = np.block([[B, ((f * s) @ weights)[:, None]], [np.zeros((1, n + 1))]])
    return float(np.trace(linalg.solve(A, B)))


def complex_sum(n: int, N: float) -> float:
    """Expected sum of the n singular values of an n × N complex Gaussian matrix with entries of mean square 1.

    The density of x = s² is Σ_{k<n} p_k(x)² x^α e^{-x} with the Laguerre polynomials of α = N - n; against √x it is a
    polynomial times x^{α+1/2} e^{-x}, which Gauss's rule of n nodes integrates exactly.

    Examples:
        >>> round(complex_sum(1, 1), 9)  # Γ(3/2) = √π/2
        0.886226925
    """
    k, a = np.arange(n), N - n + 0.5
    jacobi = np.diag(2 * k + 1 + a) + np.diag(np.sqrt(k[1:] * (k[1:] + a)), 1)
    nodes: FloatArray = np.linalg.eigvalsh(jacobi, UPLO="U")
    # a Gauss weight is the inverse of Σ q_k² over the rule's own polynomials: a ratio of sums that cannot underflow
    ratio = (_polynomials(n, a - 0.5, nodes) ** 2).sum(0) / (_polynomials(n, a, nodes) ** 2).sum(0)
    return float(np.exp(special.gammaln(a + 1) - special.gammaln(a + 0.5)) * ratio.sum())


def _panels(n: int, N: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give Gauss-Legendre nodes and weights on panels that hold the spectrum, and the panels' half-widths."""
    low, high = max(0.0, N**0.5 - n**0.5 - _MARGIN), N**0.5 + n**0.5 + _MARGIN
    edges = np.linspace(low, high, int(np.ceil((high - low) / _PANEL + n / 4)) + 1)
    if low == 0:  # s^{N-n} is not smooth at 0: refine geometrically towards it
        edges = np.concatenate([[0.0], edges[1] * 0.15 ** np.arange(8, 0, -1), edges[1:]])
    x, w, _ = _rule()
    half = np.diff(edges) / 2
    nodes = (edges[:-1] + half)[:, None] + half[:, None] * x
    return nodes.ravel(), (half[:, None] * w).ravel(), half


def _laguerre_functions(n: int, power: float, s: FloatArray) -> FloatArray:
    """Laguerre functions in s², orthonormal on s > 0: shape (n, points)."""
    log_first = 0.5 * (np.log(2) - special.gammaln(power + 0.5)) + power * np.log(s) - s**2 / 2
    functions: FloatArray = _polynomials(n, power - 0.5, s**2) * np.exp(log_first)
    return functions


def _polynomials(n: int, a: float, x: FloatArray) -> FloatArray:
    """Polynomials orthonormal under x^a e^{-x} / Γ(a+1), up to sign: shape (n, points)."""
    p = np.ones((n, x.size))
    for k in range(n - 1):
        before = np.sqrt(k * (k + a)) * p[k - 1] if k else 0.0
        p[k + 1] = ((x - (2 * k + 1 + a)) * p[k] - before) / np.sqrt((k + 1) * (k + 1 + a))
    return p


@lru_cache(maxsize=1)
def _rule() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give Gauss's nodes and weights, and the matrix from values at the nodes to integrals from -1 to each of them."""
    x, w = np.polynomial.legendre.leggauss(_ORDER)
    legendre = np.polynomial.legendre.legvander(x, _ORDER)
    degrees = np.arange(_ORDER)
    coefficients = legendre[:, :-1].T * w * (degrees + 0.5)[:, None]
    integrals = np.empty((_ORDER, _ORDER))
    integrals[:, 0] = x + 1
    integrals[:, 1:] = (legendre[:, 2:] - legendre[:, :-2]) / (2 * degrees[1:] + 1)
    return x, w, integrals @ coefficients


def _running_integrals(f: FloatArray, half: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Integral of each function up to every node, and over everything."""
    _, w, matrix = _rule()
    values = f.reshape(len(f), -1, _ORDER)
    of_panel = (values @ w) * half
    before = np.cumsum(of_panel, axis=1) - of_panel
    inside = (values @ matrix.T) * half[:, None]
    return (before[..., None] + inside).reshape(f.shape), of_panel.sum(1)
