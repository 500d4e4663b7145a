"""The spaces of `ResNet`, `CifarResNet` and `WideResNet` specifications."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from nnmass.architectures import (
    EXPANSION,
    STEM,
    BlockShape,
    CifarResNet,
    ResNet,
    Shortcut,
    Specification,
    WideResNet,
)
from nnmass.architectures.costs import halved
from nnmass.architectures.residual import (
    LayerShape,
    Projection,
    basic_layers,
    bottleneck_layers,
    residual_cells,
    stages_values,
)
from nnmass.architectures.specification import PerCell, Positive
from nnmass.designing.problem import FloatArray, IntArray, Level, make_level
from nnmass.designing.spaces.residual import Piece, Stage, stage_level, stage_rows
from nnmass.designing.spaces.space import Choices, Space, rows_of, span
from nnmass.latency import Block, LatencyTable, block, residual_block

BlockName = Literal["basic", "bottleneck"]


class _State(NamedTuple):
    """What a stage must know of the ones before: kind of block and inner width, tied over all, and channels."""

    kind: BlockName
    width_per_group: int
    channels: int
    planes: int

    def follows(self, other: "_State") -> bool:
        return self[:2] == other[:2]


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class _StagedSpace(Space):
    """Chains of stages of residual blocks, the first of stride 1 and the others of stride 2."""

    layers: Annotated[tuple[Choices, ...], PerCell] = Field(min_length=1, max_length=8)
    image_size: Positive
    in_channels: Positive = 3
    num_classes: Positive
    projection: Projection = "count"

    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """The options of every stage; see `Space.levels`."""
        most = math.inf if max_activation_bytes is None else max_activation_bytes / 4
        stem = self._stem()
        before: list[Any] = [None]
        levels = []
        for k in range(len(self.layers)):
            after = self._states(k)
            levels.append(stage_level(before, after, partial(self._options, k, latency, most)))
            before = after
        constant = stem.quantities(latency)
        if stem.values > most:
            levels[0] = levels[0].kept(np.zeros(len(levels[0].quantities), bool))
        levels[0] = levels[0].with_constant(constant)
        return levels

    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, 2): planes and blocks."""
        return level.choices[:, -2:].astype(np.float64)

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all members."""
        found = [self._stem().block]
        before: list[_State | None] = [None]
        for k, layers in enumerate(self.layers):
            after = self._states(k)
            for entering, leaving in product(before, after):
                if self._follows(entering, leaving):
                    first, other = self._stage(k, entering, leaving)
                    found += [first.block, *([other.block] if layers[-1] > 1 else [])]
            before = [b for b in after if any(self._follows(a, b) for a in before)]
        found += [self._head(state).block for state in before if state is not None]
        return tuple(dict.fromkeys(found))

    def _follows(self, entering: _State | None, leaving: _State) -> bool:
        """Whether a stage may lead from one state to the other."""
        return entering is None or leaving.follows(entering)

    @abstractmethod
    def _states(self, k: int) -> list[_State]:
        """What may leave stage k."""

    @abstractmethod
    def _stem(self) -> Piece:
        """What comes before the first stage."""

    @abstractmethod
    def _entering(self, state: _State | None) -> int:
        """Channels that enter a stage after a state."""

    @abstractmethod
    def _piece(self, state: _State, shape: BlockShape) -> Piece:
        """One block."""

    @property
    @abstractmethod
    def _first_side(self) -> int:
        """Side of the map that enters the first stage."""

    @property
    def _projects(self) -> bool:
        return True

    def _sides(self) -> list[int]:
        """Side of the map that enters each stage, and of the one that leaves the last."""
        sides = [self._first_side, self._first_side]
        while len(sides) <= len(self.layers):
            sides.append(halved(sides[-1]))
        return sides

    def _options(
        self, k: int, latency: LatencyTable | None, max_values: float, entering: _State | None, leaving: _State
    ) -> tuple[FloatArray, IntArray]:
        if not self._follows(entering, leaving):
            return np.zeros((0, 4)), np.zeros((0, 4), np.int64)
        quantities, kept = stage_rows(self._stage(k, entering, leaving), self.layers[k], latency, max_values)
        if k + 1 == len(self.layers):
            quantities = quantities + self._head(leaving).quantities(latency)
        bottleneck = int(leaving.kind == "bottleneck")
        choices = [(bottleneck, leaving.width_per_group, leaving.planes, n) for n in kept]
        return quantities, np.array(choices, np.int64).reshape(-1, 4)

    def _stage(self, k: int, entering: _State | None, leaving: _State) -> Stage:
        inputs, outputs, sides = self._entering(entering), leaving.channels, self._sides()
        stride = 2 if k else 1
        inner = self._inner(leaving)
        first = BlockShape(inputs, inner, outputs, stride, sides[k], sides[k + 1], projected=False)
        first = first._replace(projected=self._projects and first.reshapes)
        other = BlockShape(outputs, inner, outputs, 1, sides[k + 1], sides[k + 1], projected=False)
        return self._piece(leaving, first), self._piece(leaving, other)

    def _inner(self, state: _State) -> int:
        return state.planes

    def _head(self, state: _State) -> Piece:
        timed = block("average_head", state.channels, self._sides()[-1], self.num_classes, False)
        return Piece(None, [], 0, timed, (state.channels, self.num_classes))


class ResNetSpace(_StagedSpace):
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
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        each = math.prod(len(layers) * len(planes) for layers, planes in zip(self.layers, self._planes, strict=True))
        return each * sum(len(self._widths(kind)) for kind in set(self.block))

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
        return _varying("planes", self._planes)

    @property
    def _planes(self) -> tuple[tuple[int, ...], ...]:
        return self.planes or tuple((STEM * 2**k,) for k in range(len(self.layers)))

    def _widths(self, kind: BlockName) -> tuple[int, ...]:
        return self.width_per_group if kind == "bottleneck" else (64,)

    def _states(self, k: int) -> list[_State]:
        return [
            _State(kind, width, planes * EXPANSION[kind], planes)
            for kind in sorted(set(self.block))
            for width in self._widths(kind)
            for planes in self._planes[k]
        ]

    def _stem(self) -> Piece:
        side = halved(self.image_size)
        values = self.in_channels * self.image_size**2 + STEM * side**2
        timed = block("stem", 7, 2, self.in_channels, STEM, self.image_size, True, True)
        return Piece(None, [LayerShape(49 * self.in_channels * STEM, STEM, side)], values, timed)

    def _entering(self, state: _State | None) -> int:
        return STEM if state is None else state.channels

    @property
    def _first_side(self) -> int:
        return halved(halved(self.image_size))

    def _inner(self, state: _State) -> int:
        return state.planes if state.kind == "basic" else int(state.planes * state.width_per_group / 64) * self.groups

    def _piece(self, state: _State, shape: BlockShape) -> Piece:
        basic = state.kind == "basic"
        inner_layers = 1 if basic else 2
        cell = residual_cells(((shape,),), inner_layers, self.projection)[0]
        layers = basic_layers(shape) if basic else bottleneck_layers(shape, self.groups)
        timed = residual_block(state.kind, shape, None if basic else self.groups)
        return Piece(cell, layers, next(stages_values(((shape,),), inner_layers)), timed)


class CifarResNetSpace(_StagedSpace):
    """CifarResNets of given layers and widths.

    Attributes:
        layers: of each stage the numbers of blocks to choose from.
        widths: of each stage the channels to choose from.
        shortcut: ``"A"`` or ``"B"``, as in `CifarResNet`.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.
        projection: whether a shortcut that is a projection counts as skips.

    Raises:
        SpaceError: a range is empty, a value is fractional, out of range or unknown.

    Examples:
        >>> CifarResNetSpace().size()
        5832
    """

    family: Literal["CifarResNet"] = "CifarResNet"
    layers: Annotated[tuple[Choices, ...], PerCell] = Field(default=(tuple(range(1, 19)),) * 3, min_length=1)
    widths: Annotated[tuple[Choices, ...], PerCell] = ((16,), (32,), (64,))
    shortcut: Shortcut = "A"
    image_size: Positive = 32
    num_classes: Positive = 10

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if len(self.layers) != len(self.widths):
            raise ValueError(f"layers must have one entry per stage ({len(self.widths)}), got {len(self.layers)}")
        if len(self.widths[0]) > 1:
            raise ValueError(f"the first stage has the channels of the stem: one choice, got {self.widths[0]}")
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        ways = {self.widths[0][0]: 1}
        for choices in self.widths[1:]:
            ways = {w: sum(n for before, n in ways.items() if self._rises(before, w)) for w in choices}
        return sum(ways.values()) * math.prod(map(len, self.layers))

    def specify(self, choices: Sequence[IntArray]) -> CifarResNet:
        """Return the specification that the options of a path stand for."""
        values = self.model_dump(exclude={"layers", "widths"})
        layers, widths = (tuple(int(choice[i]) for choice in choices) for i in (3, 2))
        return CifarResNet(**values, layers=layers, widths=widths)

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        return _varying("widths", self.widths)

    def _rises(self, before: int, after: int) -> bool:
        return self.shortcut == "B" or after >= before

    def _states(self, k: int) -> list[_State]:
        return [_State("basic", 64, width, width) for width in self.widths[k]]

    def _follows(self, entering: _State | None, leaving: _State) -> bool:
        return self._rises(self._entering(entering), leaving.channels)

    def _stem(self) -> Piece:
        width, pixels = self.widths[0][0], self.image_size**2
        layer = LayerShape(9 * self.in_channels * width, width, self.image_size)
        timed = block("stem", 3, 1, self.in_channels, width, self.image_size, False, True)
        return Piece(None, [layer], (self.in_channels + width) * pixels, timed)

    def _entering(self, state: _State | None) -> int:
        return self.widths[0][0] if state is None else state.channels

    @property
    def _first_side(self) -> int:
        return self.image_size

    @property
    def _projects(self) -> bool:
        return self.shortcut == "B"

    def _piece(self, state: _State, shape: BlockShape) -> Piece:
        cell = residual_cells(((shape,),), 1, self.projection)[0]
        return Piece(cell, basic_layers(shape), next(stages_values(((shape,),), 1)), residual_block("basic", shape))


class WideResNetSpace(Space):
    """Wide residual networks for small images, of given depths and widening.

    Attributes:
        depth: to choose from, each 6n + 4.
        widen_factor: to choose from.
        dropout: as in `WideResNet`.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.
        projection: whether a shortcut that is a 1x1 convolution counts as skips.

    Raises:
        SpaceError: a range is empty, a value is fractional, out of range or unknown; a depth that is not 6n + 4.

    Examples:
        >>> WideResNetSpace(depth=(16, 22, 28), widen_factor=(4, 8)).size()
        6
    """

    family: Literal["WideResNet"] = "WideResNet"
    depth: Choices = tuple(range(10, 53, 6))
    widen_factor: Choices = (10,)
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    image_size: Positive = 32
    in_channels: Positive = 3
    num_classes: Positive = 10
    projection: Projection = "count"

    @model_validator(mode="after")
    def _validate(self) -> Self:
        wrong = [depth for depth in self.depth if depth < 10 or (depth - 4) % 6]
        if wrong:
            raise ValueError(f"depth must be 6n + 4 with n at least 1 (10, 16, 22, 28, ...), got {wrong[0]}")
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        return len(self.depth) * len(self.widen_factor)

    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """All members as the options of one level; see `Space.levels`."""
        most = math.inf if max_activation_bytes is None else max_activation_bytes
        pairs = list(product(self.depth, self.widen_factor))
        kept = [pair for pair in pairs if self._member(*pair).activation_bytes <= most]
        rows = []
        for spec in (self._member(*pair) for pair in kept):
            rows.append(rows_of(*spec.costs, 0.0 if latency is None else latency.predict(spec).total_ms))
        blocks = [(0, np.array(rows), np.array(kept, np.int64))] if rows else []
        return [make_level(1, blocks, [(0, 0, rows_of(0, 0, 0))] if rows else [])]

    def specify(self, choices: Sequence[IntArray]) -> WideResNet:
        """Return the specification that the option stands for."""
        return self._member(*map(int, choices[0]))

    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, 2): depth and widening."""
        return level.choices.astype(np.float64)

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        return _varying("widen_factor", (self.widen_factor,))

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all members."""
        from nnmass.latency import blocks_of

        members = (self._member(depth, factor) for depth, factor in product(self.depth, self.widen_factor))
        return tuple(dict.fromkeys(piece for spec in members for piece in blocks_of(spec)))

    def _member(self, depth: int, widen_factor: int) -> WideResNet:
        values = self.model_dump(exclude={"depth", "widen_factor"})
        return WideResNet(**values, depth=depth, widen_factor=widen_factor)


def _varying(name: str, choices: Sequence[Sequence[int]]) -> tuple[str, ...]:
    free = sorted({value for values in choices if len(values) > 1 for value in values})
    return (f"{name} vary ({span(free)}): NN-Mass compares networks of equal widths",) if free else ()
