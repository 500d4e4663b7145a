"""The module of a `WideResNet` specification."""

from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import WIDE_STEM, BlockShape, WideResNet
from nnmass.networks.residual import ResidualNetwork, conv3x3


class PreactivationBlock(nn.Module):
    """Batch norm, ReLU and a 3x3 convolution, twice, and the shortcut added.

    Attributes:
        bn1, conv1, bn2, conv2: the layers; dropout acts on what ``conv2`` reads.
        downsample: the 1x1 convolution of the shortcut, which reads what ``conv1`` does; None where it is the identity.

    Args:
        shape: of the block.
        dropout: probability.

    Shape:
        (batch, inputs, h, w) → (batch, outputs, ceil(h / stride), ceil(w / stride)).
    """

    def __init__(self, shape: BlockShape, dropout: float) -> None:
        super().__init__()
        inputs, inner, outputs, stride = shape[:4]
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3x3(inputs, inner, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(inner), conv3x3(inner, outputs)
        self.dropout = nn.Dropout(dropout)
        self.downsample = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if shape.projected else None

    def forward(self, x: Tensor) -> Tensor:
        """Output of the block."""
        active = F.relu(self.bn1(x))
        y: Tensor = self.conv2(self.dropout(F.relu(self.bn2(self.conv1(active)))))
        return y + (x if self.downsample is None else self.downsample(active))


class WideResNetNetwork(ResidualNetwork):
    """A `WideResNet`; made by ``spec.build(seed)``.

    Weights are drawn as the published Torch code does: convolutions normal with variance 2 / fan_out (He), norms 1 and
    0, the linear layer by the default, but its bias 0.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: WideResNet) -> None:
        super().__init__(spec)
        self.conv1 = conv3x3(spec.in_channels, WIDE_STEM)
        self._add_stages(lambda shape: PreactivationBlock(shape, spec.dropout))
        self.bn1 = nn.BatchNorm2d(spec.widths[-1])
        self._add_classifier()
        nn.init.zeros_(self.fc.bias)

    def _enter(self, x: Tensor) -> Tensor:
        entering: Tensor = self.conv1(x)
        return entering

    def _leave(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(x))
