"""Residual networks: ResNets, Wide-ResNets and ResNeXts."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from nnmass.architectures.costs import Costs, halved
from nnmass.architectures.residual import (
    LayerShape,
    Projection,
    Stages,
    basic_layers,
    bottleneck_layers,
    residual_cells,
    residual_costs,
    residual_stages,
    stages_values,
)
from nnmass.architectures.specification import PerCell, Positive, Specification
from nnmass.errors import InvalidValueError
from nnmass.topology import ResidualCell

Block: TypeAlias = Literal["basic", "bottleneck"]

STEM = 64
"""Channels of the stem, and of the first stage; every later stage has twice as many."""
EXPANSION: dict[Block, int] = {"basic": 1, "bottleneck": 4}

_DEPTHS: dict[int, tuple[Block, tuple[int, ...]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


class ResNet(Specification):
    """Residual network as torchvision builds it, parameter for parameter (He et al., arXiv:1512.03385).

    A 7x7 convolution of stride 2 and a pool, stages of residual blocks with 64, 128, 256, ... planes, stride 2 from the
    second stage on, average pool, linear layer.  A basic block has two 3x3 convolutions; a bottleneck 1x1, 3x3 (with
    the stride) and 1x1 to four times the planes.  A ResNeXt has groups, a Wide-ResNet a larger ``width_per_group``.

    Attributes:
        block: ``"basic"`` or ``"bottleneck"``.
        layers: blocks per stage.
        groups: of the 3x3 convolution of a bottleneck.
        width_per_group: a bottleneck's inner layers have planes · width_per_group / 64 · groups channels.
        planes: of each stage; None: 64, 128, 256, ... as published.  The stem has 64 channels in any case.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.
        projection: whether a shortcut that is a projection counts as skips, as in the published ResNets, or not.

    Raises:
        SpecificationError: a value is fractional, out of range or unknown; groups or a width for basic blocks.

    Examples:
        >>> spec = ResNet.of_depth(50)
        >>> spec.params, round(spec.nn_mass, 2)
        (25557032, 9006.93)
        >>> round(ResNet.of_depth(50, groups=32, width_per_group=4).nn_mass, 1)  # ResNeXt-50 32x4d
        10883.2
    """

    family: Literal["ResNet"] = "ResNet"
    block: Block
    layers: Annotated[tuple[Positive, ...], PerCell] = Field(min_length=1, max_length=8)
    groups: Positive = 1
    width_per_group: Positive = 64
    planes: Annotated[tuple[Positive, ...], PerCell] | None = None
    image_size: Positive = 224
    in_channels: Positive = 3
    num_classes: Positive = 1000
    projection: Projection = "count"

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.block == "basic" and (self.groups, self.width_per_group) != (1, 64):
            raise ValueError(
                f"basic blocks have groups 1 and width_per_group 64, got {self.groups} and {self.width_per_group}"
            )
        if self.planes is not None and len(self.planes) != len(self.layers):
            raise ValueError(f"planes must have one entry per stage ({len(self.layers)}), got {len(self.planes)}")
        thinnest = min(map(self._inner, self.stage_planes))
        if thinnest < self.groups:
            raise ValueError(f"a bottleneck's inner layers need a channel per group ({self.groups}), got {thinnest}")
        return self

    @classmethod
    def of_depth(
        cls,
        depth: int,
        *,
        groups: int = 1,
        width_per_group: int = 64,
        image_size: int = 224,
        num_classes: int = 1000,
        projection: Projection = "count",
    ) -> Self:
        """Return the published network of 18, 34, 50, 101 or 152 layers; ``width_per_group=128`` makes it wide.

        Raises:
            InvalidValueError: another depth.
        """
        if depth not in _DEPTHS:
            raise InvalidValueError(f"depth must be one of {', '.join(map(str, _DEPTHS))}, got {depth}")
        block, layers = _DEPTHS[depth]
        return cls(
            block=block,
            layers=layers,
            groups=groups,
            width_per_group=width_per_group,
            image_size=image_size,
            num_classes=num_classes,
            projection=projection,
        )

    @property
    def stage_planes(self) -> tuple[int, ...]:
        """Planes of each stage."""
        return self.planes or tuple(STEM * 2**k for k in range(len(self.layers)))

    @property
    def stages(self) -> Stages:
        """The blocks of every stage."""
        widths = [(self._inner(planes), planes * EXPANSION[self.block]) for planes in self.stage_planes]
        return residual_stages(STEM, widths, self.layers, halved(halved(self.image_size)))

    @property
    def cells(self) -> tuple[ResidualCell, ...]:
        """The blocks, first to last."""
        return residual_cells(self.stages, 1 if self.block == "basic" else 2, self.projection)

    @property
    def traits(self) -> dict[str, Any]:
        """All but the blocks per stage."""
        return self.model_dump(exclude={"family", "layers"}) | {"planes": self.stage_planes}

    @property
    def scaled_traits(self) -> frozenset[str]:
        """Planes and inner widths."""
        return frozenset({"planes", "width_per_group"})

    @property
    def costs(self) -> Costs:
        """Mass, parameters and MACs in closed form."""
        layers = [LayerShape(49 * self.in_channels * STEM, STEM, halved(self.image_size))]
        stages = self.stages
        for stage in stages:
            for shape in stage:
                layers += basic_layers(shape) if self.block == "basic" else bottleneck_layers(shape, self.groups)
        return residual_costs(self.cells, layers, stages[-1][-1].outputs, self.num_classes)

    def _live_values(self) -> Iterator[int]:
        yield self.in_channels * self.image_size**2 + STEM * halved(self.image_size) ** 2
        yield from stages_values(self.stages, 1 if self.block == "basic" else 2)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_channels, image_size, image_size)."""
        return (self.in_channels, self.image_size, self.image_size)

    def _inner(self, planes: int) -> int:
        return planes if self.block == "basic" else int(planes * self.width_per_group / 64) * self.groups
