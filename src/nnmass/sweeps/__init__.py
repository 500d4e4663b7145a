"""Many runs: what to train, where to keep it, and who trains it."""

from typing import TYPE_CHECKING

from nnmass.faces import on_demand

if TYPE_CHECKING:
    from nnmass.sweeps.cluster import RayOptions
    from nnmass.sweeps.jobs import data_label
    from nnmass.sweeps.plan import Run, grid, plan_runs
    from nnmass.sweeps.processes import SweepProgress
    from nnmass.sweeps.runner import STACK_SIZE, run_sweep
    from nnmass.sweeps.store import RunStore, StoredRun, stored_run
    from nnmass.sweeps.summary import chosen_runs, seed_means

__all__ = [
    "STACK_SIZE",
    "RayOptions",
    "Run",
    "RunStore",
    "StoredRun",
    "SweepProgress",
    "chosen_runs",
    "data_label",
    "grid",
    "plan_runs",
    "run_sweep",
    "seed_means",
    "stored_run",
]

__getattr__ = on_demand(__name__)
