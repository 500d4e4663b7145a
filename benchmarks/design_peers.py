"""Heuristics on the solver's problems: random search, a genetic algorithm, SHGO, and Optuna's TPE and NSGA-II.

Each gets as much time as the proven optimum took, and then ten times as much.  A gap is how far the best network that
keeps to the budget lies below the proven optimum; a run that found none is counted apart.
"""

import argparse
import math
import multiprocessing
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from scipy.optimize import shgo

from design_speed import LARGE
from measuring import positive, save
from nnmass.architectures import dense_cnn_costs
from nnmass.designing import design

WIDTHS = np.array(LARGE.widths[0])
DEPTHS = np.array(LARGE.depth)
CELLS = len(LARGE.widths)
Genes = np.ndarray
"""(networks, 9) of [0, 1): width, depth and share of the possible skips of each cell."""


class Task:
    """The largest mass within a budget of MACs, until a deadline; keeps the best.

    Attributes:
        budget: multiply-accumulates.
        deadline: of the clock.
        best: largest mass within the budget so far; 0 if none.
        tried: networks that were weighed.
    """

    def __init__(self, budget: int, seconds: float) -> None:
        self.budget, self.deadline = budget, time.perf_counter() + seconds
        self.best, self.tried = 0.0, 0

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() > self.deadline

    def weigh(self, genes: Genes) -> np.ndarray:
        """Mass of networks within the budget; others are negative, the more the dearer."""
        widths, depths, skips = decoded(genes)
        costs = dense_cnn_costs(widths, depths, skips)
        if self.over:  # what comes too late does not count
            return np.full(len(genes), -np.inf)
        self.tried += len(genes)
        fits = costs.macs <= self.budget
        value = np.where(fits, costs.nn_mass, -costs.macs / self.budget)
        self.best = max(self.best, float(value.max()))
        return np.asarray(value)


def decoded(genes: Genes) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Widths, depths and skips of every cell."""
    parts = np.clip(genes, 0, np.nextafter(1, 0)).reshape(len(genes), CELLS, 3)
    widths = WIDTHS[(parts[..., 0] * len(WIDTHS)).astype(int)]
    depths = DEPTHS[(parts[..., 1] * len(DEPTHS)).astype(int)]
    skips = (parts[..., 2] * (widths * (depths - 2) + 1)).astype(int)
    return list(widths.T), list(depths.T), list(skips.T)


def random_search(task: Task, seed: int) -> None:
    """Networks drawn uniformly, many at a time."""
    generator = np.random.default_rng(seed)
    while not task.over:
        task.weigh(generator.random((20_000, 3 * CELLS)))


def genetic(task: Task, seed: int, population: int = 2_000) -> None:
    """Tournaments, uniform crossover, Gaussian and resetting mutation; the best tenth stays."""
    generator = np.random.default_rng(seed)
    genes = generator.random((population, 3 * CELLS))
    value = task.weigh(genes)
    while not task.over:
        pairs = generator.integers(population, size=(2, 2, population))
        winners = np.where(value[pairs[:, 0]] >= value[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
        children = np.where(generator.random(genes.shape) < 0.5, genes[winners[0]], genes[winners[1]])
        changed = generator.random(genes.shape) < 0.15
        scale = 10 ** generator.uniform(-4, -0.5, genes.shape)
        children = np.where(changed, children + scale * generator.standard_normal(genes.shape), children)
        reset = generator.random(genes.shape) < 0.02
        children = np.clip(np.where(reset, generator.random(genes.shape), children), 0, 1)
        children[: population // 10] = genes[np.argsort(-value)[: population // 10]]
        genes, value = children, task.weigh(children)


def simplicial(task: Task, seed: int) -> None:
    """SHGO (simplicial homology global optimisation), the method of the FLASH follow-up, on the penalised mass.

    Its triangulation, which in nine dimensions takes long, does not look at the clock: it runs in a process of its own,
    which is ended at the deadline, and what it has found until then counts.
    """
    context = multiprocessing.get_context("fork")
    best, tried = context.Value("d", 0.0), context.Value("q", 0)

    def negative(genes: np.ndarray) -> float:
        value = float(task.weigh(genes[None])[0])
        best.value, tried.value = task.best, task.tried
        return -value

    def search() -> None:
        warnings.simplefilter("ignore")
        iterations = 1
        while True:
            shgo(negative, [(0, 1)] * (3 * CELLS), iters=iterations, sampling_method="simplicial")
            iterations += 1

    process = context.Process(target=search, daemon=True)
    process.start()
    process.join(max(task.deadline - time.perf_counter(), 0.01))
    process.kill()
    process.join()
    task.best, task.tried = best.value, tried.value


def with_optuna(make: Callable[[int], optuna.samplers.BaseSampler]) -> Callable[[Task, int], None]:
    """A search by one of Optuna's samplers, budgets as constraints."""

    def search(task: Task, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=make(seed), direction="maximize")

        def objective(trial: optuna.Trial) -> float:
            genes = [trial.suggest_float(f"gene{i}", 0, 1) for i in range(3 * CELLS)]
            value = float(task.weigh(np.array([genes]))[0])
            trial.set_constraint("macs", -value if value < 0 else 0.0)
            return max(value, -1e6)

        study.optimize(objective, timeout=max(task.deadline - time.perf_counter(), 0.01))

    return search


METHODS: dict[str, Callable[[Task, int], None]] = {
    "random search": random_search,
    "genetic algorithm": genetic,
    "SHGO": simplicial,
    "Optuna TPE": with_optuna(lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "Optuna NSGA-II": with_optuna(lambda seed: optuna.samplers.NSGAIISampler(seed=seed)),
}


def main() -> None:
    """Run all methods on all problems, print and write."""
    options = argparse.ArgumentParser(prog="design_peers.py", description=__doc__)
    options.add_argument("--problems", type=positive, default=8, help="budgets (default 8)")
    options.add_argument("--longer", type=positive, default=10, help="times the solver's own time (default 10)")
    options.add_argument("--seed", type=int, default=0, help="of budgets and methods (default 0)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/design_peers.json"), help="result file")
    arguments = options.parse_args()
    generator = np.random.default_rng(arguments.seed)
    rows: list[dict[str, Any]] = []
    for k in range(arguments.problems):
        budget = round(10 ** generator.uniform(7.3, 9.3))
        start = time.perf_counter()
        exact = design(LARGE, max_macs=budget, outside_domain=True)
        own = time.perf_counter() - start
        for name, method in METHODS.items():
            for factor in (1, arguments.longer):
                task = Task(budget, own * factor)
                method(task, arguments.seed + k)
                gap = 1 - task.best / exact.spec.nn_mass if task.best else None
                rows.append(
                    {
                        "method": name,
                        "times_the_solver": factor,
                        "max_macs": budget,
                        "optimum": exact.spec.nn_mass,
                        "solver_seconds": own,
                        "found": task.best,
                        "gap": gap,
                        "tried": task.tried,
                    }
                )
        print(f"{budget:,} MACs: optimum {exact.spec.nn_mass:,.1f} in {own:.2f} s")
    summary = [summed(name, factor, rows) for factor in (1, arguments.longer) for name in METHODS]
    for row in summary:
        gaps = "none found" if row["median_gap"] is None else f"{row['median_gap']:7.2%} (to {row['largest_gap']:.2%})"
        print(
            f"{row['method']:18} × {row['times_the_solver']:<3} gap {gaps}, optimum met {row['met']} of {row['runs']}, "
            f"nothing within the budget {row['nothing']}, median {row['median_tried']:,.0f} networks"
        )
    save(arguments, {"space_size": LARGE.size(), "summary": summary, "rows": rows})


def summed(name: str, factor: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One method's gaps."""
    own = [row for row in rows if row["method"] == name and row["times_the_solver"] == factor]
    gaps = [row["gap"] for row in own if row["gap"] is not None]
    return {
        "method": name,
        "times_the_solver": factor,
        "runs": len(own),
        "nothing": len(own) - len(gaps),
        "median_gap": float(np.median(gaps)) if gaps else None,
        "largest_gap": max(gaps) if gaps else None,
        "met": sum(math.isclose(row["found"], row["optimum"], rel_tol=1e-9) for row in own),
        "median_tried": float(np.median([row["tried"] for row in own])),
    }


if __name__ == "__main__":
    main()
