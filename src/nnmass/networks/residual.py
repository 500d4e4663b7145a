"""What the networks of residual specifications share: stages of blocks, the mean of the last map, a linear layer."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import BlockShape, CifarResNet, ResNet, WideResNet


class ResidualNetwork(nn.Module, ABC):
    """Stages of residual blocks, ``layer1``, ``layer2``, ..., and ``fc``, the linear layer.

    A family adds its own layers, and calls `_add_stages` and `_add_classifier` where their parameters come in order.

    Attributes:
        spec: the specification.
        stages: names of the stages.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: ResNet | CifarResNet | WideResNet) -> None:
        super().__init__()
        self.spec = spec
        self.stages = [f"layer{k}" for k in range(1, len(spec.stages) + 1)]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.fc(torch.flatten(F.adaptive_avg_pool2d(self.features(x), 1), 1))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """The map that is averaged."""
        x = self._enter(x)
        for name in self.stages:
            x = getattr(self, name)(x)
        return self._leave(x)

    @abstractmethod
    def _enter(self, x: Tensor) -> Tensor:
        """What the first stage reads."""

    def _leave(self, x: Tensor) -> Tensor:
        """What is averaged."""
        return x

    def _add_stages(self, block: Callable[[BlockShape], nn.Module]) -> None:
        for name, stage in zip(self.stages, self.spec.stages, strict=True):
            self.add_module(name, nn.Sequential(*map(block, stage)))

    def _add_classifier(self) -> None:
        """Add the linear layer, and draw the convolutions: normal with variance 2 / fan_out."""
        self.fc = nn.Linear(self.spec.stages[-1][-1].outputs, self.spec.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the map's size, but for the stride; no bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False)
