"""Points that no other point is better than."""

import numpy as np

from nnmass.designing.problem import BoolArray, FloatArray, IntArray

_JUDGES = (16, 256)
_COMPARISONS = 30_000_000
"""With several limits, every point is held against few others; an exact front costs more than it saves."""
_ROUND = 16


def undominated(gain: FloatArray, use: FloatArray, score: FloatArray | None = None) -> BoolArray:
    """Mark the points that no other has at least the gain of for at most the use of everything; of equal points one.

    With at most one limit exactly those; with more, some dominated ones may stay.

    Args:
        gain: (n,) more is better.
        use: (n, limits) less is better.
        score: (n,) with several limits: points are held against those of the largest score; by default the gain.

    Examples:
        >>> undominated(np.array([3.0, 2.0, 2.0]), np.array([[5.0], [4.0], [6.0]]))
        array([ True,  True, False])
    """
    kept = np.zeros(len(gain), bool)
    if use.shape[1] == 0:
        kept[gain.argmax() : gain.argmax() + 1] = True
    elif use.shape[1] == 1:
        order = np.lexsort((-gain, use[:, 0]))
        kept[order[_rises(gain[order])]] = True
    else:
        kept = _unbeaten(np.column_stack([-gain, use]), gain if score is None else score)
    return kept


def undominated_in_groups(group: IntArray, gain: FloatArray, use: FloatArray, score: FloatArray) -> IntArray:
    """Positions of the points that are undominated within their group, group after group.

    Args:
        group: (n,) whole numbers.
        gain: (n,) more is better.
        use: (n, limits) less is better.
        score: (n,) see `undominated`.
    """
    order = np.lexsort((-gain, *use.T[::-1], group))
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    kept = [part[_undominated_sorted(gain[part], use[part], score[part])] for part in parts if len(part)]
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)


def _undominated_sorted(gain: FloatArray, use: FloatArray, score: FloatArray) -> BoolArray:
    """The same of points sorted by use, then by falling gain; limits that are used up together are one."""
    if use.shape[1] and (np.diff(use[:, 1:], axis=0) >= 0).all():
        return _rises(gain)
    return undominated(gain, use, score)


def _rises(values: FloatArray) -> BoolArray:
    """Where a sequence exceeds everything before."""
    highest = np.maximum.accumulate(values)
    return np.concatenate([[True], values[1:] > highest[:-1]])


def _unbeaten(points: FloatArray, score: FloatArray) -> BoolArray:
    """Points that none of those of the largest score beats or, standing earlier, equals; less is better throughout."""
    count = int(np.clip(_COMPARISONS // max(len(points), 1), *_JUDGES))
    judges = np.argsort(-score, kind="stable")[:count]
    among = points[judges]
    no_better = (among[:, None] >= among).all(-1)  # row: no better than column
    sitting = judges[~np.tril(no_better, -1).any(1)]
    left = np.setdiff1d(np.arange(len(points)), judges, assume_unique=True)
    columns = [np.ascontiguousarray(column) for column in points[left].T]
    for start in range(0, len(sitting), _ROUND):
        beaten = np.zeros(len(left), bool)
        for values in points[sitting[start : start + _ROUND]]:
            worse = columns[0] >= values[0]
            for column, value in zip(columns[1:], values[1:], strict=True):
                worse &= column >= value
            beaten |= worse
        left = left[~beaten]
        columns = [column[~beaten] for column in columns]
    kept = np.zeros(len(points), bool)
    kept[sitting] = True
    kept[left] = True
    return kept
