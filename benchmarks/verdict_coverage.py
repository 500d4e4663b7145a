"""How often 95 % intervals of a measured difference hold the true one, for seeds and test samples with a known truth.

A network classifies a sample rightly where a + d·x + s·u + e > 0: x is the sample's difficulty, of which both networks
share half the variance, u the seed's quality, e what seed and sample make together, all standard normal.  Its true
accuracy is then Φ(a / sqrt(1 + d² + s²)).  Beside our intervals, sample by sample (paired) and not, stands Student's t
interval of the differences over seeds alone.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from nnmass.atomic import write_json
from nnmass.provenance import provenance
from nnmass.verification import Measured, MeasuredDifference

SEEDS = (3, 5, 10)
SAMPLES = (100, 1_000, 10_000)
DIFFICULTY = 2.0
CASES = {
    "equal at 93 %, seeds scatter": (0.93, 0.93, 0.15),
    "equal at 93 %, seeds hardly scatter": (0.93, 0.93, 0.02),
    "92 % and 94 %": (0.92, 0.94, 0.1),
    "99.5 % and 99.7 %": (0.995, 0.997, 0.1),
    "37 % and 40 %": (0.37, 0.40, 0.1),
}
TRIALS = {100: 2_000, 1_000: 2_000, 10_000: 1_000}
LEAST = 0.93


def draw(rng: np.random.Generator, shape: tuple[int, int], accuracies: tuple[float, float], scatter: float) -> Any:
    """Answers of two networks, (2, seeds, samples), trained and measured once."""
    seeds, samples = shape
    shared, own = rng.standard_normal((1, 1, samples)), rng.standard_normal((2, 1, samples))
    level = special.ndtri(accuracies) * np.sqrt(1 + DIFFICULTY**2 + scatter**2)
    quality = scatter * rng.standard_normal((2, seeds, 1))
    difficulty = DIFFICULTY * np.sqrt(0.5) * (shared + own)
    noise = rng.standard_normal((2, *shape), dtype=np.float32)
    return level[:, None, None] + difficulty + quality + noise > 0


def intervals(answers: Any) -> dict[str, tuple[float, float]]:
    """By method, the interval of the difference."""
    shares = answers.mean(2)
    reference, compressed = (Measured(tuple(row.tolist()), answers.shape[2], 0.1) for row in shares)
    by_seed = shares[1] - shares[0]
    mean, half = by_seed.mean(), stats.t.ppf(0.975, len(by_seed) - 1) * by_seed.std(ddof=1) / np.sqrt(len(by_seed))
    ours = {
        "paired": MeasuredDifference(reference, compressed, (answers[0], answers[1])),
        "unpaired": MeasuredDifference(reference, compressed),
    }
    found = {name: one.interval for name, one in ours.items()}
    return {name: interval for name, interval in found.items() if interval} | {"t": (mean - half, mean + half)}


def coverage(shape: tuple[int, int], case: tuple[float, float, float], seed: int) -> dict[str, dict[str, float]]:
    """Per method the share of intervals that hold the true difference, and their mean width in points."""
    low, high, scatter = case
    rng = np.random.default_rng(seed)
    trials = [intervals(draw(rng, shape, (low, high), scatter)) for _ in range(TRIALS[shape[1]])]
    rows = {name: np.array([trial[name] for trial in trials]) for name in trials[0]}
    return {
        name: {
            "coverage": float(((ends[:, 0] <= high - low) & (ends[:, 1] >= high - low)).mean()),
            "mean_width_points": float(100 * np.diff(ends).mean()),
        }
        for name, ends in rows.items()
    }


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="verdict_coverage.py", description="Coverage of measured differences.")
    options.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/verdict_coverage.json"), help="result")
    arguments = options.parse_args()
    rows = []
    for name, case in CASES.items():
        for shape in ((seeds, samples) for seeds in SEEDS for samples in SAMPLES):
            found = coverage(shape, case, arguments.seed)
            rows.append({"case": name, "seeds": shape[0], "samples": shape[1], **found})
            print(f"{name:36} {shape[0]:3} × {shape[1]:6,}", *(f"{k} {v['coverage']:.3f}" for k, v in found.items()))
    least = {name: min(row[name]["coverage"] for row in rows) for name in ("paired", "unpaired", "t")}
    print(f"least coverage: {least}")
    header = provenance(seed=arguments.seed) | {"trials": TRIALS, "target": LEAST, "least_coverage": least}
    print(f"written to {write_json(arguments.out, header | {'rows': rows})}")


if __name__ == "__main__":
    main()
