"""Latency tables of one machine, measured one after the other: do designs by them agree, or say that they cannot tell?

Every pair of tables is asked for the largest mass within the same budgets, and for the least latency of a mass.  Two
answers contradict each other where what one holds possible is less than what the other is sure of.  Beside it stands
what the estimates alone would say, as if they were exact.
"""

import argparse
import itertools
import math
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from measuring import positive, save
from nnmass.designing import MobileNetV2Space, design
from nnmass.designing.solver import Budgets, solve
from nnmass.errors import InfeasibleError
from nnmass.latency import LatencyTable
from nnmass.timing import conditions, fill_table

SPACE = MobileNetV2Space()
MASSES = (600.0, 1287.0, 2600.0)
SLACK = 1 + 1e-9


class Answer(NamedTuple):
    """Between what a quantity lies by a table, the network, and the one that the estimates alone give.

    Attributes:
        least: of the quantity.
        most: of the quantity.
        network: as JSON; None where none is sure.
        by_estimates: the network by the estimates alone, as JSON; None where there is none.
    """

    least: float
    most: float
    network: str | None
    by_estimates: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; no bound where nothing is excluded."""
        return self._asdict() | {"most": self.most if math.isfinite(self.most) else None}


def main() -> None:
    """Measure the tables, ask them, compare, print and write."""
    options = argparse.ArgumentParser(prog="two_latency_tables.py", description=__doc__)
    options.add_argument("--engine", choices=("eager", "compile", "onnxruntime"), default="eager")
    options.add_argument("--tables", type=positive, default=4, help="measured one after the other (default 4)")
    options.add_argument("--budgets", type=positive, default=8, help="of milliseconds (default 8)")
    options.add_argument("--seconds", type=float, default=0.01, help="for each block (default 0.01)")
    options.add_argument("--threads", type=positive, default=1, help="of one operator (default 1)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/two_latency_tables.json"))
    arguments = options.parse_args()
    where = conditions(arguments.engine, threads=arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        tables = [LatencyTable(Path(folder) / f"{k}.sqlite", where, create=True) for k in range(arguments.tables)]
        filled = [fill(table, arguments.seconds) for table in tables]
        budgets = budgets_of(tables[0], arguments.budgets)
        asked = [f"mass within {budget:g} ms" for budget in budgets] + [f"latency of mass {mass:g}" for mass in MASSES]
        answers = [
            [within(table, ms) for ms in budgets] + [fastest(table, mass) for mass in MASSES] for table in tables
        ]
    pairs = [
        {"tables": [i, j], "asked": question, **compared(one, other)}
        for i, j in itertools.combinations(range(len(tables)), 2)
        for question, one, other in zip(asked, answers[i], answers[j], strict=True)
    ]
    counts = Counter(pair["outcome"] for pair in pairs)
    alone = sum(pair["estimates_differ"] for pair in pairs)
    result = {
        "conditions": str(where),
        "tables": filled,
        "asked": asked,
        "answers": [[answer.to_dict() for answer in own] for own in answers],
        "pairs": pairs,
        "outcomes": {name: counts[name] for name in ("same network", "equally good", "cannot tell", "contradiction")},
        "estimates_alone_differ": alone,
        "target": {"contradictions_at_most": 0, "met": counts["contradiction"] == 0},
    }
    print(f"{len(pairs)} pairs of answers: {dict(counts)}; by the estimates alone {alone} pairs would differ")
    save(arguments, result)


def fill(table: LatencyTable, seconds: float) -> dict[str, Any]:
    """Measure one table, and say how well its blocks are known."""
    load, start = os.getloadavg()[0], time.perf_counter()
    blocks = fill_table(table, SPACE.blocks(), seconds=seconds)
    known = np.array([table.latency(block) for block in SPACE.blocks()])
    row = {
        "blocks": blocks,
        "seconds": time.perf_counter() - start,
        "load_average": load,
        "total_ms": known[:, 0].sum(),
        "bounds_of_total_ms": [known[:, 1].sum(), known[:, 2].sum()],
        "median_width": float(np.median(known[:, 2] / known[:, 1]) - 1),
        "unstable": len(table.unstable()),
        "exceptions": [[str(small), str(large)] for small, large in table.exceptions()],
    }
    print(
        f"table of {blocks} blocks in {row['seconds']:.0f} s, load {load:.1f}: bounds {row['median_width']:.1%} apart"
    )
    return row


def budgets_of(table: LatencyTable, count: int) -> list[float]:
    """Budgets between the fastest network and the slowest, in tenths of a millisecond."""
    levels = SPACE.levels(table)
    fast = solve(levels, Budgets(min_mass=0), "latency_ms", space_size=SPACE.size()).choices
    large = [level.choices[-1] for level in levels]
    least, most = (table.predict(SPACE.specify(choices)).latency.ms for choices in (fast, large))
    return [round(float(ms), 1) for ms in np.linspace(1.1 * least, 0.9 * most, count)]


def within(table: LatencyTable, budget: float) -> Answer:
    """The largest mass within a budget."""
    estimate = alone(table, Budgets(max_latency_ms=budget), "mass")
    try:
        found = design(SPACE, max_latency_ms=budget, latency=table)
    except InfeasibleError as error:
        return Answer(0.0, math.inf if "cannot tell" in str(error) else 0.0, None, estimate)
    mass = found.spec.nn_mass
    most = mass if found.possible is None else found.possible.spec.nn_mass
    return Answer(mass, most, found.spec.model_dump_json(), estimate)


def fastest(table: LatencyTable, mass: float) -> Answer:
    """The least latency of a mass within 2 %."""
    low, high = 0.98 * mass, 1.02 * mass
    estimate = alone(table, Budgets(min_mass=low, max_mass=high), "latency_ms")
    found = design(SPACE, min_mass=low, max_mass=high, objective="latency_ms", latency=table)
    assert found.best.latency is not None
    assert found.possible is not None
    assert found.possible.latency is not None
    return Answer(found.possible.latency.low_ms, found.best.latency.high_ms, found.spec.model_dump_json(), estimate)


def alone(table: LatencyTable, budgets: Budgets, objective: Any) -> str | None:
    """The network as if the estimates were exact."""
    try:
        solution = solve(SPACE.levels(table), budgets, objective, space_size=SPACE.size())
    except InfeasibleError:
        return None
    return SPACE.specify(solution.choices).model_dump_json()


def compared(one: Answer, other: Answer) -> dict[str, Any]:
    """Whether two answers agree, leave it open, or exclude each other."""
    apart = one.least > other.most * SLACK or other.least > one.most * SLACK
    same = one.network is not None and one.network == other.network
    certain = one.least == one.most == other.least == other.most
    outcome = "contradiction" if apart else "same network" if same else "equally good" if certain else "cannot tell"
    return {"outcome": outcome, "estimates_differ": one.by_estimates != other.by_estimates}


if __name__ == "__main__":
    main()
