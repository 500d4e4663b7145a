"""From a model to the specification that it is."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from torch import nn

from nnmass.architectures import (
    CifarResNet,
    DenseCNN,
    DenseMLP,
    MobileNetV2,
    ResNet,
    Specification,
    WideResNet,
)
from nnmass.architectures.mobilenet_v2 import PUBLISHED_STAGES, make_divisible
from nnmass.errors import ModelError, RefusedError
from nnmass.topology import find_cells
from nnmass.topology.graph import Node
from nnmass.topology.graph_cell import GraphCell
from nnmass.tracing.construction import random_states_kept, without_memory
from nnmass.tracing.input_types import checked_sizes
from nnmass.tracing.trace import Trace, trace

FAMILIES = ("DenseMLP", "DenseCNN", "ResNet", "CifarResNet", "WideResNet", "MobileNetV2")
_WIDTH_MULTS = (1.0, 0.35, 0.5, 0.75, 1.1, 1.2, 1.3, 1.4)


class _Layer(NamedTuple):
    """A weighted layer as far as specifications tell layers apart."""

    kind: str
    kernel: tuple[int, ...]
    groups: int
    width: int
    resolution: tuple[int, ...]
    macs: int

    def __str__(self) -> str:
        kernel, side = ("×".join(map(str, part)) for part in (self.kernel, self.resolution))
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        form = f"{kernel} convolution{groups}" if self.kind == "conv" else "linear layer"
        return f"{form} to {self.width}" + (f" on {side}" if side else "")


class _Read(NamedTuple):
    """What proposals are made of: layers in the order of their calls, and the cells."""

    found: Trace
    layers: tuple[Node, ...]
    cells: tuple[GraphCell, ...]
    folded: bool

    @property
    def image(self) -> dict[str, int]:
        """What specifications that read images say of input and output."""
        entry = self.found.graph.nodes[0]
        sides = set(entry.resolution)
        if len(entry.resolution) != 2 or len(sides) != 1:
            raise ValueError("no square image")
        return {"image_size": sides.pop(), "in_channels": entry.width, "num_classes": self.layers[-1].width}

    @property
    def blocks(self) -> list[tuple[int, ...]]:
        """Widths of the nodes of the residual blocks."""
        return [cell.widths for cell in self.cells if cell.kind == "addition"]


def recognise(
    model: nn.Module,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    name: str | None = None,
    folded: bool = False,
) -> Specification:
    """Return the specification that a model is, whatever its modules are called.

    A specification is proposed from the layers and cells, built, traced, and held against the model: every layer
    (kernel, groups, width, resolution, MACs), every cell, parameters and MACs have to be the same.  Activation
    functions, dropout and weights are not looked at.

    Args:
        model: any module; it, its mode and the random states are as before.
        input_size: size of the input, the samples first; of a network of ours it may be left out.
        name: of the model in messages; its class if not given.
        folded: whether norms were folded into their layers, as in ONNX files: then weights alone are counted.

    Raises:
        ModelError: it is of none of the families; says where it differs from the nearest.
        InvalidValueError: a size that is not valid.

    Examples:
        >>> from nnmass import CifarResNet
        >>> recognise(CifarResNet.of_depth(20).build()).layers
        (3, 3, 3)
    """
    own = getattr(model, "spec", None)
    if isinstance(own, Specification):
        return own
    name = name or type(model).__name__
    try:
        found = trace(model, *((1, *size[1:]) for size in checked_sizes(input_size)))
    except RefusedError as error:
        raise ModelError(f"{name} is none of {', '.join(FAMILIES)}: {error.module}: {error.reason}") from None
    read = _Read(found, found.graph.layers, find_cells(found.graph), folded)
    differences = []
    for proposal in _proposals(read):
        shared, difference = _difference(read, proposal)
        if difference is None:
            return proposal
        differences.append((shared, f"; nearest is a {proposal.family}, but {difference}"))
    nearest = max(differences, key=lambda pair: pair[0], default=(0, ""))[1]
    raise ModelError(f"{name} is none of {', '.join(FAMILIES)}{nearest}")


def _proposals(read: _Read) -> Iterator[Specification]:
    """Specifications that the model may be, likelier ones first."""
    for propose in _PROPOSERS:
        try:
            proposals = list(propose(read))
        except (ValueError, IndexError, ZeroDivisionError):  # its layers cannot even be read as this family
            continue
        yield from proposals


def _difference(read: _Read, proposal: Specification) -> tuple[int, str | None]:
    """How many layers a model shares with a specification, and where it differs; None where it does not."""
    with random_states_kept():
        network = without_memory(proposal.build)
    other = trace(network, (1, *proposal.input_shape))
    own, expected = (Counter(map(_layer, t.graph.layers)) for t in (read.found, other))
    return (own & expected).total(), _first_difference(read, other, own, expected)


def _first_difference(read: _Read, other: Trace, own: Counter[_Layer], expected: Counter[_Layer]) -> str | None:
    for node in read.layers:
        if own[_layer(node)] > expected[_layer(node)]:
            return f"{node.name} is a {_layer(node)}, of which it has {expected[_layer(node)]}"
    missing = next(iter(expected - own), None)
    if missing is not None:
        return f"it has another {missing}"
    if read.found.gates:
        return f"{read.found.gates[0]} scales a tensor by another"
    cells = [[(c.kind, c.widths, c.skips) for c in cells] for cells in (read.cells, find_cells(other.graph))]
    if cells[0] != cells[1]:
        return "its skips run between other layers"
    if not read.folded and read.found.params != other.params:  # that the weights agree follows from the layers
        return f"it has {other.params:,} parameters, not {read.found.params:,}"
    return None


def _layer(node: Node) -> _Layer:
    return _Layer(node.kind, node.kernel, node.groups, node.width, node.resolution, node.macs)


def _dense_cells(read: _Read) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Widths, depths and skips of cells of equally wide layers whose channels are concatenated."""
    cells = [cell for cell in read.cells if cell.kind == "concatenation"]
    widths = tuple(cell.widths[0] for cell in cells)
    return widths, tuple(cell.depth + 1 for cell in cells), tuple(max(cell.skips) for cell in cells)


def _dense_mlp(read: _Read) -> Iterator[Specification]:
    (width,), (depth,), (skips,) = _dense_cells(read)
    entry = read.found.graph.nodes[0]
    features = entry.width * entry.positions
    yield DenseMLP(width=width, depth=depth, max_skips=skips, in_features=features, num_classes=read.layers[-1].width)


def _dense_cnn(read: _Read) -> Iterator[Specification]:
    widths, depth, max_skips = _dense_cells(read)
    conv = "separable" if any(node.groups > 1 for node in read.layers) else "regular"
    yield DenseCNN(widths=widths, depth=depth, max_skips=max_skips, conv=conv, **read.image)


def _stages_of(read: _Read) -> list[tuple[tuple[int, ...], int]]:
    """Of each stage of residual blocks the widths of its last block, and the number of its blocks."""
    grouped = [list(group) for _, group in groupby(read.blocks, key=lambda widths: widths[1:])]
    return [(group[-1], len(group)) for group in grouped]


def _resnet(read: _Read) -> Iterator[Specification]:
    stages = _stages_of(read)
    layers = tuple(count for _, count in stages)
    bottleneck = len(stages[0][0]) == 4
    planes = tuple(widths[-1] // (4 if bottleneck else 1) for widths, _ in stages)
    published = planes == tuple(64 * 2**k for k in range(len(planes)))
    values = {"layers": layers, "planes": None if published else planes, **read.image}
    if not bottleneck:
        yield ResNet(block="basic", **values)
        return
    groups = max(node.groups for node in read.layers)
    width = round(stages[0][0][1] * 64 / (groups * planes[0]))
    yield ResNet(block="bottleneck", groups=groups, width_per_group=width, **values)


def _cifar_resnet(read: _Read) -> Iterator[Specification]:
    stages = _stages_of(read)
    layers, widths = tuple(count for _, count in stages), tuple(nodes[-1] for nodes, _ in stages)
    if len(stages[0][0]) == 3:
        projections = sum(node.kernel == (1, 1) for node in read.layers)
        shortcut = "B" if projections else "A"
        yield CifarResNet(layers=layers, widths=widths, shortcut=shortcut, **read.image)


def _wide_resnet(read: _Read) -> Iterator[Specification]:
    stages = _stages_of(read)
    if len(stages) == 3 and len(stages[0][0]) == 3 and not stages[0][0][-1] % 16:
        yield WideResNet(depth=6 * stages[0][1] + 4, widen_factor=stages[0][0][-1] // 16, **read.image)


def _mobilenet_v2(read: _Read) -> Iterator[Specification]:
    stem, *inner, last, _ = read.layers
    depthwise = [i for i, node in enumerate(inner) if node.groups == node.width > 1]
    blocks = []
    for before, i in pairwise([-2, *depthwise]):
        expands = i - before == 3  # a projection of the block before, and an expansion, lie between
        inputs = (inner[before + 1] if before >= 0 else stem).width
        entering = (inner[i - 1] if i else stem).resolution
        stride = 1 if entering == inner[i].resolution else 2
        blocks.append((inner[i].width / inputs if expands else 1.0, inner[i + 1].width, stride, inputs))
    stages: list[tuple[float, int, int, int]] = []
    for expansion, outputs, stride, inputs in blocks:
        if stages and stride == 1 and outputs == inputs and expansion == stages[-1][0]:
            stages[-1] = (*stages[-1][:2], stages[-1][2] + 1, stages[-1][3])
        else:
            stages.append((expansion, outputs, 1, stride))
    for mult in _WIDTH_MULTS[1:] if stem.width != 32 or last.width != 1280 else _WIDTH_MULTS:
        if [s[1] for s in stages] == [make_divisible(mult * s[1]) for s in PUBLISHED_STAGES]:
            channels = [s[1] for s in PUBLISHED_STAGES]
            again = tuple((s[0], c, s[2], s[3]) for s, c in zip(stages, channels, strict=True))
            yield MobileNetV2(width_mult=mult, stages=again, **read.image)
            yield MobileNetV2(
                width_mult=mult, stages=again, stem_channels=stem.width, last_channels=last.width, **read.image
            )
    yield MobileNetV2(stages=tuple(stages), stem_channels=stem.width, last_channels=last.width, **read.image)


_PROPOSERS = (_mobilenet_v2, _resnet, _cifar_resnet, _wide_resnet, _dense_cnn, _dense_mlp)
