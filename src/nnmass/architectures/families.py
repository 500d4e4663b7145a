"""Validated models of several families, from JSON that names its family."""

import os
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nnmass.architectures.examples import PREFIX, example_path, is_example
from nnmass.architectures.specification import explain, shown
from nnmass.errors import NNMassError, require_path
from nnmass.files import read_json
from nnmass.plain_text import plain

Model = TypeVar("Model", bound=BaseModel)

_MODEL = re.compile(r"^(timm|torchvision):|\.py:|\.(py|pt2|onnx)$")  # names of models, as commands take them
_SHOWN = 200


def read_family(
    path: str | os.PathLike[str], families: Mapping[str, type[Model]], *, what: str, error: type[NNMassError]
) -> Model:
    """Read the JSON file of a model.

    Args:
        path: the file, or ``example:NAME``.
        families: by name.
        what: the file should be, for messages: "a specification".
        error: raised where it is not.
    """
    require_path(path)
    if _MODEL.search(os.fsdecode(path)):
        named = plain(path, limit=_SHOWN)
        raise error(f"{named} names a PyTorch model, and {what} is needed here: FILE.json or {PREFIX}NAME")
    file = example_path(path, error) if is_example(path) else path
    try:
        values = read_json(file, what=what)
    except OSError as problem:
        raise error(f"{path}: cannot be read as {what} ({problem.strerror or problem})") from None
    except ValueError as problem:
        raise error(f"{path}: not JSON ({problem})") from None
    return family_from_dict(values, families, where=str(path), error=error)


def family_from_dict(
    values: Any, families: Mapping[str, type[Model]], *, where: str, error: type[NNMassError]
) -> Model:
    """Make a model of the plain values that JSON holds.

    Args:
        values: a mapping with ``"family"`` and that family's keys.
        families: by name.
        where: named in the error.
        error: raised for an unknown family or key, or a value out of range.
    """
    if not isinstance(values, dict):
        raise error(f"{where}: must be a JSON object, got {type(values).__name__}")
    family = values.get("family")
    known = family_named(family, families) if isinstance(family, str) else None
    if known is None:
        raise error(f"{where}: family must be one of {', '.join(families)}, got {shown(family)}")
    try:
        return families[known].model_validate(values | {"family": known})
    except ValidationError as problem:
        raise error(f"{where}: {explain(problem)}") from None


def family_named(name: str, families: Mapping[str, Any]) -> str | None:
    """The family that a name means, in whatever case and with whatever hyphens it is written; None if it means none.

    Examples:
        >>> family_named("mobilenet-v2", {"MobileNetV2": None}), family_named("VGG", {"MobileNetV2": None})
        ('MobileNetV2', None)
    """
    spelled = {_bare(family): family for family in families}
    return name if name in families else spelled.get(_bare(name))


def _bare(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
