"""Networks of nnmass as models of timm, so that timm's own scripts train them.

Importing this module registers the models; as a program it does so and then runs a script with its arguments:

    python -m nnmass.export.timm_models train.py DATA --model nnmass --model-kwargs spec=network.json
"""

import os
import runpy
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import POOLED, Specification, load_spec, spec_from_dict
from nnmass.errors import InvalidValueError, ModelError
from nnmass.networks import DenseCNNNetwork, MobileNetV2Network, build
from nnmass.networks.residual import ResidualNetwork
from nnmass.tracing.libraries import import_library

_FAMILIES = ("densecnn", "mobilenetv2", "resnet", "cifarresnet", "wideresnet")
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class TimmModel(nn.Module):
    """A network with what timm asks of a model.

    Attributes:
        network: the network; its parameters keep their names below ``network.``.
        num_classes: outputs; 0 after ``reset_classifier(0)``, when features come out.
        num_features: numbers that the classifier reads.
        pretrained_cfg: input size, mean, standard deviation and classifier, as timm's data pipeline reads them.

    Shape:
        (batch, in_channels, image_size, image_size) → (batch, num_classes).
    """

    def __init__(self, spec: Specification, *, drop_rate: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        network = build(spec, seed=seed)
        if not isinstance(network, DenseCNNNetwork | MobileNetV2Network | ResidualNetwork):
            raise InvalidValueError(f"timm's models read images; a {spec.family} does not")
        self.network, self.drop_rate = network, drop_rate
        name = self._classifier_name()
        linear = self.get_classifier()
        assert isinstance(linear, nn.Linear)
        self.num_classes, self.num_features = linear.out_features, linear.in_features
        self.head_hidden_size = self.num_features
        self.pretrained_cfg = self.default_cfg = {
            "architecture": "nnmass",
            "input_size": spec.input_shape,
            "pool_size": None,
            "crop_pct": 1.0,
            "interpolation": "bicubic",
            "num_classes": self.num_classes,
            "classifier": f"network.{name}",
            "first_conv": None,
            **_IMAGENET,
        }

    def get_classifier(self) -> nn.Module:
        """The linear layer; an identity after ``reset_classifier(0)``."""
        return self.network.get_submodule(self._classifier_name())

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Give the network another number of classes, its linear layer drawn anew; 0: none.

        Raises:
            InvalidValueError: another pooling; these networks have their own.
        """
        if global_pool not in (None, "avg"):
            raise InvalidValueError(f"global_pool must be 'avg', got {global_pool!r}")
        layer = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        parent, _, leaf = self._classifier_name().rpartition(".")
        setattr(self.network.get_submodule(parent), leaf, layer)
        self.num_classes = num_classes

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map: (batch, channels, height, width)."""
        network = self.network
        if isinstance(network, DenseCNNNetwork):
            for cell in network.cells:
                x = cell(x)
            return x
        if isinstance(network, MobileNetV2Network):
            features: Tensor = network.features(x)
            return features
        return network.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits, or with ``pre_logits`` what the linear layer reads, from the last map."""
        side = POOLED if isinstance(self.network, DenseCNNNetwork) else 1
        x = torch.flatten(F.adaptive_avg_pool2d(x, side), 1)
        if self.drop_rate:
            x = F.dropout(x, self.drop_rate, self.training)
        if pre_logits:
            return x
        logits: Tensor = self.get_classifier()(x)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        return self.forward_head(self.forward_features(x))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Refuse: not implemented.

        Raises:
            InvalidValueError: checkpointing is asked for.
        """
        if enable:
            raise InvalidValueError("these networks have no gradient checkpointing")

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups of parameters for layer-wise learning rates: none but the stem."""
        return {"stem": r"^network\.(conv1|bn1|features\.0)", "blocks": r"^network\.(?:cells|layer|features\.)(\d+)"}

    def no_weight_decay(self) -> set[str]:
        """Parameters without weight decay: none by name."""
        return set()

    def _classifier_name(self) -> str:
        if isinstance(self.network, DenseCNNNetwork):
            return "classifier"
        return "classifier.1" if isinstance(self.network, MobileNetV2Network) else "fc"


def create(
    spec: Specification | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    in_chans: int | None = None,
    drop_rate: float = 0.0,
    img_size: int | None = None,
    seed: int = 0,
    family: str | None = None,
    pretrained_cfg: object = None,
    pretrained_cfg_overlay: object = None,
    cache_dir: object = None,
    **unknown: Any,
) -> TimmModel:
    """Build a network for ``timm.create_model``.

    Args:
        spec: a specification, its values, or its JSON file.
        pretrained: refused: weights are loaded with timm's ``checkpoint_path`` or ``--initial-checkpoint``.
        num_classes: instead of the specification's.
        in_chans: channels of the images, likewise.
        drop_rate: of dropout before the linear layer.
        img_size: height and width of the images, instead of the specification's.
        seed: draws links and weights.
        family: that the specification must be of.
        pretrained_cfg: of timm; not used.
        pretrained_cfg_overlay: of timm; not used.
        cache_dir: of timm; not used.
        **unknown: refused.

    Raises:
        InvalidValueError: no specification, one of another family, an unknown argument, pretrained weights.
        SpecificationError: not a valid specification.
    """
    given = {name: value for name, value in unknown.items() if value is not None}
    if given:
        raise InvalidValueError(f"unknown arguments for a model of nnmass: {', '.join(sorted(given))}")
    if pretrained:
        raise InvalidValueError("models of nnmass have no pretrained weights; load yours with checkpoint_path")
    if spec is None:
        raise InvalidValueError("a model of nnmass needs spec=FILE.json (timm's script: --model-kwargs spec=FILE.json)")
    found = _specification(spec)
    changes = {"num_classes": num_classes, "in_channels": in_chans, "image_size": img_size}
    values = found.model_dump(mode="json", exclude_none=True)
    values |= {name: value for name, value in changes.items() if value is not None}
    chosen = spec_from_dict(values)
    if family is not None and chosen.family.lower() != family:
        raise InvalidValueError(f"nnmass_{family} takes a specification of that family, got {chosen.family}")
    return TimmModel(chosen, drop_rate=drop_rate, seed=seed)


def _specification(spec: Specification | Mapping[str, Any] | str | os.PathLike[str]) -> Specification:
    if isinstance(spec, Specification):
        return spec
    return spec_from_dict(dict(spec)) if isinstance(spec, Mapping) else load_spec(spec)


def register() -> None:
    """Register ``nnmass`` and ``nnmass_FAMILY`` with timm, once.

    Raises:
        ModelError: timm is not installed.
    """
    registry = import_library("timm.models")
    if registry.is_model("nnmass"):
        return
    for family in (None, *_FAMILIES):
        registry.register_model(_entry(family))


def _entry(family: str | None) -> Any:
    def model(pretrained: bool = False, **arguments: Any) -> TimmModel:
        return create(pretrained=pretrained, family=family, **arguments)

    model.__name__ = "nnmass" if family is None else f"nnmass_{family}"
    model.__module__ = __name__
    model.__doc__ = "A network of nnmass: spec=FILE.json."
    return model


register()

if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m nnmass.export.timm_models SCRIPT.py ARGUMENTS…")
    sys.argv = sys.argv[1:]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except (InvalidValueError, ModelError) as error:
        raise SystemExit(f"nnmass: {error}") from None
