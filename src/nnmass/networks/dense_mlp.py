"""The module of a `DenseMLP` specification."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import Activation, DenseMLP
from nnmass.networks.skips import LayerInput, SkipLinks

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "elu": F.elu,
    "relu": F.relu,
    "selu": F.selu,
    "tanh": torch.tanh,
    "linear": lambda x: x,
}


class DenseMLPNetwork(nn.Module):
    """A `DenseMLP`; made by ``spec.build(seed)``.

    Attributes:
        layers: the linear layers; the weight columns of layer i are those of layer i-1's outputs, then of the skips.
        skips: the links.

    Shape:
        (batch, ...) with ``in_features`` values per input → (batch, num_classes).
    """

    def __init__(self, spec: DenseMLP) -> None:
        super().__init__()
        if spec.links is None:
            raise ValueError("a network is made of a specification with links: spec.build(seed)")
        self._spec = spec.without_links()
        cell = spec.cells[0]
        inputs = [spec.in_features] + [spec.width + skips for skips in cell.layer_skips[1:]]
        outputs = [spec.width] * (spec.depth - 1) + [spec.num_classes]
        self.layers = nn.ModuleList(map(nn.Linear, inputs, outputs))
        self.skips = SkipLinks(cell, spec.links[0])

    @property
    def spec(self) -> DenseMLP:
        """The specification, with the links that this network has now."""
        return self._spec.model_copy(update={"links": (self.skips.links,)})

    def linear(self, i: int) -> nn.Linear:
        """Layer i."""
        layer = self.layers[i]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        activation = ACTIVATIONS[self._spec.activation]
        inputs = self.skips.start()
        x = self.layers[0](x.flatten(1))
        for i, layer in enumerate(self.layers[1:], start=1):
            self.skips.send(i - 1, activation(x), inputs)
            x = layer(inputs[i].joined())
            inputs[i] = LayerInput()  # what was read is let go
        return x
