"""The specifications that may stand in for a reference: a space around it, and of its options those in the domain."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnmass.architectures import (
    CifarResNet,
    DenseCNN,
    DenseMLP,
    LinkedSpecification,
    MobileNetV2,
    ResNet,
    Specification,
    WideResNet,
)
from nnmass.designing.domain import INNER_TOLERANCES, Domain
from nnmass.designing.problem import BoolArray, Level
from nnmass.designing.spaces import (
    CifarResNetSpace,
    DenseCNNSpace,
    DenseMLPSpace,
    MobileNetV2Space,
    ResNetSpace,
    Space,
    StageSpace,
    WideResNetSpace,
)
from nnmass.designing.spaces.mobilenet_v2 import EXPANSIONS, MOST_REPEATS
from nnmass.designing.spaces.space import span
from nnmass.errors import InvalidValueError
from nnmass.latency import LatencyTable

_ROUNDING = 1e-9


def space_around(reference: Specification, domain: Domain) -> Space:
    """The space of what may stand in for a reference: its widths, in other depths, skips, expansions and repeats.

    Raises:
        InvalidValueError: a family that is not compressed.
    """
    for family, around in _AROUND.items():
        if isinstance(reference, family):
            return around(reference, domain)
    raise InvalidValueError(
        f"compression takes one of {', '.join(f.__name__ for f in _AROUND)}, got {reference.family}"
    )


def levels_around(
    reference: Specification, space: Space, domain: Domain, latency: LatencyTable | None = None
) -> list[Level]:
    """The levels of the space around a reference, with only those options whose cell or stage stays in the domain."""
    levels = space.levels(latency)
    if isinstance(reference, LinkedSpecification):
        pairs = zip(levels, reference.cells, strict=True)
        return [level.kept(_cells_in_domain(level, cell, domain)) for level, cell in pairs]
    if domain.stage_tolerance is None:
        return levels
    masses = _stage_masses(reference)
    return [
        level.kept(np.abs(level.quantities[:, 0] - mass) <= domain.stage_tolerance * mass + _ROUNDING)
        for level, mass in zip(levels, masses, strict=True)
    ]


def has_bottlenecks(reference: Specification) -> bool:
    """Whether its blocks have an inner width of their own."""
    return isinstance(reference, ResNet) and reference.block == "bottleneck"


def domain_text(reference: Specification, domain: Domain) -> str:
    """The domain around a reference in words: what stays, and how far the rest may move."""
    if isinstance(reference, LinkedSpecification):
        lowest = min(domain.depth_choices(cell)[0] for cell in reference.cells)
        densest = max(domain.density_cap(cell) for cell in reference.cells)
        moves = domain.cell_tolerance
        cells = "" if moves is None else f", mass of a cell within {moves:.0%} or one step"
        return f"the reference's widths, depth at least {lowest}, density at most {densest:.3g}{cells}"
    moves = domain.stage_tolerance
    stages = "" if moves is None else f", mass of a stage within {moves:.0%}"
    if isinstance(reference, MobileNetV2):
        return f"the reference's channels, expansions from {EXPANSIONS[0]:g} to its own{stages}"
    if isinstance(reference, WideResNet):
        return f"the reference's widths and at most its depth{stages}"
    if isinstance(reference, ResNet) and has_bottlenecks(reference):
        inner = domain.inner_choices(reference.width_per_group)
        return f"the reference's planes, width per group {span(inner)}{stages}"
    return f"the reference's widths{stages}"


def wider_domain(reference: Specification, domain: Domain) -> str:
    """What would let a reference be changed further."""
    if isinstance(reference, LinkedSpecification):
        moves = "none" if domain.cell_tolerance is None else f"{domain.cell_tolerance:.0%}"
        return f"a smaller --min-depth, or a larger --max-density, --cell-tolerance (now {moves}) or --tolerance"
    if isinstance(reference, WideResNet):
        return "a larger --tolerance: its mass moves by whole blocks in all stages"
    moves = "none" if domain.stage_tolerance is None else f"{domain.stage_tolerance:.0%}"
    inner = ""
    if has_bottlenecks(reference):
        least = INNER_TOLERANCES[0] if domain.inner_tolerance is None else domain.inner_tolerance
        inner = f", --inner-tolerance (now {least:.0%})"
    return f"a larger --stage-tolerance (now {moves}){inner} or --tolerance"


def _cells_in_domain(level: Level, cell: Any, domain: Domain) -> BoolArray:
    allowed = np.zeros(len(level.choices), bool)
    for depth in domain.depth_choices(cell):
        rows = np.flatnonzero(level.choices[:, 1] == depth)
        allowed[rows] = np.isin(level.choices[rows, 2], domain.skip_choices(cell, depth))
    return allowed


def _stage_masses(reference: Specification) -> list[float]:
    """Mass of every stage of a residual network; a Wide-ResNet, whose stages go together, is one."""
    if isinstance(reference, MobileNetV2):
        counts = [repeats for _, _, repeats, _ in reference.stages]
    elif isinstance(reference, ResNet | CifarResNet):
        counts = list(reference.layers)
    else:
        counts = [len(reference.cells)]
    masses = np.array([cell.nn_mass for cell in reference.cells])
    return [float(part.sum()) for part in np.split(masses, np.cumsum(counts)[:-1])]


def _around_mlp(reference: DenseMLP, domain: Domain) -> Space:
    values = reference.model_dump(exclude={"links", "width", "depth", "max_skips"})
    depths = tuple(domain.depth_choices(reference.cells[0]))
    return DenseMLPSpace(**values, width=(reference.width,), depth=depths, max_density=1)


def _around_cnn(reference: DenseCNN, domain: Domain) -> Space:
    cells = reference.cells
    depths = sorted({depth for cell in cells for depth in domain.depth_choices(cell)})
    values = reference.model_dump(exclude={"links", "widths", "depth", "max_skips"})
    equal = len(set(reference.depths)) == 1
    widths = tuple((width,) for width in reference.widths)
    return DenseCNNSpace(**values, widths=widths, depth=tuple(depths), equal_depths=equal, max_density=1)


def _around_mobilenet(reference: MobileNetV2, domain: Domain) -> Space:
    values = reference.model_dump(exclude={"stages"})
    stages = tuple(
        StageSpace(
            expansion=(*(e for e in EXPANSIONS if e < expansion), expansion),
            channels=(channels,),
            repeats=tuple(range(1, max(MOST_REPEATS, repeats) + 1)),
            stride=stride,
        )
        for expansion, channels, repeats, stride in reference.stages
    )
    return MobileNetV2Space(**values, stages=stages)


def _around_resnet(reference: ResNet, domain: Domain) -> Space:
    values = reference.model_dump(exclude={"block", "layers", "planes", "width_per_group"})
    own = reference.width_per_group
    inner = (own,) if reference.block == "basic" else domain.inner_choices(own)
    planes = None if reference.planes is None else tuple((planes,) for planes in reference.planes)
    layers = tuple(_up_to(layers) for layers in reference.layers)
    return ResNetSpace(**values, block=(reference.block,), layers=layers, planes=planes, width_per_group=inner)


def _around_cifar_resnet(reference: CifarResNet, domain: Domain) -> Space:
    values = reference.model_dump(exclude={"layers", "widths"})
    layers = tuple(_up_to(layers) for layers in reference.layers)
    return CifarResNetSpace(**values, layers=layers, widths=tuple((width,) for width in reference.widths))


def _around_wide_resnet(reference: WideResNet, domain: Domain) -> Space:
    values = reference.model_dump(exclude={"depth", "widen_factor", "dropout"})
    depths = tuple(range(10, reference.depth + 1, 6))
    return WideResNetSpace(**values, depth=depths, widen_factor=(reference.widen_factor,), dropout=reference.dropout)


def _up_to(layers: int) -> tuple[int, ...]:
    return tuple(range(1, 2 * layers + 1))


_AROUND: dict[type[Specification], Callable[[Any, Domain], Space]] = {
    DenseMLP: _around_mlp,
    DenseCNN: _around_cnn,
    MobileNetV2: _around_mobilenet,
    ResNet: _around_resnet,
    CifarResNet: _around_cifar_resnet,
    WideResNet: _around_wide_resnet,
}
