"""From stored runs to networks with their mean accuracy over seeds."""

from collections.abc import Sequence

import numpy as np

from nnmass.errors import FitError
from nnmass.prediction import Network
from nnmass.sweeps.store import StoredRun


def seed_means(runs: Sequence[StoredRun]) -> list[Network]:
    """Average the test accuracy of each specification over its seeds; diverged runs are left out.

    Networks are in the order of their parameters, whichever was trained first.

    Args:
        runs: of one data set, trained alike.

    Raises:
        FitError: no finished run, or runs on several data sets or trained in several ways.
    """
    finished = [run for run in runs if run.test_accuracy is not None]
    if not finished:
        raise FitError(f"no finished runs among {len(runs)}")
    for name in ("data", "training"):
        values = sorted({getattr(run, name) for run in finished})
        if len(values) > 1:
            raise FitError(f"a fit needs runs with one {name}, got {len(values)}: {'; '.join(values)}")
    by_spec: dict[str, list[StoredRun]] = {}
    for run in finished:
        by_spec.setdefault(run.spec, []).append(run)
    networks = [_network(sorted(members, key=lambda run: run.seed)) for members in by_spec.values()]
    return sorted(networks, key=lambda network: (network.params, network.nn_mass, network.accuracy))


def _network(runs: Sequence[StoredRun]) -> Network:
    accuracies = [run.test_accuracy for run in runs if run.test_accuracy is not None]
    first = runs[0]
    return Network(
        nn_mass=first.nn_mass,
        params=first.params,
        macs=first.macs,
        accuracy=float(np.mean(accuracies)),
        seeds=len(accuracies),
        accuracy_std=float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0,
        group=first.depth,
    )
