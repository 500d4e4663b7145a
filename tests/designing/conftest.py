import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from nnmass.architectures import Specification
from nnmass.designing import (
    CifarResNetSpace,
    DenseCNNSpace,
    DenseMLPSpace,
    MobileNetV2Space,
    ResNetSpace,
    Space,
    WideResNetSpace,
)
from nnmass.designing.problem import Level
from nnmass.latency import Conditions, LatencyTable, Timing, blocks_of

SMALL = {
    "mlp": DenseMLPSpace(width=(3, 5), depth=(2, 3, 5), max_density=1, in_features=9),
    "cnn": DenseCNNSpace(
        widths=((2, 3), (4,)), depth=(3, 4), equal_depths=False, max_density=0.8, image_size=6, num_classes=3
    ),
    "tied": DenseCNNSpace(widths=((2, 3), (4, 5), (3, 6)), depth=(2, 4), tied_widths=True, max_skips=(0, 1, 5)),
    "separable": DenseCNNSpace(widths=((2, 4), (3,)), depth=(1, 4), conv="separable", max_density=1, image_size=5),
    "mobilenet": MobileNetV2Space(
        stages=[
            {"expansion": [1, 3], "channels": [8, 16], "repeats": [1, 2], "stride": 1},
            {"expansion": [2.5, 6], "channels": [8, 16, 24], "repeats": [1, 3], "stride": 2},
            {"expansion": [4, 5], "channels": 24, "repeats": 1, "stride": 1},
        ],
        width_mult=0.75,
        image_size=33,
        num_classes=5,
    ),
    "resnet": ResNetSpace(
        block=("basic", "bottleneck"), layers=((1, 2), (1, 3)), planes=((64, 32), 48), width_per_group=(32, 64)
    ),
    "resnext": ResNetSpace(layers=((1, 2), (1, 3)), groups=4, width_per_group=(4, 8), image_size=64, projection="zero"),
    "cifar A": CifarResNetSpace(layers=((1, 2), (1, 2, 3)), widths=(4, (3, 4, 6)), image_size=9),
    "cifar B": CifarResNetSpace(layers=((1, 2), (1, 2, 3)), widths=(4, (3, 6)), shortcut="B", image_size=9),
    "cifar, nothing repeated": CifarResNetSpace(layers=(1, (1, 2)), widths=(4, (4, 6)), image_size=9),
    "wide": WideResNetSpace(depth=(10, 16), widen_factor=(1, 2), image_size=8),
}
"""A small space of every kind."""


@pytest.fixture(params=SMALL.values(), ids=SMALL.keys())
def small_space(request):
    return request.param


@pytest.fixture(scope="session")
def small_spaces():
    return SMALL


@pytest.fixture(scope="session")
def paths_of():
    return paths


@pytest.fixture(scope="session")
def members_of():
    return members


def paths(levels: list[Level]) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Sums and choices of every path, one by one."""

    def extend(k, state, sums, choices):
        if k == len(levels):
            yield sums, choices
            return
        level = levels[k]
        for entry in np.flatnonzero(level.entry_state == state):
            block = level.entry_block[entry]
            for option in np.flatnonzero(level.block_of == block):
                total = sums + level.entry_quantities[entry] + level.quantities[option]
                yield from extend(k + 1, level.block_state[block], total, [*choices, level.choices[option]])

    yield from extend(0, 0, np.zeros(4), [])


def members(space: Space) -> list[Specification]:
    """Every specification of a space, from its fields alone."""
    if isinstance(space, DenseMLPSpace):
        grid = itertools.product(space.width, space.depth)
        return [
            space.specify([np.array([w, d, t])])
            for w, d in grid
            for t in skips_of(space, w * max(d - 2, 0))
            if within(space.specify([np.array([w, d, t])]), space.max_density)
        ]
    if isinstance(space, DenseCNNSpace):
        return list(dense_members(space))
    if isinstance(space, MobileNetV2Space):
        each = [
            [(c, e, r) for c in s.channels for e in range(len(s.expansion)) for r in s.repeats] for s in space.stages
        ]
        return [space.specify([np.array(part) for part in chosen]) for chosen in itertools.product(*each)]
    if isinstance(space, ResNetSpace):
        planes = space.planes or tuple((64 * 2**k,) for k in range(len(space.layers)))
        found = []
        for kind in space.block:
            for width in space.width_per_group if kind == "bottleneck" else (64,):
                head = (int(kind == "bottleneck"), width)
                each = [
                    [(*head, p, n) for p in options for n in layers]
                    for options, layers in zip(planes, space.layers, strict=True)
                ]
                found += [space.specify([np.array(part) for part in chosen]) for chosen in itertools.product(*each)]
        return found
    if isinstance(space, CifarResNetSpace):
        each = [
            [(0, 64, w, n) for w in widths for n in layers]
            for widths, layers in zip(space.widths, space.layers, strict=True)
        ]
        return [
            space.specify([np.array(part) for part in chosen])
            for chosen in itertools.product(*each)
            if space.shortcut == "B" or [part[2] for part in chosen] == sorted(part[2] for part in chosen)
        ]
    return [space.specify([np.array(pair)]) for pair in itertools.product(space.depth, space.widen_factor)]


def dense_members(space: DenseCNNSpace) -> Iterator[Specification]:
    positions = range(len(space.widths[0])) if space.tied_widths else [None]
    for position in positions:
        choices = [ws if position is None else (ws[position],) for ws in space.widths]
        for widths in itertools.product(*choices):
            for depths in itertools.product(space.depth, repeat=len(widths)):
                if space.equal_depths and len(set(depths)) > 1:
                    continue
                most = [w * max(d - 2, 0) for w, d in zip(widths, depths, strict=True)]
                skips = [skips_of(space, m) for m in most]
                for chosen in itertools.product(*skips):
                    spec = space.specify([np.array(c) for c in zip(widths, depths, chosen, strict=True)])
                    if within(spec, space.max_density):
                        yield spec


def skips_of(space: Space, most: int) -> list[int]:
    given = range(most + 1) if space.max_skips is None else space.max_skips
    return sorted({min(most, t) for t in given})


def within(spec: Specification, density: float) -> bool:
    return all(cell.depth < 3 or cell.density <= density + 1e-9 for cell in spec.cells)


@pytest.fixture(scope="session")
def latency_of(tmp_path_factory):
    """Makes a latency table of random milliseconds that covers a space, exact or with bounds."""

    def make(space: Space, seed: int = 0, *, spread: float = 0.0) -> LatencyTable:
        generator = np.random.default_rng(seed)
        path = tmp_path_factory.mktemp("latency") / "table.sqlite"
        table = LatencyTable(path, Conditions("some device", "eager", 1, 1, "1"), create=True)
        wanted = {piece for spec in members(space) for piece in blocks_of(spec)}
        for piece in sorted(wanted):
            ms = float(generator.uniform(0.1, 2.0))
            low, high = (1 + sign * spread * generator.uniform() for sign in (-1, 1))
            table.add(piece, Timing(ms, ms * low, ms * high, ms * high, 5))
        return table

    return make
