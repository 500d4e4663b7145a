"""Time of proven optima over a space of 5·10¹⁷ networks, of whole fronts, and of a space of MobileNetV2s.

Budgets are drawn at random by seed: of MACs, of parameters, of both, and least masses; some are impossible, and then
the proof of that is timed.  Each time is that of the whole call, options of the space included.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from measuring import positive, save
from nnmass.designing import DenseCNNSpace, MobileNetV2Space, Space, design, pareto_front
from nnmass.errors import InfeasibleError

EVERY = tuple(range(8, 129, 8))
LARGE = DenseCNNSpace(widths=(EVERY,) * 3, depth=tuple(range(4, 41)), equal_depths=False, max_density=1)
MOBILE = MobileNetV2Space(
    stages=[
        {"expansion": 1, "channels": [8, 16, 24], "repeats": 1, "stride": 1},
        *(
            {
                "expansion": [3, 3.5, 4, 4.5, 5, 5.5, 6],
                "channels": list(range(8 * (i + 1), 8 * (i + 9), 8)),
                "repeats": [1, 2, 3, 4, 5, 6],
                "stride": 2 if i in (0, 1, 2, 4) else 1,
            }
            for i in range(6)
        ),
    ]
)


def budgets(generator: np.random.Generator, kind: int, *, mobile: bool) -> dict[str, Any]:
    """Random budgets: log-uniform over what the space holds."""
    macs = 10 ** (generator.uniform(7.5, 8.9) if mobile else generator.uniform(7, 9.6))
    params = 10 ** (generator.uniform(6.0, 6.9) if mobile else generator.uniform(5, 7.6))
    mass = 10 ** (generator.uniform(2.3, 3.6) if mobile else generator.uniform(1.5, 3.6))
    return [
        {"max_macs": round(macs)},
        {"max_params": round(params)},
        {"max_macs": round(macs), "max_params": round(params)},
        {"min_mass": mass, "objective": "macs"},
        {"min_mass": mass, "objective": "params", "max_macs": round(macs)},
    ][kind % 5]


def suite(space: Space, problems: int, seed: int, *, mobile: bool) -> dict[str, Any]:
    """Solve random problems and time each."""
    generator, rows = np.random.default_rng(seed), []
    for k in range(problems):
        options = budgets(generator, k, mobile=mobile)
        start = time.perf_counter()
        try:
            found = design(space, **options, outside_domain=True)
            answer = {
                "optimal": found.optimal,
                "nn_mass": found.spec.nn_mass,
                "macs": found.spec.macs,
                "params": found.spec.params,
                "examined": found.certificate.examined,
            }
        except InfeasibleError as error:
            answer = {"infeasible": str(error)}
        rows.append({"budgets": options, "seconds": time.perf_counter() - start} | answer)
    seconds = [row["seconds"] for row in rows]
    result = {
        "space_size": space.size(),
        "problems": problems,
        "proven": sum(row.get("optimal", "infeasible" in row) for row in rows),
        "infeasible": sum("infeasible" in row for row in rows),
        "median_seconds": float(np.median(seconds)),
        "p90_seconds": float(np.quantile(seconds, 0.9)),
        "worst_seconds": max(seconds),
        "rows": rows,
    }
    print(
        f"{space.family}, {space.size():.2e} networks: {result['proven']} of {problems} proven "
        f"({result['infeasible']} impossible), median {result['median_seconds']:.2f} s, worst {max(seconds):.2f} s"
    )
    return result


def fronts(repeats: int) -> dict[str, Any]:
    """Time the whole front of mass and MACs up to 100 M MACs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = pareto_front(LARGE, max_macs=100e6, outside_domain=True)
        times.append(time.perf_counter() - start)
    print(f"front up to 100 M MACs: {len(found):,} networks, {np.median(times):.2f} s")
    return {"networks": len(found), "seconds": times, "median_seconds": float(np.median(times))}


def main() -> None:
    """Solve, print and write."""
    options = argparse.ArgumentParser(prog="design_speed.py", description=__doc__)
    options.add_argument("--problems", type=positive, default=100, help="on each space (default 100)")
    options.add_argument("--repeats", type=positive, default=5, help="of the front (default 5)")
    options.add_argument("--seed", type=int, default=0, help="of the budgets (default 0)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/design_speed.json"), help="result file")
    arguments = options.parse_args()
    large = suite(LARGE, arguments.problems, arguments.seed, mobile=False)
    front = fronts(arguments.repeats)
    mobile = suite(MOBILE, arguments.problems, arguments.seed, mobile=True)
    targets = {
        "large, median under 1 s": large["median_seconds"] < 1,
        "large, worst under 5 s": large["worst_seconds"] < 5,
        "front under 2 s": front["median_seconds"] < 2,
        "MobileNetV2, worst under 10 s": mobile["worst_seconds"] < 10,
    }
    for name, met in targets.items():
        print(f"{'met   ' if met else 'MISSED'}  {name}")
    save(arguments, {"targets": targets, "large": large, "front": front, "mobilenet": mobile})


if __name__ == "__main__":
    main()
