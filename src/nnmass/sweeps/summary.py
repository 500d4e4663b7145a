"""From stored runs to networks with their mean accuracy over seeds."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from nnmass.errors import FitError, InvalidValueError, StoreError, first_line
from nnmass.prediction import Network, Origin
from nnmass.sweeps.store import StoredRun
from nnmass.training import TrainingConfig


def seed_means(runs: Sequence[StoredRun]) -> list[Network]:
    """Average the test accuracy of each specification over its seeds; diverged runs are left out.

    Runs of a specification on several data sets, or trained in several ways, make several networks; `compare` refuses
    those together.  Networks are in the order of their parameters, whichever was trained first.

    Args:
        runs: of a store.

    Raises:
        FitError: no finished run.
        SpecificationError: a row holds no specification.
        StoreError: a row holds no training configuration.
    """
    finished = [run for run in runs if run.test_accuracy is not None]
    if not finished:
        raise FitError(f"no finished runs among {len(runs)}")
    alike: dict[tuple[str, str, str], list[StoredRun]] = {}
    for run in finished:
        alike.setdefault((run.specification.model_dump_json(), run.data, _training_text(run)), []).append(run)
    networks = [_network(sorted(members, key=lambda run: run.seed)) for members in alike.values()]
    return sorted(networks, key=lambda network: (network.params, network.nn_mass, network.accuracy))


def chosen_runs(runs: Sequence[StoredRun], only: Mapping[str, Any]) -> list[StoredRun]:
    """Those runs of which something is as it is wanted.

    Args:
        runs: of a store.
        only: values of ``data`` (its name is enough), of ``family``, of keys or traits of specifications, or of
            trainings.

    Raises:
        InvalidValueError: no run has such a key.
        FitError: no run has such a value; says which there are.
    """
    kept = list(runs)
    for key, wanted in only.items():
        values = [_value(run, key) for run in kept]
        if all(value is None for value in values):
            raise InvalidValueError(f"{key}: no run has it, in its specification or its training")
        rest = [run for run, value in zip(kept, values, strict=True) if _is(value, wanted)]
        if not rest:
            there = "; ".join(dict.fromkeys(str(value) for value in values))
            raise FitError(f"no run has {key} {wanted}, but {there}")
        kept = rest
    return kept


def _value(run: StoredRun, key: str) -> Any:
    if key == "data":
        return run.data
    spec = run.specification
    values = json.loads(_training_text(run)) | spec.traits | spec.model_dump(mode="json")
    value = values.get(key)
    return list(value) if isinstance(value, tuple) else value


def _is(value: Any, wanted: Any) -> bool:
    return bool(value == wanted or (isinstance(value, str) and value.startswith(f"{wanted} (")))


def _training_text(run: StoredRun) -> str:
    try:
        return _complete(run.training)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"run {run.key[:40]}: is no training configuration ({first_line(error)})") from None


@lru_cache
def _complete(training: str) -> str:
    """A configuration with what earlier versions did not know, and so did not store."""
    return TrainingConfig(**json.loads(training)).model_dump_json()


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
        origin=Origin(first.specification, first.data, json.loads(_training_text(first))),
    )
