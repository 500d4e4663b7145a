"""Mass, parameters and MACs of published architectures in closed form, in the place of the analyser of any model."""

import math
import re

from nnmass import MobileNetV2, ResNet, Specification
from nnmass.architectures.mobilenet_v2 import PUBLISHED_STAGES, make_divisible
from nnmass.experiments import Analysis

DENSENETS = {
    "densenet121": (64, 32, (6, 12, 24, 16)),
    "densenet169": (64, 32, (6, 12, 32, 32)),
    "densenet201": (64, 32, (6, 12, 48, 32)),
    "densenet161": (96, 48, (6, 12, 36, 24)),
}
DEEPER_MOBILENETS = {"mobilenetv2_110d": (1.1, 1.2), "mobilenetv2_120d": (1.2, 1.4)}


def analyse(architecture: str, image_size: int) -> Analysis:
    """ResNets, Wide-ResNets, ResNeXts, DenseNets and MobileNetV2s; VGGs have no skip; everything else is refused."""
    if architecture in DENSENETS:
        return densenet(*DENSENETS[architecture], image_size)
    if architecture.startswith("vgg"):
        return Analysis("uninformative", "no cell of depth 2 or more", 0.0)
    spec = specification(architecture, image_size)
    if spec is None:
        return Analysis("refused", "has no closed form")
    return Analysis("answered", "", spec.nn_mass, mean_density(spec), spec.params, spec.macs)


def specification(architecture: str, size: int) -> Specification | None:
    if found := re.fullmatch(r"resnet(18|34|50|101|152)", architecture):
        return ResNet.of_depth(int(found[1]), image_size=size)
    if found := re.fullmatch(r"wide_resnet(50|101)_2", architecture):
        return ResNet.of_depth(int(found[1]), width_per_group=128, image_size=size)
    if found := re.fullmatch(r"resnext(50|101)_(\d+)x(\d+)d", architecture):
        depth, groups, width = map(int, found.groups())
        return ResNet.of_depth(depth, groups=groups, width_per_group=width, image_size=size)
    if found := re.fullmatch(r"mobilenetv2_(\d{3})", architecture):
        return MobileNetV2(width_mult=int(found[1]) / 100, image_size=size)
    if architecture in DEEPER_MOBILENETS:
        width, depth = DEEPER_MOBILENETS[architecture]
        first, *middle, last = [(t, make_divisible(c * width), n, s) for t, c, n, s in PUBLISHED_STAGES]
        deeper = [(t, c, math.ceil(n * depth), s) for t, c, n, s in middle]
        return MobileNetV2(stages=(first, *deeper, last), image_size=size)
    return None


def mean_density(spec: Specification) -> float:
    return sum(cell.density or 0.0 for cell in spec.cells) / len(spec.cells)


def densenet(entering: int, growth: int, blocks: tuple[int, ...], size: int) -> Analysis:
    """The 1x1 and 3x3 convolution of a layer are one node; the transition is the last node of its cell."""
    side = math.ceil(size / 2)
    convolutions, norms, mass = [(49 * 3 * entering, side)], [entering], 0
    channels, side = entering, math.ceil(side / 2)
    for block, layers in enumerate(blocks):
        leaving = channels + layers * growth
        transition = leaving // 2 if block < len(blocks) - 1 else 0
        mass += leaving + transition
        for inputs in range(channels, leaving, growth):
            convolutions += [(inputs * 4 * growth, side), (9 * 4 * growth * growth, side)]
            norms += [inputs, 4 * growth]
        norms.append(leaving)
        convolutions.append((leaving * transition, side))
        channels, side = transition or leaving, side // 2 if transition else side
    weights, macs = sum(w for w, _ in convolutions), sum(w * s**2 for w, s in convolutions)
    head = channels * 1000
    return Analysis("answered", "", float(mass), 1.0, weights + 2 * sum(norms) + head + 1000, macs + head)
