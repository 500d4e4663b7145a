"""Larger blocks take no less time: measured latencies made to agree with that, as far as their bounds allow."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nnmass.errors import LatencyError
from nnmass.latency.blocks import Block, comparison
from nnmass.latency.times import Latency

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_LEAST_WIDTH = 1e-6  # of bounds, relatively: gives latencies that are known exactly a weight


class Smoothed(NamedTuple):
    """Latencies that grow with their blocks.

    Attributes:
        latencies: of every block.
        exceptions: pairs of a block and a larger one that takes less time, by more than their bounds allow: hardware
            likes some sizes better than others.  They stay as they were measured.
    """

    latencies: dict[Block, Latency]
    exceptions: tuple[tuple[Block, Block], ...]


def smoothed(measured: Mapping[Block, Latency]) -> Smoothed:
    """Make latencies grow with the sizes of their blocks.

    Of two blocks of one kind that differ in widths, expansion, groups of channels or side alone, the one that is at
    least as large in all of them takes no less time.  Noise breaks that order, and a solver would find every place
    where it does.  So bounds are tightened: no block takes less than the lower bound of a smaller one, none more than
    the upper bound of a larger one.  The estimates become the nearest ones within those bounds that keep the order: the
    sum of |change| / width of the bounds, of logarithms, is least.  Absolute changes, since one slow block should not
    slow all larger ones; a linear program, since the order is partial, where pooling of neighbours needs a line.

    Where the lower bound of a block exceeds the upper bound of a larger one, that is no noise.  Nothing that lies
    between the two in the order is compared then.

    Args:
        measured: of every block.
    """
    groups: dict[tuple[object, ...], list[tuple[tuple[int, ...], Block]]] = defaultdict(list)
    for block in measured:
        alike, sizes = comparison(block)
        groups[alike].append((sizes, block))
    found: dict[Block, Latency] = {}
    exceptions = []
    for group in groups.values():
        blocks = [block for _, block in group]
        times = np.array([measured[block] for block in blocks])
        smaller = _smaller(np.array([sizes for sizes, _ in group]))
        contrary = smaller & (times[:, None, 1] > times[None, :, 2])
        kept = smaller & ~_between(smaller, contrary)
        found |= dict(zip(blocks, _ordered(times, kept), strict=True))
        exceptions += [(blocks[a], blocks[b]) for a, b in np.argwhere(contrary)]
    return Smoothed({block: found[block] for block in measured}, tuple(exceptions))


def _smaller(sizes: npt.NDArray[np.int64]) -> BoolArray:
    """(n, n): whether the first is at most as large in everything, and not the same."""
    found = np.ones((len(sizes), len(sizes)), bool)
    for column in sizes.T:
        found &= column[:, None] <= column[None, :]
    np.fill_diagonal(found, False)
    return found


def _between(smaller: BoolArray, contrary: BoolArray) -> BoolArray:
    """Pairs that lie between the two of a contrary pair, these included: a chain of them would bring it back."""
    if not contrary.any():
        return contrary
    reaches = (smaller | np.eye(len(smaller), dtype=bool)).astype(np.float32)
    found: BoolArray = reaches.T @ contrary.astype(np.float32) @ reaches.T > 0
    return found


def _ordered(times: FloatArray, smaller: BoolArray) -> list[Latency]:
    """Latencies, (n, 3), that keep an order which their bounds allow; the order is transitive."""
    estimate, low, high = times.T
    low = np.maximum(low, np.where(smaller, low[:, None], 0).max(0, initial=0))
    high = np.minimum(high, np.where(smaller, high[None, :], np.inf).min(1, initial=np.inf))
    estimate = np.clip(estimate, low, high)
    if (smaller & (estimate[:, None] > estimate[None, :])).any():
        estimate = np.clip(np.exp(_nearest(np.log(times), np.log(low), np.log(high), smaller)), low, high)
        estimate = np.maximum(estimate, np.where(smaller, estimate[:, None], 0).max(0))  # what the program rounds
    return [Latency(*map(float, row)) for row in np.column_stack([estimate, low, high])]


def _nearest(times: FloatArray, low: FloatArray, high: FloatArray, smaller: BoolArray) -> FloatArray:
    """The nearest values to the estimates that lie within bounds and keep the order: by the least absolute change.

    Unknown are the values and the absolute changes: value(a) ≤ value(b), value - estimate ≤ change, estimate - value ≤
    change.
    """
    from scipy.optimize import linprog
    from scipy.sparse import block_array, coo_array, eye_array

    count, reach = len(times), smaller.astype(np.float32)
    first, second = np.nonzero(smaller & ~(reach @ reach > 0))  # what does not follow from the others
    row = np.arange(len(first))
    entries = np.concatenate([np.ones(len(row)), -np.ones(len(row))])
    places = np.concatenate([row, row]), np.concatenate([first, second])
    order = coo_array((entries, places), shape=(len(row), count))
    one = eye_array(count)
    matrix: Any = block_array([[order, coo_array((len(row), count))], [one, -one], [-one, -one]], format="csr")
    right = np.concatenate([np.zeros(len(row)), times[:, 0], -times[:, 0]])
    weights = 1 / np.maximum(times[:, 2] - times[:, 1], _LEAST_WIDTH)
    costs = np.concatenate([np.zeros(count), weights / weights.max()])
    bounds: Any = np.concatenate([np.column_stack([low, high]), np.tile([0, np.inf], (count, 1))])
    solved = linprog(costs, A_ub=matrix, b_ub=right, bounds=bounds)
    if solved.x is None:
        raise LatencyError(f"latencies of {count} blocks could not be put in order: {solved.message}")
    values: FloatArray = solved.x[:count]
    return values
