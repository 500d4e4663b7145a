"""The spaces of `CifarResNet` and `WideResNet` specifications."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nnmass.architectures import BlockShape, CifarResNet, Shortcut, Specification, WideResNet
from nnmass.architectures.residual import LayerShape, Projection, basic_layers, residual_cells, stages_values
from nnmass.architectures.specification import PerCell, Positive
from nnmass.designing.problem import FloatArray, IntArray, Level, make_level
from nnmass.designing.spaces.limits import limit_blocks, limit_counts
from nnmass.designing.spaces.residual import Piece
from nnmass.designing.spaces.space import Choices, Space, rows_of, span
from nnmass.designing.spaces.staged import StagedSpace, StageState, varying
from nnmass.latency import Block, LatencyTable, block, blocks_of, residual_block


class CifarResNetSpace(StagedSpace):
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
            raise ValueError(f"the first stage has the channels of the stem: one choice, got {span(self.widths[0])}")
        most = [widths[-1] for widths in self.widths]
        self._limit(1, list(map(len, self.widths)), most, most)
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        ways = {self.widths[0][0]: 1}
        for choices in self.widths[1:]:
            ways = {w: sum(n for before, n in ways.items() if self._rises(before, w)) for w in choices}
        return sum(ways.values()) * math.prod(map(len, self.layers))

    @property
    def traits(self) -> dict[str, Any]:
        """Choices for all but the blocks per stage."""
        return self.model_dump(exclude={"family", "layers"})

    def specify(self, choices: Sequence[IntArray]) -> CifarResNet:
        """Return the specification that the options of a path stand for."""
        values = self.model_dump(exclude={"layers", "widths"})
        layers, widths = (tuple(int(choice[i]) for choice in choices) for i in (3, 2))
        return CifarResNet(**values, layers=layers, widths=widths)

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        return varying("widths", self.widths)

    def _rises(self, before: int, after: int) -> bool:
        return self.shortcut == "B" or after >= before

    def _states(self, k: int) -> list[StageState]:
        return [StageState("basic", 64, width, width) for width in self.widths[k]]

    def _follows(self, entering: StageState | None, leaving: StageState) -> bool:
        return self._rises(self._entering(entering), leaving.channels)

    def _stem(self) -> Piece:
        width, pixels = self.widths[0][0], self.image_size**2
        layer = LayerShape(9 * self.in_channels * width, width, self.image_size)
        timed = block("stem", 3, 1, self.in_channels, width, self.image_size, False, True)
        return Piece(None, [layer], (self.in_channels + width) * pixels, timed)

    def _entering(self, state: StageState | None) -> int:
        return self.widths[0][0] if state is None else state.channels

    @property
    def _first_side(self) -> int:
        return self.image_size

    @property
    def _projects(self) -> bool:
        return self.shortcut == "B"

    def _piece(self, state: StageState, shape: BlockShape) -> Piece:
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
        limit_blocks(len(self.widen_factor) * sum(depth // 2 for depth in self.depth))
        width = 64 * self.widen_factor[-1]
        limit_counts(
            9 * width * (width * self.depth[-1] + self.in_channels) * self.image_size**2 + width * self.num_classes
        )
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
            rows.append(rows_of(*spec.costs, 0.0 if latency is None else latency.milliseconds(spec)))
        blocks = [(0, np.array(rows), np.array(kept, np.int64))] if rows else []
        return [make_level(1, blocks, [(0, 0, rows_of(0, 0, 0))] if rows else [])]

    @property
    def traits(self) -> dict[str, Any]:
        """Choices for all but the depth."""
        return self.model_dump(exclude={"family", "depth"})

    def specify(self, choices: Sequence[IntArray]) -> WideResNet:
        """Return the specification that the option stands for."""
        return self._member(*map(int, choices[0]))

    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, 2): depth and widening."""
        return level.choices.astype(np.float64)

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        return varying("widen_factor", (self.widen_factor,))

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all members."""
        members = (self._member(depth, factor) for depth, factor in product(self.depth, self.widen_factor))
        return tuple(dict.fromkeys(piece for spec in members for piece in blocks_of(spec)))

    def _member(self, depth: int, widen_factor: int) -> WideResNet:
        values = self.model_dump(exclude={"depth", "widen_factor"})
        return WideResNet(**values, depth=depth, widen_factor=widen_factor)
