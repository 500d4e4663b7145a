"""Proven optima against brute force: every network of many small spaces is weighed, with formulas of its own.

Spaces, budgets and objectives are drawn by seed.  DenseCNNs are weighed by the array closed forms over whole grids,
MobileNetV2s by formulas written here, latencies network by network with a table of random milliseconds.  Of lists of
alternatives every network is compared: it has to be the best of those unlike all before it.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from measuring import positive, save
from nnmass.architectures import Specification, dense_cnn_costs
from nnmass.architectures.mobilenet_v2 import make_divisible
from nnmass.designing import (
    CifarResNetSpace,
    DenseCNNSpace,
    DenseMLPSpace,
    MobileNetV2Space,
    ResNetSpace,
    Space,
    WideResNetSpace,
    design,
)
from nnmass.errors import InfeasibleError
from nnmass.latency import Conditions, LatencyTable, Timing, blocks_of
from nnmass.topology import cell_density

FloatArray = np.ndarray
LARGEST = 4_000_000
LARGEST_LISTED = 3_000


def dense_cnn(generator: np.random.Generator, conv: str) -> tuple[Space, FloatArray]:
    """A space of DenseCNNs, and (networks, 3) mass, parameters and MACs of all its members."""
    while True:
        cells = int(generator.integers(1, 4))
        widths = tuple(
            tuple(sorted(generator.choice(np.arange(2, 13), int(generator.integers(1, 4)), replace=False).tolist()))
            for _ in range(cells)
        )
        depths = tuple(range(low := int(generator.integers(3, 6)), low + int(generator.integers(1, 4))))
        space = DenseCNNSpace(
            widths=widths,
            depth=depths,
            equal_depths=bool(generator.integers(2)),
            max_density=float(generator.choice([0.5, 0.8, 1.0])),
            conv=conv,
            image_size=int(generator.integers(4, 33)),
        )
        if space.size() <= LARGEST:
            return space, dense_cnn_members(space)


def dense_cnn_members(space: DenseCNNSpace) -> FloatArray:
    """Weigh all members, grid by grid."""
    rows = []
    for widths in itertools.product(*space.widths):
        for depths in itertools.product(space.depth, repeat=len(widths)):
            if space.equal_depths and len(set(depths)) > 1:
                continue
            skips = [np.arange(w * (d - 2) + 1) for w, d in zip(widths, depths, strict=True)]
            skips = [
                t[cell_density(w, d, t) <= space.max_density + 1e-9]
                for w, d, t in zip(widths, depths, skips, strict=True)
            ]
            grids = np.meshgrid(*skips, indexing="ij")
            costs = dense_cnn_costs(widths, depths, grids, conv=space.conv, image_size=space.image_size)
            rows.append(np.stack([np.broadcast_to(c, grids[0].shape).ravel() for c in costs], -1))
    return np.concatenate(rows)


def mobilenet(generator: np.random.Generator) -> tuple[Space, FloatArray]:
    """A space of MobileNetV2s, and mass, parameters and MACs of all its members."""
    while True:
        stages = [
            {
                "expansion": sorted(
                    generator.choice([1, 2, 2.5, 3, 4, 6], int(generator.integers(1, 4)), False).tolist()
                ),
                "channels": sorted(generator.choice([8, 16, 24, 32], int(generator.integers(1, 4)), False).tolist()),
                "repeats": list(range(1, int(generator.integers(2, 6)))),
                "stride": int(generator.integers(1, 3)),
            }
            for _ in range(int(generator.integers(1, 7)))
        ]
        mult = float(generator.choice([0.5, 0.75, 1.0, 1.4]))
        space = MobileNetV2Space(stages=stages, width_mult=mult, image_size=64, num_classes=10)
        if space.size() <= LARGEST:
            return space, mobilenet_members(space)


def mobilenet_members(space: MobileNetV2Space) -> FloatArray:
    """Weigh all members: sums over stages, on the grid of all choices, channels first."""
    counts = [(len(s.channels), len(s.expansion), len(s.repeats)) for s in space.stages]
    index = np.indices([n for count in counts for n in count]).reshape(3 * len(counts), -1)
    stem, side = make_divisible(32 * space.width_mult), 32
    inputs = np.full(index.shape[1], stem)
    total = np.tile([0.0, 27 * stem + 2 * stem, 27 * stem * side**2], (index.shape[1], 1))
    for k, stage in enumerate(space.stages):
        channel, position, repeat = index[3 * k : 3 * k + 3]
        outputs = np.array([make_divisible(c * space.width_mult) for c in stage.channels])[channel]
        expansion = np.array(stage.expansion)[position]
        repeats = np.array(stage.repeats)[repeat]
        left = side // 2 if stage.stride == 2 else side
        total += inverted(inputs, expansion, outputs, side, left, inputs == outputs if stage.stride == 1 else False)
        total += (repeats - 1)[:, None] * inverted(outputs, expansion, outputs, left, left, True)
        inputs, side = outputs, left
    last = make_divisible(1280 * max(1.0, space.width_mult))
    total[:, 1] += inputs * last + 2 * last + last * 10 + 10
    total[:, 2] += inputs * last * side**2 + last * 10
    return total


def inverted(inputs: Any, expansion: Any, outputs: Any, side: int, left: int, shortcut: Any) -> FloatArray:
    """Mass, parameters and MACs of inverted residuals (arXiv:1801.04381; mass: arXiv:1910.00780, section 5.4)."""
    hidden = np.maximum(np.rint(inputs * expansion), 1)
    wide = expansion != 1
    params = wide * (inputs * hidden + 2 * hidden) + 11 * hidden + hidden * outputs + 2 * outputs
    macs = wide * inputs * hidden * side**2 + (9 * hidden + hidden * outputs) * left**2
    three = (inputs + 2 * hidden) * inputs / (2 * inputs + hidden)
    mass = np.where(wide, three, inputs + hidden) * shortcut
    return np.stack(np.broadcast_arrays(mass, params, macs), -1).astype(float)


def timed(generator: np.random.Generator, folder: Path) -> tuple[Space, FloatArray, LatencyTable]:
    """A small space of any family with a table of random milliseconds, and all members' four quantities."""
    stages = [{"expansion": [1, 4], "channels": [8, 16], "repeats": [1, 2], "stride": 2}] * 2
    options: list[Space] = [
        DenseCNNSpace(widths=((3, 4), (5,)), depth=(3, 4), equal_depths=False, image_size=6, max_density=1),
        DenseCNNSpace(widths=((4,), (3, 6)), depth=(3, 5), image_size=7, conv="separable"),
        MobileNetV2Space(stages=stages, image_size=32),
        ResNetSpace(layers=((1, 2), (1, 2, 3)), planes=((32, 64), (48,)), width_per_group=(32, 64), image_size=64),
        CifarResNetSpace(layers=((1, 2, 3),) * 3, widths=(4, (4, 6), (6, 8))),
    ]
    space = options[int(generator.integers(len(options)))]
    specs = [space.specify(choices) for choices in all_choices(space)]
    path = folder / f"{generator.integers(2**62)}.sqlite"
    table = LatencyTable(path, Conditions("random", "eager", 1, 1, "1"), create=True)
    for piece in sorted({piece for spec in specs for piece in blocks_of(spec)}):
        ms = float(generator.uniform(0.1, 3.0))
        table.add(piece, Timing(ms, ms, ms, ms, 1))
    rows = [[spec.nn_mass, spec.params, spec.macs, table.predict(spec).latency.ms] for spec in specs]
    return space, np.array(rows), table


def all_choices(space: Space) -> list[list[FloatArray]]:
    """Choices of every member, along every path of its levels."""
    found: list[tuple[int, list[FloatArray]]] = [(0, [])]
    for level in space.levels():
        found = [
            (int(level.block_state[block]), [*choices, level.choices[option]])
            for state, choices in found
            for block in level.entry_block[level.entry_state == state]
            for option in np.flatnonzero(level.block_of == block)
        ]
    return [choices for _, choices in found]


def ask(generator: np.random.Generator, everything: FloatArray, *, latency: bool) -> dict[str, Any]:
    """Budgets around what the space holds; about a fifth of them are impossible."""

    def around(column: int, low: float, high: float) -> float:
        return float(np.quantile(everything[:, column], generator.uniform(low, high))) * generator.uniform(0.9, 1.1)

    mass = around(0, 0.1, 1.0)
    asked = [
        {"max_macs": around(2, 0.0, 1.0)},
        {"max_params": around(1, 0.0, 0.9), "max_macs": around(2, 0.0, 0.9)},
        {"min_mass": mass, "objective": "macs"},
        {"min_mass": mass, "max_macs": around(2, 0.0, 1.0), "objective": "params"},
        {"min_mass": mass * 0.98, "max_mass": mass * 1.02, "max_params": around(1, 0.0, 1.0), "objective": "macs"},
        {"max_mass": mass, "max_macs": around(2, 0.0, 1.0)},
    ]
    if latency:
        asked = [
            {"max_latency_ms": around(3, 0.0, 1.0)},
            {"min_mass": mass, "objective": "latency_ms"},
            {"max_latency_ms": around(3, 0.0, 1.0), "max_params": around(1, 0.0, 1.0), "min_mass": mass * 0.5},
            {"min_mass": mass, "max_latency_ms": around(3, 0.0, 1.0), "objective": "macs"},
        ]
    return asked[int(generator.integers(len(asked)))]


def expected(everything: FloatArray, asked: dict[str, Any]) -> float | None:
    """The best value by weighing all; None if nothing meets the budgets."""
    columns = {"mass": 0, "params": 1, "macs": 2, "latency_ms": 3}
    fits = np.ones(len(everything), bool)
    for name, value in asked.items():
        if name == "objective":
            continue
        column = everything[:, columns[name[4:]]]
        slack = 0 if name in ("max_params", "max_macs") else 1e-9 * max(1.0, abs(value))
        fits &= column <= value + slack if name.startswith("max") else column >= value - slack
    if not fits.any():
        return None
    objective = asked.get("objective", "mass")
    values = everything[fits, columns[objective]]
    return float(values.max() if objective == "mass" else values.min())


def compare(space: Space, everything: FloatArray, asked: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Solve one problem both ways."""
    best = expected(everything, asked)
    start = time.perf_counter()
    try:
        found = design(space, **asked, **options, outside_domain=True)
    except InfeasibleError:
        value, optimal = None, True
    else:
        objective, optimal = asked.get("objective", "mass"), found.optimal
        spec = found.spec
        values = {"mass": spec.nn_mass, "params": spec.params, "macs": spec.macs, "latency_ms": found.best.latency_ms}
        value = values[objective]
    agree = optimal and (value is None) == (best is None)
    agree = agree and (value is None or best is None or abs(value - best) <= 1e-9 * max(1.0, abs(best)))
    seconds = time.perf_counter() - start
    return {
        "space_size": space.size(),
        "asked": asked,
        "found": value,
        "brute_force": best,
        "agree": bool(agree),
        "seconds": seconds,
    }


def main() -> None:
    """Compare, print and write."""
    options = argparse.ArgumentParser(prog="design_exactness.py", description=__doc__)
    options.add_argument("--problems", type=positive, default=100, help="of each of five kinds (default 100)")
    options.add_argument("--seed", type=int, default=0, help="of everything drawn (default 0)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/design_exactness.json"), help="file")
    arguments = options.parse_args()
    generator = np.random.default_rng(arguments.seed)
    makers: dict[str, Callable[[], tuple[Space, FloatArray]]] = {
        "DenseCNN": lambda: dense_cnn(generator, "regular"),
        "DenseCNN, separable": lambda: dense_cnn(generator, "separable"),
        "MobileNetV2": lambda: mobilenet(generator),
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, make in makers.items():
            for _ in range(arguments.problems):
                space, everything = make()
                assert len(everything) == space.size(), (space, len(everything))
                row = compare(space, everything, ask(generator, everything, latency=False))
                rows.append({"kind": kind} | row)
            report(kind, rows)
        kind = "latency table"
        for _ in range(arguments.problems):
            space, everything, table = timed(generator, Path(folder))
            asked = ask(generator, everything, latency=True)
            rows.append({"kind": kind} | compare(space, everything, asked, latency=table))
        report(kind, rows)
    kind = "lists of alternatives"
    rows += [{"kind": kind} | listed(generator) for _ in range(arguments.problems)]
    report(kind, rows)
    mismatches = [row for row in rows if not row["agree"]]
    print(f"{len(rows)} problems, {len(mismatches)} mismatches")
    large = sum(row["space_size"] >= 1e6 for row in rows)
    infeasible = sum(row["brute_force"] is None for row in rows)
    summary = {"problems": len(rows), "mismatches": len(mismatches), "of_1e6_or_more": large, "infeasible": infeasible}
    save(arguments, summary | {"rows": rows})
    if mismatches:
        raise SystemExit(f"mismatch: {mismatches[0]}")


def listed(generator: np.random.Generator) -> dict[str, Any]:
    """One list of alternatives of a small space of any family, network by network."""
    space = small_space(generator)
    specs = [space.specify(choices) for choices in all_choices(space)]
    everything = np.array([[spec.nn_mass, spec.params, spec.macs] for spec in specs])
    shapes = [shape_of(spec) for spec in specs]
    asked = ask(generator, everything, latency=False)
    top, diversity = int(generator.integers(2, 13)), float(generator.choice([0.0, 0.1, 0.25, 0.4, 0.6]))
    row = {"space_size": space.size(), "asked": asked | {"top": top, "diversity": diversity}}
    start = time.perf_counter()
    try:
        found = design(space, **asked, top=top, diversity=diversity, outside_domain=True)
    except InfeasibleError:
        agree, values = expected(everything, asked) is None, None
    else:
        own = [found.best, *found.alternatives]
        values = [value_of(candidate.spec, asked) for candidate in own]
        agree = all(candidate.certificate.optimal for candidate in own)
        left = np.ones(len(specs), bool)
        for candidate, value in zip(own, values, strict=True):
            best = expected(everything[left], asked)
            agree = agree and best is not None and abs(value - best) <= 1e-9 * max(1.0, abs(best))
            shape = shape_of(candidate.spec)
            left &= [not alike(other, shape, diversity) for other in shapes]
        agree = agree and (len(own) == top or not left.any() or expected(everything[left], asked) is None)
    seconds = time.perf_counter() - start
    brute_force = None if values is None else values[0]
    return row | {"found": values, "brute_force": brute_force, "agree": bool(agree), "seconds": seconds}


def small_space(generator: np.random.Generator) -> Space:
    """A space of at most a few thousand networks, of any family."""
    while True:
        space = any_space(generator, range(int(generator.integers(1, 4))))
        if 0 < space.size() <= LARGEST_LISTED:
            return space


def any_space(generator: np.random.Generator, stages: range) -> Space:
    """A space of any family, with so many cells or stages where there are several."""

    def some(values: Any, most: int = 3) -> list[Any]:
        count = int(generator.integers(1, most + 1))
        return sorted(generator.choice(values, min(count, len(values)), replace=False).tolist())

    def mobile_stage() -> dict[str, list[Any]]:
        return {
            "expansion": some([1.0, 2.5, 3.0, 4.0]),
            "channels": some([8, 16, 24], 2),
            "repeats": some([1, 2, 3, 4]),
        }

    made: list[Callable[[], Space]] = [
        lambda: DenseMLPSpace(width=some(range(2, 12)), depth=some(range(3, 20), 6), in_features=20),
        lambda: DenseCNNSpace(
            widths=[some(range(2, 6), 2) for _ in stages],
            depth=some(range(3, 8)),
            equal_depths=bool(generator.integers(2)),
            image_size=8,
        ),
        lambda: MobileNetV2Space(stages=[mobile_stage() for _ in stages], image_size=32),
        lambda: ResNetSpace(
            layers=[some(range(1, 7)) for _ in stages],
            planes=[some([32, 48, 64], 2) for _ in stages],
            image_size=64,
        ),
        lambda: CifarResNetSpace(
            layers=[some(range(1, 9)) for _ in stages], widths=[8, *(some([8, 12, 16], 2) for _ in stages[1:])]
        ),
        lambda: WideResNetSpace(depth=some(range(10, 60, 6), 6), widen_factor=some([1, 2, 4]), image_size=8),
    ]
    return made[int(generator.integers(len(made)))]()


def shape_of(spec: Specification) -> list[float]:
    """Widths, depths and expansions, stage by stage."""
    values = spec.model_dump(exclude_none=True)
    if spec.family in ("DenseMLP", "DenseCNN"):
        return [value for cell in spec.cells for value in (cell.width, cell.depth)]
    if spec.family == "MobileNetV2":
        return [value for stage in values["stages"] for value in stage[:3]]
    if spec.family == "WideResNet":
        return [values["depth"], values["widen_factor"]]
    return [*(values.get("planes") or values["widths"]), *values["layers"]]


def alike(first: list[float], second: list[float], diversity: float) -> bool:
    """Whether nothing differs by the diversity or more."""
    pairs = zip(first, second, strict=True)
    return all(abs(a - b) / max(a, b, 1) < max(diversity, 1e-12) for a, b in pairs)


def value_of(spec: Specification, asked: dict[str, Any]) -> float:
    """What was maximised or minimised."""
    objective = asked.get("objective", "mass")
    return float(spec.nn_mass if objective == "mass" else getattr(spec, objective))


def report(kind: str, rows: list[dict[str, Any]]) -> None:
    """Print one kind's outcome."""
    own = [row for row in rows if row["kind"] == kind]
    print(
        f"{kind:20} {len(own)} problems up to {max(r['space_size'] for r in own):,} networks, "
        f"{sum(not r['agree'] for r in own)} mismatches, {sum(r['brute_force'] is None for r in own)} impossible"
    )


if __name__ == "__main__":
    main()
