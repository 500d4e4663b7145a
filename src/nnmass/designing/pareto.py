"""Points that no other point is better than."""

import numpy as np

from nnmass.designing.problem import BoolArray, FloatArray, IntArray

_JUDGES = (16, 256)
_COMPARISONS = 30_000_000
"""With several limits, every point is held against few others; an exact front costs more than it saves."""
_ROUND = 16
_SAMPLE = 200


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
        kept[_staircase(use[:, 0], gain)] = True
    else:
        points = np.column_stack([-gain, use])
        ranks = _two_ways(points)
        if ranks is None:
            return _unbeaten(points, gain if score is None else score)
        kept[_staircase(ranks[0], -ranks[1])] = True
    return kept


def undominated_in_groups(group: IntArray, gain: FloatArray, use: FloatArray, score: FloatArray) -> IntArray:
    """Positions of the points that are undominated within their group, group after group.

    Args:
        group: (n,) whole numbers.
        gain: (n,) more is better.
        use: (n, limits) less is better.
        score: (n,) see `undominated`.
    """
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    kept = [part[undominated(gain[part], use[part], score[part])] for part in parts if len(part)]
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)


def _two_ways(points: FloatArray) -> tuple[IntArray, IntArray] | None:
    """Two ranks that say all that many columns do, where the columns rise together in two classes; else None.

    Columns of a class rise together: ordered by one of them, and then by the next, none ever falls.
    """
    sample = points[:: max(len(points) // _SAMPLE, 1)]
    classes: list[list[int]] = []
    for column in range(points.shape[1]):
        fitting = (members for members in classes if _rank(sample[:, [*members, column]]) is not None)
        members = next(fitting, None)
        if members is None:
            classes.append([column])
        else:
            members.append(column)
    if len(classes) > 2:
        return None
    ranks = [_rank(points[:, members]) for members in classes]
    first, second = ranks[0], ranks[-1]
    return None if first is None or second is None else (first, second)


def _rank(columns: FloatArray) -> IntArray | None:
    """Rank of every row, if no column falls while the others rise; equal rows have one rank."""
    order = np.lexsort(columns.T[::-1])
    steps = np.diff(columns[order], axis=0)
    if (steps < 0).any():
        return None
    rank = np.empty(len(columns), np.int64)
    rank[order] = np.concatenate([[0], np.cumsum((steps > 0).any(1))])
    return rank


def _staircase(use: FloatArray | IntArray, gain: FloatArray | IntArray) -> IntArray:
    """Positions of the points that none of at most their use has the gain of."""
    order = np.argsort(use, kind="stable")
    order = order[_rises(gain[order])]  # few are left, but of equal use perhaps several
    order = order[np.lexsort((-gain[order], use[order]))]
    return np.asarray(order[_rises(gain[order])])


def _rises(values: FloatArray | IntArray) -> BoolArray:
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
