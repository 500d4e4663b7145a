"""Several good networks that differ: the best, the best of those unlike it, and so on, each proven."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from nnmass.designing.problem import BoolArray, FloatArray, Level, Path, Problem, connected
from nnmass.designing.search import maximise

Shapes: TypeAlias = Sequence[FloatArray]
"""Per level what makes its options different, (options, …)."""


def unlike(
    problem: Problem, shapes: Shapes, best: Path, *, diversity: float, work_limit: int
) -> Iterator[tuple[Path, Problem]]:
    """Networks in falling order of gain, each unlike all before it.

    Two networks are alike if at every level each of their shapes differs by less than ``diversity``, relative to the
    larger one.  What is unlike a network splits into parts that exclude each other: unlike at the first level; alike
    there and unlike at the second; and so on (Lawler, 1972).  Each part is a problem of its own, solved exactly, and
    only when its bound comes up.

    Args:
        problem: whose best path is known.
        shapes: of its levels.
        best: that path.
        diversity: between 0 and 1.
        work_limit: label extensions for each part.

    Yields:
        The path, and the problem whose levels it indexes.
    """
    seen: list[list[FloatArray]] = []
    queue: list[tuple[float, int, Problem, list[FloatArray], Path | None]] = []
    count = 0

    def push(bound: float, part: Problem, part_shapes: list[FloatArray], solved: Path | None) -> None:
        nonlocal count
        heapq.heappush(queue, (-bound, count, part, part_shapes, solved))
        count += 1

    gain = float(problem.gain(best.quantities))
    push(gain, problem, list(shapes), best)
    while queue:
        bound, _, part, part_shapes, solved = heapq.heappop(queue)
        if solved is None:
            found = maximise(part, work_limit=work_limit)
            if found.path is not None:
                push(min(-bound, found.bound), part, part_shapes, found.path)
            continue
        own = [shape[option] for shape, option in zip(part_shapes, solved.options, strict=True)]
        centre = next((other for other in seen if _alike(own, other, diversity)), None)
        if centre is None:
            seen.append(own)
            centre = own
            yield solved, part
        for smaller, smaller_shapes in _apart(part, part_shapes, centre, diversity):
            push(-bound, smaller, smaller_shapes, None)


def _alike(first: list[FloatArray], second: list[FloatArray], diversity: float) -> bool:
    return all(bool(_near(a[None], b, diversity)[0]) for a, b in zip(first, second, strict=True))


def _near(shapes: FloatArray, centre: FloatArray, diversity: float) -> BoolArray:
    """Options whose every shape is within the diversity of a centre's."""
    distance = np.abs(shapes - centre) / np.maximum(np.maximum(np.abs(shapes), np.abs(centre)), 1)
    return np.asarray((distance < max(diversity, 1e-12)).all(1))


def _apart(
    problem: Problem, shapes: list[FloatArray], centre: list[FloatArray], diversity: float
) -> Iterator[tuple[Problem, list[FloatArray]]]:
    """The parts of a problem that are unlike a network at one level and alike at all levels before it."""
    near = [_near(shape, c, diversity) for shape, c in zip(shapes, centre, strict=True)]
    for k in range(len(near)):
        masks = [*near[:k], ~near[k], *(np.ones(len(n), bool) for n in near[k + 1 :])]
        if not all(mask.any() for mask in masks):
            continue
        levels = [level.kept(mask) for level, mask in zip(problem.levels, masks, strict=True)]
        chain, kept = connected_with(levels, [shape[mask] for shape, mask in zip(shapes, masks, strict=True)])
        if all(level.blocks for level in chain):
            yield replace(problem, levels=chain), kept


def connected_with(levels: Sequence[Level], shapes: list[FloatArray]) -> tuple[tuple[Level, ...], list[FloatArray]]:
    """Connect levels and take along what belongs to their options."""
    numbered = [
        replace(level, choices=np.column_stack([level.choices, np.arange(len(level.choices))])) for level in levels
    ]
    chain = connected(numbered)
    kept = [shape[level.choices[:, -1]] for shape, level in zip(shapes, chain, strict=True)]
    return tuple(replace(level, choices=level.choices[:, :-1]) for level in chain), kept
