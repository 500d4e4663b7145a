"""A module from what a user names: a library's model, a function in a file, an exported graph."""

import sys
from contextlib import redirect_stdout
from fnmatch import fnmatchcase
from pathlib import Path

from nnmass.architectures.examples import PREFIX, example_specifications
from nnmass.errors import InvalidValueError, ModelError, require_type
from nnmass.tracing.exported_archive import read_exported_program
from nnmass.tracing.loaded_model import LoadedModel
from nnmass.tracing.onnx_file import read_onnx
from nnmass.tracing.python_file import models_of_python_file, module_from_python_file
from nnmass.tracing.zoo import ZOOS, build_zoo_model, matching_names

_FORMS = "timm:NAME, torchvision:NAME, FILE.py:NAME, FILE.pt2, FILE.onnx, or FILE.json of a specification"


def load_model(source: str, *, image_size: int | None = None) -> LoadedModel:
    """Get a module from its source.

    Args:
        source: ``timm:NAME`` or ``torchvision:NAME``, built without weights; or ``FILE.py:NAME``, a function without
            arguments or a module in a Python file.  That runs the file: do so with files that you trust.  Or
            ``FILE.pt2``, a program of `torch.export.save`, or ``FILE.onnx``: reading these runs no code from them.
        image_size: height and width of the images, instead of the source's own.

    Raises:
        ModelError: the source names nothing, or nothing that is a module.
        InvalidValueError: ``image_size`` below 1.
    """
    require_type(source, str, "source", f"text: {_FORMS}")
    if image_size is not None and image_size < 1:
        raise InvalidValueError(f"image_size must be at least 1, got {image_size}")
    scheme, _, name = source.partition(":")
    if scheme in ZOOS:
        return build_zoo_model(scheme, name, image_size=image_size)
    file, _, name = source.rpartition(":")
    if file.endswith(".py"):
        images = None if image_size is None else ((1, 3, image_size, image_size),)
        return LoadedModel(source, module_from_python_file(Path(file), name), images)
    if source.endswith(".py"):
        raise ModelError(f"{source}: say what makes the model, {source}:NAME")
    if source.endswith(".pt2"):
        return LoadedModel(source, *read_exported_program(Path(source), image_size=image_size))
    if source.endswith(".onnx"):
        return LoadedModel(source, *read_onnx(Path(source), image_size=image_size))
    if source.endswith(".json"):
        raise ModelError(f"{source} is a specification's file, not a model's: nnmass.load_spec reads it")
    raise ModelError(f"{source!r} names no model: expected {_FORMS}")


def model_names(pattern: str) -> list[str]:
    """List the models that a pattern names: ``timm:mobilenetv2_*``, ``torchvision:resnet*``, ``FILE.py:*``.

    Args:
        pattern: a source with shell wildcards behind its colon; one without is returned as it is.  ``FILE.py:*`` runs
            that file, ``example:*`` are the specifications that come with nnmass.

    Returns:
        sources for `analyze_source`, sorted.

    Raises:
        ModelError: nothing matches, or the library is not installed.
    """
    where, colon, names = pattern.rpartition(":")
    if not colon or not any(wildcard in names for wildcard in "*?["):
        return [pattern]
    if where in ZOOS:
        return [f"{where}:{name}" for name in matching_names(where, names)]
    if where.endswith(".py"):
        with redirect_stdout(sys.stderr):  # what the file's own code prints
            return [f"{where}:{name}" for name in models_of_python_file(Path(where), names)]
    if f"{where}:" == PREFIX:
        return [f"{PREFIX}{name}" for name in example_specifications() if fnmatchcase(name, names)] or [pattern]
    return [pattern]
