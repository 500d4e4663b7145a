"""The module of a `ResNet` specification; parameters have torchvision's names, so that its weights can be loaded."""

from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import STEM, BlockShape, ResNet
from nnmass.networks.residual import ResidualNetwork, conv3x3


class PaddedShortcut(nn.Module):
    """The shortcut without parameters: every stride-th pixel, and channels of zeros after those of the input.

    He et al., arXiv:1512.03385, section 3.3, option A; the order is that of the published Torch code.

    Shape:
        (batch, inputs, h, w) → (batch, outputs, ceil(h / stride), ceil(w / stride)).
    """

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.stride, self.zeros = shape.stride, shape.outputs - shape.inputs

    def forward(self, x: Tensor) -> Tensor:
        """What is added."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.zeros))


class ResidualBlock(nn.Module):
    """A basic block or a bottleneck: convolutions with batch norm, ReLU between them, the shortcut added, ReLU.

    Attributes:
        conv1, bn1, conv2, bn2, conv3, bn3: the layers; a basic block has two.
        downsample: the shortcut, a projection or a `PaddedShortcut`; None where it is the identity.

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
            convs = [conv3x3(inputs, inner, stride), conv3x3(inner, outputs)]
        else:
            first, last = nn.Conv2d(inputs, inner, 1, bias=False), nn.Conv2d(inner, outputs, 1, bias=False)
            convs = [first, conv3x3(inner, inner, stride, groups), last]
        self.depth = len(convs)
        for i, conv in enumerate(convs, start=1):
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(conv.out_channels))
        projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.downsample: nn.Module | None = None
        if shape.projected:
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        elif shape.reshapes:
            self.downsample = PaddedShortcut(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the block."""
        shortcut = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.depth + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            if i < self.depth:
                x = F.relu(x)
        return F.relu(x + shortcut)


class ResNetNetwork(ResidualNetwork):
    """A `ResNet`; made by ``spec.build(seed)``.

    Weights are drawn as torchvision does: convolutions normal with variance 2 / fan_out (He), norms 1 and 0, the linear
    layer by PyTorch's default.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: ResNet) -> None:
        super().__init__(spec)
        self.conv1 = nn.Conv2d(spec.in_channels, STEM, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        groups = spec.groups if spec.block == "bottleneck" else None
        self._add_stages(lambda shape: ResidualBlock(shape, groups))
        self._add_classifier()

    def _enter(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
