"""The module of a `DenseCNN` specification."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import POOLED, Convolution, DenseCNN
from nnmass.networks.preactivation import Statistics, batch_statistics, is_plain, norm_relu_conv
from nnmass.networks.skips import LayerInput, SkipLinks
from nnmass.topology import Cell, CellLinks


class DenseLayer(nn.Module):
    """Layer i >= 2 of a cell: batch norm, ReLU and a convolution.

    Attributes:
        norm: batch norm of the input.
        conv: the convolution that reads it, 3x3, or the first 1x1 of a separable one.
        rest: the rest of a separable convolution.

    Args:
        inputs: channels in, the skips included.
        outputs: channels out.
        conv: kind of convolution.
    """

    def __init__(self, inputs: int, outputs: int, conv: Convolution) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        first, *rest = _convolution(conv, inputs, outputs)
        assert isinstance(first, nn.Conv2d)
        self.conv = first
        self.rest = nn.Sequential(*rest)

    def forward(self, layer_input: LayerInput, outputs: list[Tensor], statistics: list[Statistics]) -> Tensor:
        """Output of the layer; ``outputs`` and ``statistics`` are those of the earlier layers of the cell.

        Without statistics, or where `is_plain` says no, the modules are called one after the other.
        """
        if statistics and is_plain(self.norm, self.conv) and outputs[-1].dtype == self.norm.weight.dtype:
            x = norm_relu_conv(self.norm, self.conv, layer_input, outputs, statistics)
        else:
            x = self.conv(F.relu(self.norm(layer_input.joined()), inplace=True))
        output: Tensor = self.rest(x)
        return output


class DenseCell(nn.Module):
    """One cell of a `DenseCNN`.

    Attributes:
        layers: layers 0 and 1 end with batch norm; the others begin with it.
        skips: the links.

    Args:
        cell: width, depth and skips.
        links: per layer the channels it skips from.
        inputs: channels in.
        conv: kind of convolution.
        first: the network's first cell: layer 0 has stride 1 and is a regular convolution in either kind.

    Shape:
        (batch, inputs, h, w) → (batch, width, h, w) in the first cell, (batch, width, ceil(h/2), ceil(w/2)) later.
    """

    def __init__(self, cell: Cell, links: CellLinks, *, inputs: int, conv: Convolution, first: bool) -> None:
        super().__init__()
        width = cell.width
        stem = _convolution("regular", inputs, width) if first else _convolution(conv, inputs, width, stride=2)
        self.layers = nn.ModuleList([nn.Sequential(*stem, nn.BatchNorm2d(width))])
        if cell.depth > 1:
            self.layers.append(nn.Sequential(nn.ReLU(), *_convolution(conv, width, width), nn.BatchNorm2d(width)))
        self.layers.extend(DenseLayer(width + skips, width, conv) for skips in cell.layer_skips[2:])
        self.skips = SkipLinks(cell, links)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the last layer."""
        inputs = self.skips.start()
        outputs: list[Tensor] = []
        statistics: list[Statistics] = []
        with_statistics = torch.is_grad_enabled() and self.training
        for i, layer in enumerate(self.layers):
            layer_input, inputs[i] = inputs[i], LayerInput()  # what was read is let go
            x = layer(x) if i < 2 else layer(layer_input, outputs, statistics)
            self.skips.send(i, x, inputs)
            outputs.append(x)
            if with_statistics and i + 1 < len(self.layers):
                statistics.append(batch_statistics(x))
        return x


class DenseCNNNetwork(nn.Module):
    """A `DenseCNN`; made by ``spec.build(seed)``.

    Attributes:
        cells: the cells.
        classifier: the linear layer on the pooled map.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: DenseCNN) -> None:
        super().__init__()
        if spec.links is None:
            raise ValueError("a network is made of a specification with links: spec.build(seed)")
        self._spec = spec.without_links()
        entering = (spec.in_channels, *spec.widths)
        self.cells = nn.ModuleList(
            DenseCell(cell, links, inputs=entering[k], conv=spec.conv, first=k == 0)
            for k, (cell, links) in enumerate(zip(spec.cells, spec.links, strict=True))
        )
        self.classifier = nn.Linear(POOLED**2 * spec.widths[-1], spec.num_classes)

    @property
    def spec(self) -> DenseCNN:
        """The specification, with the links that this network has now."""
        return self._spec.model_copy(
            update={"links": tuple(m.links for m in self.modules() if isinstance(m, SkipLinks))}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        for cell in self.cells:
            x = cell(x)
        x = F.adaptive_avg_pool2d(x, POOLED)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


def _convolution(kind: Convolution, inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Make a 3x3 convolution, or in its place: 1x1, depthwise 3x3 and 1x1, each with batch norm, ReLU between them."""
    if kind == "regular":
        return [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)]
    return [
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, stride, padding=1, groups=outputs, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    ]
