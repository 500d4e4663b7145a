"""How often 95 % prediction intervals hold a new network, where the scatter around the line is even and where not.

Networks lie around a straight line in log mass.  Their scatter at the upper end of the masses is a stated multiple of
that at the lower end, and the logarithm of the scatter is linear in between, or jumps at the middle, which the model of
the intervals does not have; or the networks lie around a parabola that departs from the line by up to two standard
deviations.  A line and its interval are fitted to each of many draws; counted is how many further
networks, at both ends and in the middle, the interval holds, before (the textbook's formula, which takes the scatter to
be even) and after (`nnmass.prediction.LogFit`).  Widths are relative to those of somebody who knows line and scatter.
"""

import argparse
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from measuring import positive
from nnmass.atomic import write_json
from nnmass.prediction import LogFit
from nnmass.provenance import provenance

FloatArray: TypeAlias = npt.NDArray[np.float64]

LEVEL = 0.95
WANTED = 0.93
NETWORKS = (8, 12, 24, 48)
RATIOS = (0.1, 0.25, 1.0, 4.0, 10.0)
SHAPES = ("linear", "jump", "curved")
CURVE = 12.0
PLACES = {"lower end": 0.0, "middle": 0.5, "upper end": 1.0}
LOW, HIGH = np.log(10.0), np.log(100.0)
NEW = 40


def scatter(u: FloatArray, ratio: float, shape: str) -> FloatArray:
    """Standard deviations at shares ``u`` of the range."""
    moved = np.where(u == 0.5, 0.5, u > 0.5) if shape == "jump" else u
    return np.asarray(ratio ** (moved - 0.5))


def expected(u: FloatArray, shape: str) -> FloatArray:
    """Mean outcomes at shares ``u`` of the range."""
    return u - CURVE * (u - 0.5) ** 2 if shape == "curved" else u


def even_scatter(x: FloatArray, y: FloatArray, new: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centre and half width of the textbook's interval: Student's t, one standard deviation for all networks."""
    n, centre = len(x), x.mean()
    spread = ((x - centre) ** 2).sum()
    slope = ((x - centre) * (y - y.mean())).sum() / spread
    residuals = y - y.mean() - slope * (x - centre)
    std = np.sqrt((residuals**2).sum() / (n - 2) * (1 + 1 / n + (new - centre) ** 2 / spread))
    return y.mean() + slope * (new - centre), stdtrit(n - 2, (1 + LEVEL) / 2) * std


def along_the_line(x: FloatArray, y: FloatArray, new: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same of `LogFit`."""
    found = LogFit.fit(np.exp(x), y, outcome="outcome").predict(np.exp(new), level=LEVEL)
    return found.mean, found.high - found.mean


NEW_METHOD = "after: along the line"
METHODS = {"before: even": even_scatter, NEW_METHOD: along_the_line}
CASES: dict[str, tuple[str, tuple[float, ...]]] = {
    "even": ("linear", (1.0,)),
    "4 times at one end": ("linear", (0.25, 4.0)),
    "10 times at one end": ("linear", (0.1, 10.0)),
    "4 times, in a jump": ("jump", (4.0,)),
    "even, around a curve": ("curved", (1.0,)),
}
"""Shape and ratios of the scatter."""


def measure(n: int, ratio: float, shape: str, trials: int, seed: int) -> list[dict[str, Any]]:
    """Coverage and width of both intervals at each place."""
    rng = np.random.default_rng([seed, n, round(1_000 * ratio), SHAPES.index(shape)])
    places = np.array(list(PLACES.values()))
    known = scatter(places, ratio, shape)
    held = {name: np.zeros((trials, len(places))) for name in METHODS}
    widths = {name: np.zeros((trials, len(places))) for name in METHODS}
    for trial in range(trials):
        u = np.clip(np.linspace(0, 1, n) + rng.uniform(-0.02, 0.02, n), 0, 1)
        y = expected(u, shape) + scatter(u, ratio, shape) * rng.normal(size=n)
        others = expected(places, shape)[:, None] + known[:, None] * rng.normal(size=(len(places), NEW))
        for name, method in METHODS.items():
            centre, half = method(LOW + (HIGH - LOW) * u, y, LOW + (HIGH - LOW) * places)
            held[name][trial] = (np.abs(others - centre[:, None]) <= half[:, None]).mean(1)
            widths[name][trial] = half / (known * -stdtrit(1e9, (1 - LEVEL) / 2))
    return [
        {
            "networks": n,
            "ratio": ratio,
            "shape": shape,
            "place": place,
            "method": name,
            "coverage": float(held[name][:, k].mean()),
            "standard_error": float(held[name][:, k].std() / np.sqrt(trials)),
            "relative_width": float(widths[name][:, k].mean()),
        }
        for name in METHODS
        for k, place in enumerate(PLACES)
    ]


def least(rows: list[dict[str, Any]], method: str, shape: str, ratios: tuple[float, ...]) -> dict[str, float]:
    """The least coverage of a method at any place, by number of networks."""
    chosen = [row for row in rows if (row["method"], row["shape"]) == (method, shape) and row["ratio"] in ratios]
    return {str(n): min(row["coverage"] for row in chosen if row["networks"] == n) for n in NETWORKS}


def widest(rows: list[dict[str, Any]], method: str) -> dict[str, float]:
    """The largest mean width at any place where the scatter is even, by number of networks."""
    chosen = [row for row in rows if (row["method"], row["shape"], row["ratio"]) == (method, "linear", 1.0)]
    return {str(n): max(row["relative_width"] for row in chosen if row["networks"] == n) for n in NETWORKS}


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="interval_coverage.py", description="Coverage of prediction intervals.")
    options.add_argument("--trials", type=positive, default=500, help="lines of each kind (default 500)")
    options.add_argument("--seed", type=int, default=0, help="of everything drawn (default 0)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/interval_coverage.json"), help="result")
    arguments = options.parse_args()
    cases = [(n, ratio, "linear") for n in NETWORKS for ratio in RATIOS] + [
        (n, *other) for n in NETWORKS for other in ((4.0, "jump"), (1.0, "curved"))
    ]
    rows = [row for case in cases for row in measure(*case, arguments.trials, arguments.seed)]
    summary = {f"{method}, {title}": least(rows, method, *case) for method in METHODS for title, case in CASES.items()}
    for name, found in summary.items():
        print(f"least coverage, {name:60} " + "  ".join(f"n={n} {value:.3f}" for n, value in found.items()))
    targets = {
        title: {"at_least": WANTED, "coverage": min(summary[f"{NEW_METHOD}, {title}"].values())}
        for title in list(CASES)[:2]
    }
    for target in targets.values():
        target["met"] = target["coverage"] >= WANTED
    header = provenance(seed=arguments.seed) | {"trials": arguments.trials, "level": LEVEL}
    found = {"cases": list(CASES), "methods": list(METHODS), "targets": targets, "least_coverage": summary}
    widths = {method: widest(rows, method) for method in METHODS}
    print(f"written to {write_json(arguments.out, header | found | {'widths_of_even': widths, 'rows': rows})}")


if __name__ == "__main__":
    main()
