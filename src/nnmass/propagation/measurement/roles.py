"""Which recorded layers make up one layer of a network, and which of those are hidden."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from torch import nn

from nnmass.networks import DenseCNNNetwork, DenseMLPNetwork
from nnmass.propagation.measurement.linear_maps import LayerJacobian

_CELL_LAYER = re.compile(r"cells\.\d+\.layers\.(\d+)")


def whole_layers(model: nn.Module, recorded: Sequence[LayerJacobian]) -> list[tuple[LayerJacobian, bool]]:
    """Join what belongs together, and say of each layer whether it is hidden.

    The convolutions of a separable layer of a `DenseCNN` become one layer.  Hidden are those layers that lead from
    nodes of a cell to a node of the same cell: 1 ... d-2 of a `DenseMLP`, 1 ... d-1 of each cell of a `DenseCNN`; of
    any other model all layers but the first and the last.
    """
    if isinstance(model, DenseCNNNetwork):
        joined = [_join(name, list(parts)) for name, parts in groupby(recorded, lambda layer: _layer_of(layer.name))]
        return [(layer, _index(layer.name) > 0) for layer in joined]
    last = len(model.layers) - 1 if isinstance(model, DenseMLPNetwork) else len(recorded) - 1
    return [(layer, 0 < i < last) for i, layer in enumerate(recorded)]


def _layer_of(name: str) -> str:
    found = _CELL_LAYER.match(name)
    return found[0] if found else name


def _index(name: str) -> int:
    found = _CELL_LAYER.fullmatch(name)
    return int(found[1]) if found else 0


def _join(name: str, parts: Sequence[LayerJacobian]) -> LayerJacobian:
    return replace(parts[0], name=name, factors=tuple(factor for part in parts for factor in part.factors))
