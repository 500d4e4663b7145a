"""The space of `MobileNetV2` specifications."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nnmass.architectures import InvertedResidualShape, MobileNetV2, Specification
from nnmass.architectures.costs import halved
from nnmass.architectures.mobilenet_v2 import PUBLISHED_STAGES, make_divisible
from nnmass.architectures.residual import LayerShape
from nnmass.architectures.specification import PerCell, Positive
from nnmass.designing.problem import FloatArray, IntArray, Level
from nnmass.designing.spaces.limits import MOST_CELLS, limit_counts, limit_options, limit_transitions
from nnmass.designing.spaces.residual import Piece, Stage, stage_level, stage_rows
from nnmass.designing.spaces.space import Choices, Factors, Space, span
from nnmass.latency import Block, LatencyTable, block, inverted_residual_block
from nnmass.validated import Validated

EXPANSIONS = (3.0, 4.0, 5.0, 6.0)
"""Expansions of the default space; the domain of the theory ends with them."""
MOST_REPEATS = 6
"""Most blocks of a stage within the domain of the theory; the published network has up to four."""


class StageSpace(Validated):
    """Choices for one stage of a MobileNetV2.

    Attributes:
        expansion: of its blocks, to choose from.
        channels: before the width multiplier, to choose from.
        repeats: blocks, to choose from.
        stride: of the first block.
    """

    expansion: Factors
    channels: Choices
    repeats: Choices
    stride: Annotated[int, Field(strict=True, ge=1, le=2)] = 1


def _default_stages() -> tuple[StageSpace, ...]:
    (expansion, channels, repeats, stride), *others = PUBLISHED_STAGES
    fixed = StageSpace(expansion=(expansion,), channels=(channels,), repeats=(repeats,), stride=stride)
    repeats_free = tuple(range(1, MOST_REPEATS + 1))
    free = (
        StageSpace(expansion=EXPANSIONS, channels=(channels,), repeats=repeats_free, stride=stride)
        for _, channels, _, stride in others
    )
    return (fixed, *free)


class MobileNetV2Space(Space):
    """MobileNetV2s whose stages have given expansions, channels and repeats.

    Attributes:
        stages: the choices of each stage; by default the published channels with expansions 3 to 6 and 1 to 6 blocks.
        width_mult: multiplies all channels.
        stem_channels: as in `MobileNetV2`.
        last_channels: likewise.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.

    Raises:
        SpaceError: a range is empty, a value is fractional, out of range or unknown.

    Examples:
        >>> MobileNetV2Space().size()  # six stages of 4 expansions and 6 numbers of blocks
        191102976
    """

    family: Literal["MobileNetV2"] = "MobileNetV2"
    stages: Annotated[tuple[StageSpace, ...], PerCell] = Field(
        default_factory=_default_stages, min_length=1, max_length=MOST_CELLS
    )
    width_mult: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0
    stem_channels: Positive | None = None
    last_channels: Positive | None = None
    image_size: Positive = 224
    in_channels: Positive = 3
    num_classes: Positive = 1000

    @model_validator(mode="after")
    def _validate(self) -> Self:
        entering = float(self.stem_channels or 32 * self.width_mult + 8)
        before, largest, transitions = 1, 9 * self.in_channels * entering * halved(self.image_size) ** 2, 0
        for stage, side in zip(self.stages, self._sides, strict=False):
            leaving = stage.channels[-1] * self.width_mult + 8
            hidden = max(entering, leaving) * stage.expansion[-1]
            largest += stage.repeats[-1] * hidden * (entering + leaving + 9) * side**2
            transitions += before * len(stage.channels) * len(stage.expansion)
            before, entering = len(stage.channels), leaving
        limit_transitions(transitions)
        last = float(self.last_channels or 1280 * max(self.width_mult, 1))
        limit_counts(largest + last * (entering * self._sides[-1] ** 2 + self.num_classes))
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        return math.prod(len(s.expansion) * len(s.channels) * len(s.repeats) for s in self.stages)

    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """The options of every stage; see `Space.levels`."""
        before = [1, *(len(stage.channels) for stage in self.stages)]
        limit_options(
            sum(
                n * len(s.channels) * len(s.expansion) * len(s.repeats)
                for n, s in zip(before, self.stages, strict=False)
            )
        )
        most = math.inf if max_activation_bytes is None else max_activation_bytes / 4
        states = self._states()
        levels = [
            stage_level(before, stage.channels, partial(self._options, k, latency, most))
            for k, (stage, before) in enumerate(zip(self.stages, states, strict=False))
        ]
        stem = self._stem()
        constant = stem.quantities(latency)
        if stem.values > most:
            levels[0] = levels[0].kept(np.zeros(len(levels[0].quantities), bool))
        levels[0] = levels[0].with_constant(constant)
        return levels

    @property
    def traits(self) -> dict[str, Any]:
        """Choices for all but the blocks per stage: channels as they are built, whatever multiplied them."""
        any_member = MobileNetV2(
            width_mult=self.width_mult, stem_channels=self.stem_channels, last_channels=self.last_channels
        )
        return {
            "expansions": tuple(stage.expansion for stage in self.stages),
            "channels": tuple(
                tuple(make_divisible(count * self.width_mult) for count in stage.channels) for stage in self.stages
            ),
            "strides": tuple(stage.stride for stage in self.stages),
            "stem_channels": any_member.stem,
            "last_channels": any_member.last,
            **self.model_dump(include={"image_size", "in_channels", "num_classes"}),
        }

    def specify(self, choices: Sequence[IntArray]) -> MobileNetV2:
        """Return the specification that the options of a path stand for."""
        stages = tuple(
            (stage.expansion[position], int(channels), int(repeats), stage.stride)
            for stage, (channels, position, repeats) in zip(self.stages, choices, strict=True)
        )
        return MobileNetV2(**self._common(), stages=stages)

    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, 3): channels, expansion and blocks."""
        channels, position, repeats = level.choices.T
        return np.column_stack([channels, np.array(self.stages[k].expansion)[position], repeats])

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        found = []
        free = [stage.channels for stage in self.stages if len(stage.channels) > 1]
        if free:
            widths = f"{min(c[0] for c in free)} … {max(c[-1] for c in free)}"
            found.append(f"channels vary ({widths}): NN-Mass compares networks of equal widths")
        taken = [(s.expansion, s.repeats) for s in self.stages]
        if isinstance(member, MobileNetV2):
            taken = [((expansion,), (repeats,)) for expansion, _, repeats, _ in member.stages]
        expansions = sorted({e for expansion, _ in taken if expansion != (1.0,) for e in expansion})
        if expansions and (expansions[0] < EXPANSIONS[0] or expansions[-1] > EXPANSIONS[-1]):
            found.append(f"expansions {span(expansions)}: the domain is {EXPANSIONS[0]:g} … {EXPANSIONS[-1]:g}")
        most = max(repeats[-1] for _, repeats in taken)
        if most > MOST_REPEATS:
            found.append(f"{most} blocks in a stage: the domain ends at {MOST_REPEATS}")
        return tuple(found)

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all members."""
        found = [self._stem().block]
        for k, (stage, before) in enumerate(zip(self.stages, self._states(), strict=False)):
            for entering in before:
                for leaving in stage.channels:
                    for expansion in stage.expansion:
                        first, other = self._stage(k, entering, expansion, leaving)
                        found += [first.block, *([other.block] if stage.repeats[-1] > 1 else [])]
        found += [self._head(self._outputs(channels)).block for channels in self.stages[-1].channels]
        return tuple(dict.fromkeys(found))

    def _common(self) -> dict[str, object]:
        return self.model_dump(exclude={"stages"})

    def _outputs(self, channels: int) -> int:
        return make_divisible(channels * self.width_mult)

    def _states(self) -> list[list[int]]:
        """Channels that may enter each stage, and leave the last."""
        return [[self._frame.stem], *([self._outputs(c) for c in stage.channels] for stage in self.stages)]

    @property
    def _frame(self) -> MobileNetV2:
        """A member, for what all have in common."""
        return self.specify([np.array([s.channels[0], 0, s.repeats[0]]) for s in self.stages])

    @property
    def _sides(self) -> list[int]:
        """Side of the map that enters each stage, and of the one that leaves the last."""
        sides = [halved(self.image_size)]
        for stage in self.stages:
            sides.append(halved(sides[-1]) if stage.stride == 2 else sides[-1])
        return sides

    def _options(
        self, k: int, latency: LatencyTable | None, max_values: float, entering: int, leaving: int
    ) -> tuple[FloatArray, IntArray]:
        """Quantities and choices of stage k between channels that enter it and those that leave, unmultiplied."""
        stage = self.stages[k]
        rows, choices = [], []
        for position, expansion in enumerate(stage.expansion):
            pieces = self._stage(k, entering, expansion, leaving)
            quantities, kept = stage_rows(pieces, stage.repeats, latency, max_values)
            rows.append(quantities)
            choices += [(leaving, position, repeats) for repeats in kept]
        quantities = np.concatenate(rows)
        if k + 1 == len(self.stages):
            head = self._head(self._outputs(leaving))
            quantities = quantities + head.quantities(latency)
            if head.values > max_values:
                return quantities[:0], np.zeros((0, 3), np.int64)
        return quantities, np.array(choices, np.int64).reshape(-1, 3)

    def _stage(self, k: int, entering: int, expansion: float, leaving: int) -> Stage:
        outputs, stride = self._outputs(leaving), self.stages[k].stride
        side, left = self._sides[k], self._sides[k + 1]

        def piece(inputs: int, stride: int, side: int) -> Piece:
            hidden = max(round(inputs * expansion), 1)
            shape = InvertedResidualShape(inputs, hidden, outputs, expansion != 1, stride, side, left)
            return Piece(shape.cell, shape.layers, shape.live_values, inverted_residual_block(shape))

        return piece(entering, stride, side), piece(outputs, 1, left)

    def _stem(self) -> Piece:
        frame, side = self._frame, halved(self.image_size)
        layer = LayerShape(9 * self.in_channels * frame.stem, frame.stem, side)
        values = self.in_channels * self.image_size**2 + frame.stem * side**2
        sizes = (3, 2, self.in_channels, frame.stem, self.image_size, False, True)
        return Piece(None, [layer], values, block("stem", *sizes))

    def _head(self, outputs: int) -> Piece:
        last, side = self._frame.last, self._sides[-1]
        layer = LayerShape(outputs * last, last, side)
        timed = block("mobile_head", outputs, last, side, self.num_classes)
        return Piece(None, [layer], (outputs + last) * side**2, timed, (last, self.num_classes))
