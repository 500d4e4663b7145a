"""Published ImageNet models in groups of equal training: which weights may be compared with each other, and why.

A weight's tag, after the dot of its timm name, says who trained it and how.  A group is one tag, or the part of a tag
that was trained in one way, at one image size, with at least six convolutional models.  Models of attention are in no
group: NN-Mass is not defined for them.

Left out, though they have six models or more:

- ``gluon_in1k``: some were trained for 120 epochs without mixup, some for 200 with it.
- ``bt_in1k``: one template, but more epochs for larger networks, by its author's advice.
- ``ra_in1k`` beyond the mobile networks, ``ra2_in1k``, ``ra3_in1k``: several optimisers and schedules under one tag.
- ``mx_in1k``: half of the DPNs were trained on additional images.
- ``rvgg_in1k``: the larger RepVGGs were trained longer and with stronger augmentation; and all have mass 0.
- ``miil_in1k``: pruned networks beside unpruned ones.
- ``a2_in1k``, ``a3_in1k``: the architectures of ``a1_in1k`` once more, trained for shorter.
- SENets in ``in1k``: five were trained alike, SENet-154 for a competition.
- RepGhostNets in ``in1k``: the wider three were trained with RandAugment, the other five without.
- ``ssld_stage1_in22k_in1k``, ``ssld_stage2_ft_in1k``: PP-HGNetV2s, distilled; the teacher is stated for one of seven.
- ``in1k`` as a whole: weights of many authors; groups of one author each are taken from it.
- EfficientNets of one author: each has an image size of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

FEWEST_MODELS = 6
"""Models that a group needs to be one, and to be fitted."""


@dataclass(frozen=True)
class RecipeGroup:
    """Weights trained alike.

    Attributes:
        name: of the group.
        tag: of the weights.
        image_size: side of the images at which top-1 was measured, in pixels.
        models: regular expression for the architecture's whole name.
        reason: why these were trained alike.
        without: weights of the tag that were not, with the reason.
    """

    name: str
    tag: str
    image_size: int
    models: str
    reason: str
    without: Mapping[str, str] = field(default_factory=dict)

    def holds(self, model: str, image_size: int) -> bool:
        """Whether a timm name such as ``"resnet50.tv_in1k"`` belongs to the group."""
        architecture, _, tag = model.partition(".")
        inside = tag == self.tag and image_size == self.image_size and re.fullmatch(self.models, architecture)
        return bool(inside) and model not in self.without


RECIPE_GROUPS = (
    RecipeGroup(
        "torchvision-1",
        "tv_in1k",
        224,
        r"(wide_)?resne(x)?t.*|densenet.*|vgg.*_bn",
        "torchvision's first recipe: SGD 0.1, a tenth of it every 30 epochs, crop and flip, 90 or 100 epochs; the "
        "DenseNets are their authors' weights, trained in the same way",
        {"resnext101_64x4d.tv_in1k": "trained with torchvision's second recipe"},
    ),
    RecipeGroup(
        "torchvision-2-resnet",
        "tv2_in1k",
        224,
        r"(wide_)?resne(x)?t.*",
        "torchvision's second recipe: 600 epochs, cosine, mixup, CutMix, TrivialAugment, label smoothing, EMA",
    ),
    RecipeGroup(
        "torchvision-2-regnet",
        "tv2_in1k",
        224,
        r"regnet.*",
        "torchvision's second recipe as modified for its RegNets",
    ),
    RecipeGroup(
        "pycls-regnet",
        "pycls_in1k",
        224,
        r"regnet.*",
        "the RegNet paper's: SGD, cosine, 100 epochs, weak augmentation, no search of settings per model",
    ),
    RecipeGroup(
        "timm-ra-mobile",
        "ra_in1k",
        224,
        r"mobilenetv2_.*|mobilenetv3_.*|efficientnet_(b0|es|lite0)|mixnet_xl",
        "timm's RandAugment template: RMSProp, decay in steps, EMA, RandAugment, random erasing, 450 or 600 epochs; "
        "details vary by model",
    ),
    RecipeGroup(
        "timm-a1",
        "a1_in1k",
        224,
        r".*",
        "procedure A1 of ResNet strikes back: LAMB, 600 epochs, binary cross entropy, mixup, CutMix, RandAugment",
    ),
    RecipeGroup(
        "timm-a1h",
        "a1h_in1k",
        224,
        r".*",
        "A1 with stronger augmentation and dropout; details vary by model",
    ),
    RecipeGroup(
        "timm-ra4",
        "ra4_e3600_r224_in1k",
        224,
        r".*",
        "one series of settings, after MobileNetV4's and ResNet strikes back: 3600 epochs, RandAugment; details "
        "vary by model",
    ),
    RecipeGroup(
        "timm-c2ns-darknet",
        "c2ns_in1k",
        256,
        r".*",
        "procedure C of ResNet strikes back without stochastic depth: SGD with adaptive gradient clipping, cosine",
    ),
    RecipeGroup(
        "timm-rmsprop-mobile",
        "rmsp_in1k",
        224,
        r".*",
        "timm's plain template for small networks: RMSProp, EMA, random erasing, mixup; details vary by model",
    ),
    RecipeGroup(
        "dla",
        "in1k",
        224,
        r"dla(?!.*res2ne).*",
        "Deep Layer Aggregation by its authors: SGD, 120 epochs, one setting for all",
    ),
    RecipeGroup(
        "res2net",
        "in1k",
        224,
        r"res2ne(x)?t\d+(_.*)?|dla60_res2ne.*",
        "Res2Nets by their authors, trained as the ResNets they stem from",
    ),
    RecipeGroup(
        "tf-mobilenetv3",
        "in1k",
        224,
        r"tf_mobilenetv3_.*",
        "Google's MobileNetV3s, trained as their paper says: two sizes, two widths, and the minimalistic variants",
    ),
    RecipeGroup("hrnet", "ms_in1k", 224, r"hrnet_.*", "HRNets by their authors: SGD, 100 epochs, one setting for all"),
    RecipeGroup(
        "hardcorenas", "miil_green_in1k", 224, r"hardcorenas_.*", "six networks of one search, trained in one way"
    ),
    RecipeGroup(
        "facebook-semi-weak",
        "fb_swsl_ig1b_ft_in1k",
        224,
        r".*",
        "semi-weakly supervised on a billion images by one procedure",
    ),
    RecipeGroup(
        "facebook-semi",
        "fb_ssl_yfcc100m_ft_in1k",
        224,
        r".*",
        "semi-supervised on YFCC100M by one procedure",
    ),
)
