"""The space of `ResNet` specifications."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from nnmass.architectures import EXPANSION, STEM, BlockShape, ResNet, Specification
from nnmass.architectures.costs import halved
from nnmass.architectures.residual import LayerShape, basic_layers, bottleneck_layers, residual_cells, stages_values
from nnmass.architectures.specification import PerCell, Positive
from nnmass.designing.problem import IntArray
from nnmass.designing.spaces.residual import Piece
from nnmass.designing.spaces.space import Choices
from nnmass.designing.spaces.staged import BlockName, StagedSpace, StageState, varying
from nnmass.latency import block, residual_block


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class ResNetSpace(StagedSpace):
    """ResNets, Wide-ResNets and ResNeXts of given blocks, layers and widths.

    Attributes:
        block: kinds of block to choose from, one for all stages: ``"basic"``, ``"bottleneck"``.
        layers: of each stage the numbers of blocks to choose from.
        planes: of each stage the planes to choose from; by default 64, 128, 256, ...
        width_per_group: of bottlenecks, to choose from, one for all stages.
        groups: of bottlenecks.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.
        projection: whether a shortcut that is a projection counts as skips.

    Raises:
        SpaceError: a range is empty, a value is fractional, out of range or unknown.

    Examples:
        >>> ResNetSpace(block="bottleneck", layers=((1, 2, 3),) * 4, width_per_group=(32, 48, 64)).size()
        243
    """

    family: Literal["ResNet"] = "ResNet"
    block: Annotated[tuple[BlockName, ...], BeforeValidator(_several), Field(min_length=1)] = ("bottleneck",)
    layers: Annotated[tuple[Choices, ...], PerCell] = Field(default=(tuple(range(1, 9)),) * 4, min_length=1)
    planes: Annotated[tuple[Choices, ...], PerCell] | None = None
    width_per_group: Choices = (64,)
    groups: Positive = 1
    image_size: Positive = 224
    num_classes: Positive = 1000

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.planes is not None and len(self.planes) != len(self.layers):
            raise ValueError(f"planes must have one entry per stage ({len(self.layers)}), got {len(self.planes)}")
        if "basic" in self.block and self.groups > 1:
            raise ValueError(f"basic blocks have one group, got groups {self.groups}")
        thinnest = int(min(p[0] for p in self._planes) * self.width_per_group[0] / 64)
        if "bottleneck" in self.block and thinnest < 1:
            raise ValueError(f"width_per_group {self.width_per_group[0]} leaves no channel in a group")
        most = [planes[-1] for planes in self._planes]
        wide = "bottleneck" in self.block
        inner = [planes * self.width_per_group[-1] / 64 * self.groups if wide else planes for planes in most]
        outputs = [planes * (EXPANSION["bottleneck"] if wide else 1) for planes in most]
        self._limit(
            sum(len(self._widths(kind)) for kind in set(self.block)), list(map(len, self._planes)), inner, outputs
        )
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        each = math.prod(len(layers) * len(planes) for layers, planes in zip(self.layers, self._planes, strict=True))
        return each * sum(len(self._widths(kind)) for kind in set(self.block))

    @property
    def traits(self) -> dict[str, Any]:
        """Choices for all but the blocks per stage."""
        return self.model_dump(exclude={"family", "layers"}) | {"planes": self._planes}

    def specify(self, choices: Sequence[IntArray]) -> ResNet:
        """Return the specification that the options of a path stand for."""
        bottleneck, width_per_group = bool(choices[0][0]), int(choices[0][1])
        return ResNet(
            block="bottleneck" if bottleneck else "basic",
            layers=tuple(int(choice[3]) for choice in choices),
            planes=None if self.planes is None else tuple(int(choice[2]) for choice in choices),
            groups=self.groups,
            width_per_group=width_per_group,
            image_size=self.image_size,
            in_channels=self.in_channels,
            num_classes=self.num_classes,
            projection=self.projection,
        )

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        return varying("planes", self._planes)

    @property
    def _planes(self) -> tuple[tuple[int, ...], ...]:
        return self.planes or tuple((STEM * 2**k,) for k in range(len(self.layers)))

    def _widths(self, kind: BlockName) -> tuple[int, ...]:
        return self.width_per_group if kind == "bottleneck" else (64,)

    def _states(self, k: int) -> list[StageState]:
        return [
            StageState(kind, width, planes * EXPANSION[kind], planes)
            for kind in sorted(set(self.block))
            for width in self._widths(kind)
            for planes in self._planes[k]
        ]

    def _stem(self) -> Piece:
        side = halved(self.image_size)
        values = self.in_channels * self.image_size**2 + STEM * side**2
        timed = block("stem", 7, 2, self.in_channels, STEM, self.image_size, True, True)
        return Piece(None, [LayerShape(49 * self.in_channels * STEM, STEM, side)], values, timed)

    def _entering(self, state: StageState | None) -> int:
        return STEM if state is None else state.channels

    @property
    def _first_side(self) -> int:
        return halved(halved(self.image_size))

    def _inner(self, state: StageState) -> int:
        return state.planes if state.kind == "basic" else int(state.planes * state.width_per_group / 64) * self.groups

    def _piece(self, state: StageState, shape: BlockShape) -> Piece:
        basic = state.kind == "basic"
        inner_layers = 1 if basic else 2
        cell = residual_cells(((shape,),), inner_layers, self.projection)[0]
        layers = basic_layers(shape) if basic else bottleneck_layers(shape, self.groups)
        timed = residual_block(state.kind, shape, None if basic else self.groups)
        return Piece(cell, layers, next(stages_values(((shape,),), inner_layers)), timed)
