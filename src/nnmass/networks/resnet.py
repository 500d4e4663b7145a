"""The module of a `ResNet` specification; parameters have torchvision's names, so that its weights can be loaded."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import STEM, BlockShape, ResNet


class ResidualBlock(nn.Module):
    """A basic block or a bottleneck: convolutions with batch norm, ReLU between them, the shortcut added, ReLU.

    Attributes:
        conv1, bn1, conv2, bn2, conv3, bn3: the layers; a basic block has two.
        downsample: the projection of the shortcut; None where it is the identity.

    Args:
        shape: of the block.
        groups: of a bottleneck's 3x3 convolution; None for a basic block.

    Shape:
        (batch, inputs, h, w) → (batch, outputs, ceil(h / stride), ceil(w / stride)).
    """

    def __init__(self, shape: BlockShape, groups: int | None) -> None:
        super().__init__()
        inputs, inner, outputs, stride = shape[:4]
        if groups is None:
            convs = [_conv3x3(inputs, inner, stride), _conv3x3(inner, outputs)]
        else:
            first, last = nn.Conv2d(inputs, inner, 1, bias=False), nn.Conv2d(inner, outputs, 1, bias=False)
            convs = [first, _conv3x3(inner, inner, stride, groups), last]
        self.depth = len(convs)
        for i, conv in enumerate(convs, start=1):
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(conv.out_channels))
        projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs)) if shape.projected else None

    def forward(self, x: Tensor) -> Tensor:
        """Output of the block."""
        shortcut = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.depth + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            if i < self.depth:
                x = F.relu(x)
        return F.relu(x + shortcut)


class ResNetNetwork(nn.Module):
    """A `ResNet`; made by ``spec.build(seed)``.

    Weights are drawn as torchvision does: convolutions normal with variance 2 / fan_out (He), norms 1 and 0, the linear
    layer by PyTorch's default.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: ResNet) -> None:
        super().__init__()
        self.spec = spec
        self.conv1 = nn.Conv2d(spec.in_channels, STEM, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        groups = spec.groups if spec.block == "bottleneck" else None
        self.stages = [f"layer{k}" for k in range(1, len(spec.layers) + 1)]
        for name, stage in zip(self.stages, spec.stages, strict=True):
            self.add_module(name, nn.Sequential(*(ResidualBlock(shape, groups) for shape in stage)))
        self.fc = nn.Linear(spec.stages[-1][-1].outputs, spec.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for name in self.stages:
            x = getattr(self, name)(x)
        logits: Tensor = self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
        return logits


def _conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False)
