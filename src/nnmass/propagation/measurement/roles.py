"""Which recorded layers make up one layer of a network, and which of those are hidden."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from torch import nn

from nnmass.networks import DenseCNNNetwork, DenseMLPNetwork
from nnmass.propagation.measurement.linear_maps import LayerJacobian

_CELL_LAYER = re.compile(r"cells\.\d+\.layers\.(\d+)")


def norms_that_belong(model: nn.Module) -> Callable[[str, str], bool]:
    """Return whether the norm in one module belongs to the layer in another, which it follows directly.

    The norm that begins a layer of a `DenseCNN` belongs to that layer, whether or not skips join what it reads.  In any
    other model it belongs to the layer before.
    """
    if isinstance(model, DenseCNNNetwork):
        return lambda norm, layer: _layer_of(norm) == _layer_of(layer)
    return lambda norm, layer: True


def whole_layers(
    model: nn.Module, recorded: Sequence[LayerJacobian], order: Sequence[str]
) -> list[tuple[LayerJacobian, bool]]:
    """Join what belongs together, and say of each layer whether it is hidden.

    The convolutions of a separable layer of a `DenseCNN` become one layer.  Hidden are those layers that lead from
    nodes of a cell to a node of the same cell: 1 ... d-2 of a `DenseMLP`, 1 ... d-1 of each cell of a `DenseCNN`; of
    any other model all layers but the first and the last that ran.

    Args:
        model: the network.
        recorded: in the order in which they ran.
        order: names of all layers that ran, also of those that could not be recorded.
    """
    if isinstance(model, DenseCNNNetwork):
        joined = [_join(name, list(parts)) for name, parts in groupby(recorded, lambda layer: _layer_of(layer.name))]
        return [(layer, _index(layer.name) > 0) for layer in joined]
    ends = (
        ("layers.0", f"layers.{len(model.layers) - 1}")
        if isinstance(model, DenseMLPNetwork)
        else (*order[:1], *order[-1:])
    )
    return [(layer, layer.name not in ends) for layer in recorded]


def _layer_of(name: str) -> str:
    found = _CELL_LAYER.match(name)
    return found[0] if found else name


def _index(name: str) -> int:
    found = _CELL_LAYER.fullmatch(name)
    return int(found[1]) if found else 0


def _join(name: str, parts: Sequence[LayerJacobian]) -> LayerJacobian:
    return replace(parts[0], name=name, factors=tuple(factor for part in parts for factor in part.factors))
