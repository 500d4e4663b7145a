"""What the families of residual networks share: the blocks of their stages, as cells, and costs layer by layer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from nnmass.architectures.costs import Costs, halved
from nnmass.topology import ResidualCell

Projection: TypeAlias = Literal["count", "zero"]
"""Whether a shortcut that is a projection counts as skips, as in the published ResNets, or not."""


class BlockShape(NamedTuple):
    """One residual block.

    Attributes:
        inputs: channels in.
        inner: channels of its inner layers.
        outputs: channels out.
        stride: of its 3x3 convolution (of the first, if there are two).
        entering: side of its input, in pixels.
        side: of its output, in pixels.
        projected: whether the shortcut is a 1x1 convolution, since stride or channels change.
    """

    inputs: int
    inner: int
    outputs: int
    stride: int
    entering: int
    side: int
    projected: bool

    @property
    def reshapes(self) -> bool:
        """Whether stride or channels change, so that the shortcut cannot be the identity."""
        return self.stride > 1 or self.inputs != self.outputs


Stages: TypeAlias = tuple[tuple[BlockShape, ...], ...]
"""Per stage its blocks."""


class LayerShape(NamedTuple):
    """A convolution without bias, and the batch norm before or after it.

    Attributes:
        weights: of the convolution.
        norm: channels of the batch norm, with two parameters each; 0 where there is none.
        side: of the convolution's output, in pixels.
    """

    weights: int
    norm: int
    side: int


def residual_stages(
    inputs: int, widths: Iterable[tuple[int, int]], layers: Sequence[int], side: int, *, projects: bool = True
) -> Stages:
    """Blocks of every stage; each stage but the first has stride 2 in its first block.

    Args:
        inputs: channels in.
        widths: per stage the channels of a block's inner layers and those of its output.
        layers: blocks per stage.
        side: of the map that enters, in pixels.
        projects: whether the shortcut of a block whose stride or channels change is a projection.

    Examples:
        >>> residual_stages(16, [(16, 16), (32, 32)], (1, 1), 8)[1]
        (BlockShape(inputs=16, inner=32, outputs=32, stride=2, entering=8, side=4, projected=True),)
    """
    stages = []
    for k, ((inner, outputs), count) in enumerate(zip(widths, layers, strict=True)):
        stage = tuple(_stage(inputs, inner, outputs, count, 2 if k else 1, side, projects))
        inputs, side = outputs, stage[-1].side
        stages.append(stage)
    return tuple(stages)


def residual_cells(stages: Stages, inner_layers: int, projection: Projection) -> tuple[ResidualCell, ...]:
    """The blocks as cells, first to last; each has so many inner layers.

    Examples:
        >>> stages = residual_stages(16, [(16, 16), (32, 32)], (1, 1), 8)
        >>> [cell.nn_mass for cell in residual_cells(stages, 1, "count")]
        [32.0, 48.0]
        >>> [cell.nn_mass for cell in residual_cells(stages, 1, "zero")]
        [32.0, 0.0]
    """
    return tuple(
        ResidualCell(
            (shape.inputs, *(shape.inner,) * inner_layers, shape.outputs), not shape.projected or projection == "count"
        )
        for stage in stages
        for shape in stage
    )


def basic_layers(shape: BlockShape) -> list[LayerShape]:
    """Layers of a basic block: two 3x3 convolutions and the projection, each followed by batch norm."""
    inputs, inner, outputs = shape[:3]
    return [
        LayerShape(9 * inputs * inner, inner, shape.side),
        LayerShape(9 * inner * outputs, outputs, shape.side),
        *projection_layers(shape),
    ]


def bottleneck_layers(shape: BlockShape, groups: int) -> list[LayerShape]:
    """Layers of a bottleneck: 1x1, 3x3 in groups, 1x1 and the projection, each followed by batch norm."""
    inputs, inner, outputs = shape[:3]
    return [
        LayerShape(inputs * inner, inner, shape.entering),
        LayerShape(9 * inner * (inner // groups), inner, shape.side),
        LayerShape(inner * outputs, outputs, shape.side),
        *projection_layers(shape),
    ]


def projection_layers(shape: BlockShape) -> list[LayerShape]:
    """The 1x1 convolution of the shortcut and its batch norm, or nothing."""
    return [LayerShape(shape.inputs * shape.outputs, shape.outputs, shape.side)] if shape.projected else []


def block_values(inputs: int, nodes: Iterable[tuple[int, int]], entering: int, *, held: bool) -> int:
    """Numbers that are alive at most within a block.

    Args:
        inputs: channels in.
        nodes: channels and side of what each layer writes.
        entering: side of the input, in pixels.
        held: whether the input is needed until the end, for a shortcut.

    Examples:
        >>> block_values(2, [(6, 4), (6, 4), (2, 4)], 4, held=True)  # 2 held, 6 read, 6 written, on 16 pixels
        224
    """
    read, alive, first = inputs * entering**2, [], True
    for channels, side in nodes:
        written = channels * side**2
        alive.append(read + written + (inputs * entering**2 if held and not first else 0))
        read, first = written, False
    return max(alive)


def stages_values(stages: Stages, inner_layers: int) -> Iterator[int]:
    """Numbers that are alive at most within each block of some stages, whose blocks have so many inner layers.

    The first inner layer of a bottleneck has the side of its input.
    """
    for shape in (shape for stage in stages for shape in stage):
        sides = [shape.entering] * (inner_layers - 1) + [shape.side]
        nodes = [*((shape.inner, side) for side in sides), (shape.outputs, shape.side)]
        yield block_values(shape.inputs, nodes, shape.entering, held=True)


def residual_costs(
    cells: Iterable[ResidualCell], layers: Sequence[LayerShape], features: int, num_classes: int
) -> Costs:
    """Mass, parameters and MACs of a network that ends with a linear layer on one number per channel.

    Args:
        cells: its cells.
        layers: its convolutions and batch norms.
        features: channels that the linear layer reads.
        num_classes: outputs of the linear layer.

    Examples:
        >>> residual_costs([ResidualCell((2, 2, 2))], [LayerShape(36, 2, 4)] * 2, 2, 3)
        Costs(nn_mass=4.0, params=89, macs=1158)
    """
    head = features * num_classes
    params = sum(layer.weights + 2 * layer.norm for layer in layers) + head + num_classes
    macs = sum(layer.weights * layer.side**2 for layer in layers) + head
    return Costs(sum(cell.nn_mass for cell in cells), params, macs)


def _stage(
    inputs: int, inner: int, outputs: int, count: int, stride: int, side: int, projects: bool
) -> Iterator[BlockShape]:
    left = halved(side) if stride == 2 else side
    first = BlockShape(inputs, inner, outputs, stride, side, left, projected=False)
    yield first._replace(projected=projects and first.reshapes)
    for _ in range(count - 1):
        yield BlockShape(outputs, inner, outputs, 1, left, left, projected=False)
