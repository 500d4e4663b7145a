"""Closed-form costs of random three-cell DenseCNNs beside the published code's loop over layers.

Ours gives mass, parameters and MACs of whole arrays.  The published code gives mass only, one network after the other
(parameters and MACs need a built network there), so the comparison favours it.  It is timed twice:

* loop: ``Dense_MLP.analyze_topology`` once per cell, which does nothing but the mass loop that the CNN's method runs
  too.  The target is held against this one.
* add_link: the CNN's own ``regular_dense_cnn.add_link`` on an object made without its constructor; it also draws links.
"""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from measuring import parser, positive, ratios, save, seconds, show_targets, shown, spread, target
from nnmass.architectures import dense_cnn_costs
from published import load_model_zoo

CELLS = 3
TARGET_RATE = 1_000_000
TARGET_RATIO = 500
EQUAL = 1e-12
TIMED = {
    "ours": "nnmass.architectures.dense_cnn_costs on NumPy arrays: mass, params and MACs, one depth per cell, with the "
    "validation of every value",
    "loop": "published Dense_MLP.analyze_topology, once per cell of each network: mass and density, no links drawn",
    "add_link": "published regular_dense_cnn.add_link, once per network: mass and density, and it draws the links; it "
    "takes one depth for all cells, so that of the first cell",
}

Cells = list[npt.NDArray[np.int64]]


def draw(count: int, seed: int) -> tuple[Cells, Cells, Cells]:
    """Draw widths 8 ... 128 by 8, depths 4 ... 40 and every number of skips: per cell one array of ``count``."""
    rng = np.random.default_rng(seed)
    widths = [8 * rng.integers(1, 17, count) for _ in range(CELLS)]
    depths = [rng.integers(4, 41, count) for _ in range(CELLS)]
    skips = [rng.integers(0, w * (d - 2) + 1) for w, d in zip(widths, depths, strict=True)]
    return widths, depths, skips


def published_loop(zoo: Any, networks: tuple[Cells, Cells, Cells]) -> list[float]:
    """Masses by the published loop over the layers of each cell."""
    masses = []
    for cells in zip(*(zip(*array, strict=True) for array in _python(networks)), strict=True):
        mass = 0.0
        for width, depth, skips in zip(*cells, strict=True):
            holder = SimpleNamespace()
            zoo.Dense_MLP.analyze_topology(holder, width, depth, skips)
            mass += holder.nn_mass
        masses.append(mass)
    return masses


def published_add_link(zoo: Any, networks: tuple[Cells, Cells, Cells]) -> list[float]:
    """Masses by the method that the published CNN calls in its constructor; depth of the first cell for all."""
    masses = []
    for widths, depths, skips in zip(*(zip(*array, strict=True) for array in _python(networks)), strict=True):
        holder = SimpleNamespace()
        zoo.regular_dense_cnn.add_link(holder, CELLS, depths[0], widths, skips)
        masses.append(holder.nn_mass)
    return masses


def largest_difference(zoo: Any, networks: tuple[Cells, Cells, Cells]) -> dict[str, float]:
    """Largest relative difference between our masses and those of both published ways."""
    widths, depths, skips = networks
    free = np.asarray(dense_cnn_costs(widths, depths, skips).nn_mass)
    tied = np.asarray(dense_cnn_costs(widths, [depths[0]] * CELLS, skips).nn_mass)
    pairs = {"loop": (free, published_loop(zoo, networks)), "add_link": (tied, published_add_link(zoo, networks))}
    return {
        name: float(np.max(np.abs(ours - theirs) / np.maximum(theirs, 1))) for name, (ours, theirs) in pairs.items()
    }


def main() -> None:
    """Measure, print and write."""
    options = parser("closed_form", "Closed-form costs of DenseCNNs beside the published loop.")
    options.add_argument("--count", type=positive, default=1_000_000, help="architectures per measurement of ours")
    options.add_argument("--published-count", type=positive, default=200, help="of the published loop (default 200)")
    arguments = options.parse_args()
    zoo = load_model_zoo(arguments.published)
    networks = draw(arguments.count, arguments.seed)
    few = draw(arguments.published_count, arguments.seed)
    state = random.getstate()
    difference = largest_difference(zoo, few)
    times: dict[str, list[float]] = {"ours": [], "loop": [], "add_link": []}
    dense_cnn_costs(*networks)
    for _ in range(arguments.pairs):
        times["ours"].append(seconds(lambda: dense_cnn_costs(*networks)) / arguments.count)
        times["loop"].append(seconds(lambda: published_loop(zoo, few)) / arguments.published_count)
        times["add_link"].append(seconds(lambda: published_add_link(zoo, few)) / arguments.published_count)
    random.setstate(state)
    rate = spread([1 / t for t in times["ours"]])
    ratio = {name: ratios(times[name], times["ours"]) for name in ("loop", "add_link")}
    targets = {
        "architectures per second on one core": target(rate, at_least=TARGET_RATE),
        "times the published loop": target(ratio["loop"], at_least=TARGET_RATIO),
        "largest relative difference of a mass": target(spread(list(difference.values())), at_most=EQUAL),
    }
    print(f"architectures/s, ours       {shown(rate, 0)}")
    for name in ("loop", "add_link"):
        print(f"times published {name:12}{shown(ratio[name], 0)}")
    show_targets(targets)
    save(
        arguments,
        {
            "timed": TIMED,
            "threads": "one: NumPy's elementwise operations do not use more",
            "seconds_per_architecture": times,
            "architectures_per_second": rate,
            "ratio": ratio,
            "largest_relative_mass_difference": difference,
            "targets": targets,
        },
    )


def _python(networks: tuple[Cells, Cells, Cells]) -> list[list[list[int]]]:
    """Python's integers, with which the published loop is faster than with NumPy's."""
    return [[array.tolist() for array in cells] for cells in networks]


if __name__ == "__main__":
    main()
