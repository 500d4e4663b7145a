"""The module of a `MobileNetV2` specification; parameters have torchvision's names."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import InvertedResidualShape, MobileNetV2

_DROPOUT = 0.2


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, with a shortcut where the shape allows it.

    Attributes:
        conv: the layers.
        shortcut: whether the input is added.

    Shape:
        (batch, inputs, h, w) → (batch, outputs, ceil(h / stride), ceil(w / stride)).
    """

    def __init__(self, shape: InvertedResidualShape) -> None:
        super().__init__()
        self.shortcut = shape.shortcut
        expansion = [_conv_norm_relu(shape.inputs, shape.hidden)] if shape.expands else []
        depthwise = _conv_norm_relu(shape.hidden, shape.hidden, 3, shape.stride, shape.hidden)
        projection = nn.Conv2d(shape.hidden, shape.outputs, 1, bias=False)
        self.conv = nn.Sequential(*expansion, depthwise, projection, nn.BatchNorm2d(shape.outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Output of the block."""
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2Network(nn.Module):
    """A `MobileNetV2`; made by ``spec.build(seed)``.

    Weights are drawn as torchvision does: convolutions normal with variance 2 / fan_out (He), norms 1 and 0, the linear
    layer normal with standard deviation 0.01.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: MobileNetV2) -> None:
        super().__init__()
        self.spec = spec
        blocks = [InvertedResidual(shape) for shape in spec.blocks]
        stem = _conv_norm_relu(spec.in_channels, spec.stem, 3, 2)
        self.features = nn.Sequential(stem, *blocks, _conv_norm_relu(spec.blocks[-1].outputs, spec.last))
        linear = nn.Linear(spec.last, spec.num_classes)
        self.classifier = nn.Sequential(nn.Dropout(_DROPOUT), linear)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.normal_(linear.weight, 0, 0.01)
        nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        x = F.adaptive_avg_pool2d(self.features(x), 1)
        logits: Tensor = self.classifier(torch.flatten(x, 1))
        return logits


def _conv_norm_relu(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))
