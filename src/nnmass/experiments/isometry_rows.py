"""Measured isometry of many specifications, kept row by row in a JSON file, so that a stopped run goes on."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from nnmass import atomic
from nnmass.architectures import DenseMLP, LinkedSpecification
from nnmass.data import Dataset
from nnmass.errors import StoreError
from nnmass.files import read_json
from nnmass.propagation import expected_isometry, isometry
from nnmass.training.batches import to_tensors

RowProgress = Callable[[int, int], None]
"""Called with rows done and rows in all."""


@dataclass(frozen=True)
class IsometryRow:
    """One specification under one initialisation.

    Attributes:
        init: initialisation of the weights.
        activation: of the network.
        depth: layers of a cell.
        max_skips: of the first cell.
        nn_mass: NN-Mass.
        degree: average degree, mean over cells.
        density: mean over cells.
        params: trainable parameters.
        macs: multiply-accumulates of one input.
        mean: mean singular value of the hidden layers, averaged over initialisations.
        standard_error: of ``mean`` over initialisations.
        std: standard deviation of the hidden layers' singular values.
        error: standard error of ``mean`` by Lanczos quadrature; 0 where it is exact.
        all_mean: mean singular value of all layers.
        all_standard_error: of ``all_mean``.
        expected: theory's ``mean``.
        all_expected: theory's ``all_mean``.
        short_form: the paper's short form of the theory, f at w + m/2 for linear layers.
    """

    init: str
    activation: str
    depth: int
    max_skips: int
    nn_mass: float
    degree: float
    density: float
    params: int
    macs: int
    mean: float
    standard_error: float
    std: float
    error: float
    all_mean: float
    all_standard_error: float
    expected: float
    all_expected: float
    short_form: float

    @classmethod
    def measure(
        cls, spec: LinkedSpecification, init: str, inputs: Tensor, *, initialisations: int, probes: int
    ) -> Self:
        """Measure and predict one specification."""
        found = isometry(spec, inputs, initialisations=initialisations, init=init, probes=probes)
        theory = expected_isometry(spec, init, input_mean_square=float(inputs.double().square().mean()))
        cells = spec.cells
        values = [found.mean, found.standard_error, found.std, found.error, found.all_mean, found.all_standard_error]
        measured = [_known(value) for value in [*values, theory.mean, theory.all_mean, theory.short_form]]
        return cls(
            init,
            spec.activation if isinstance(spec, DenseMLP) else "relu",
            cells[0].depth,
            cells[0].max_skips,
            spec.nn_mass,
            float(np.mean([cell.average_degree for cell in cells])),
            float(np.mean([cell.density for cell in cells])),
            spec.params,
            spec.macs,
            *measured,
        )


def measure_rows(
    plan: Sequence[tuple[LinkedSpecification, str]],
    inputs: Tensor,
    path: Path,
    *,
    initialisations: int,
    probes: int = 1,
    progress: RowProgress | None = None,
) -> list[IsometryRow]:
    """Measure every specification under its initialisation; what the file has is not measured again.

    Args:
        plan: specifications and initialisations.
        inputs: (inputs, ...), the same for all.
        path: JSON file of the rows; written after each of them.
        initialisations: networks per row, seeds 0, 1, ...
        probes: per network, where Lanczos quadrature is used.
        progress: told of rows.

    Raises:
        StoreError: the file is not one of rows.
    """
    kept = _read(path)
    digest = hashlib.sha256(inputs.numpy().tobytes()).hexdigest()
    rows = []
    for done, (spec, init) in enumerate(plan):
        if progress:
            progress(done, len(plan))
        values = [spec.model_dump(mode="json"), init, digest, initialisations, probes]
        key = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]
        if key not in kept:
            row = IsometryRow.measure(spec, init, inputs, initialisations=initialisations, probes=probes)
            kept[key] = asdict(row)
            atomic.write_json(path, kept)
        rows.append(IsometryRow(**kept[key]))
    if progress:
        progress(len(plan), len(plan))
    return rows


def evenly_spread(data: Dataset, count: int) -> Tensor:
    """Take so many training inputs, evenly spaced, normalised as for training."""
    positions = np.linspace(0, len(data.train) - 1, min(count, len(data.train))).astype(int)
    return to_tensors(data, data.train[positions], device=torch.device("cpu")).inputs


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        kept = read_json(path, what="such a file")
        names = {field.name for field in fields(IsometryRow)}
        if not all(set(row) == names for row in kept.values()):
            raise ValueError("its rows have other columns")
    except (ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} does not hold rows of measured isometry ({error}); move it away") from None
    found: dict[str, dict[str, Any]] = kept
    return found


def _known(value: float | None) -> float:
    assert value is not None  # every specification of an experiment has hidden layers
    return value
