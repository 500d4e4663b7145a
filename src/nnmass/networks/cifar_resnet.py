"""The module of a `CifarResNet` specification."""

from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import CifarResNet
from nnmass.networks.residual import ResidualNetwork, conv3x3
from nnmass.networks.resnet import ResidualBlock


class CifarResNetNetwork(ResidualNetwork):
    """A `CifarResNet`; made by ``spec.build(seed)``.

    Weights are drawn as the published Torch code does: convolutions normal with variance 2 / fan_out (He), norms 1 and
    0, the linear layer by the default, but its bias 0.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: CifarResNet) -> None:
        super().__init__(spec)
        self.conv1 = conv3x3(spec.in_channels, spec.widths[0])
        self.bn1 = nn.BatchNorm2d(spec.widths[0])
        self._add_stages(lambda shape: ResidualBlock(shape, groups=None))
        self._add_classifier()
        nn.init.zeros_(self.fc.bias)

    def _enter(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv1(x)))
