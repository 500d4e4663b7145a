"""Analysing what a user names: a specification in a JSON file, or any source of `load_model`."""

import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace

import torch
from torch import nn

from nnmass.architectures import Specification
from nnmass.architectures.files import is_specification, projection_of, read_specification
from nnmass.errors import InvalidValueError, ModelError
from nnmass.topology import Projection
from nnmass.tracing.analysis import analyze
from nnmass.tracing.input_types import InputType
from nnmass.tracing.loaded_model import InputSizes, LoadedModel
from nnmass.tracing.recognition import recognise
from nnmass.tracing.report import Report
from nnmass.tracing.sources import load_model
from nnmass.tracing.wrong_inputs import ChannelsError

_HINT = "give a size for each input (--input-size 1,3,224,224; token ids: --input-size 1,128:int)"


def analyze_source(
    source: str,
    *,
    input_sizes: Sequence[Sequence[int]] = (),
    dtypes: Sequence[InputType | str] | None = None,
    image_size: int | None = None,
    projection: Projection | None = None,
) -> Report:
    """Analyse a model by its name; nothing is downloaded.

    What the model's own code prints goes to standard error.

    Args:
        source: a specification's ``FILE.json``, or what `load_model` takes; ``FILE.py:NAME`` runs that file.
        input_sizes: sizes of the inputs, the samples first, instead of those that the source knows.
        dtypes: types of the inputs, one each, likewise; see `analyze`.
        image_size: height and width of the images, likewise.
        projection: whether shortcuts that are projections count as skips; by default what a specification says, else
            ``"count"``.

    Raises:
        InvalidValueError: sizes that are not valid, missing, or too many or few for the model's inputs.
        SpecificationError: the JSON file is no specification.
        ModelError: the source names no model, or its forward pass fails.
        RefusedError: NN-Mass is not defined for it.
    """
    if input_sizes and image_size is not None:
        raise InvalidValueError("give sizes of the inputs or an image size, not both")
    if is_specification(source):
        if input_sizes:
            raise InvalidValueError(f"{source}: a specification knows the size of its input; give no other")
        spec = read_specification(source, image_size=image_size, projection=projection)
        return analyze(spec, projection=projection_of(spec), name=source)
    with redirect_stdout(sys.stderr):
        loaded = load_model(source, image_size=image_size)
        sizes = _checked(source, loaded.module, tuple(map(tuple, input_sizes)) or loaded.input_sizes)
        types = loaded.input_types if dtypes is None and loaded.input_types else dtypes
        with _channels_told(assumed=image_size is not None and not input_sizes):
            return analyze(loaded.module, sizes, dtypes=types, projection=projection or "count", name=source)


def network_of(
    source: str,
    *,
    input_sizes: Sequence[Sequence[int]] = (),
    dtypes: Sequence[InputType | str] | None = None,
    image_size: int | None = None,
) -> Specification | LoadedModel:
    """Return the network that a user names: a specification, or a model with its weights.

    A model of timm or torchvision is built without weights: it is the specification that it is found to be, whose
    weights are to be drawn.  What the model's own code prints goes to standard error.

    Args:
        source: a specification's ``FILE.json``, or what `load_model` takes; ``FILE.py:NAME`` runs that file.
        input_sizes: sizes of the inputs, the samples first, instead of those that the source knows.
        dtypes: types of the inputs, one each, likewise; see `analyze`.
        image_size: height and width of the images, likewise.

    Raises:
        InvalidValueError: sizes that are not valid, missing, or too many or few for the model's inputs.
        SpecificationError: the JSON file is no specification.
        ModelError: the source names no model, or one without weights that is of no family.
    """
    if is_specification(source):
        return specification_of(source, input_sizes=input_sizes, image_size=image_size)
    if input_sizes and image_size is not None:
        raise InvalidValueError("give sizes of the inputs or an image size, not both")
    with redirect_stdout(sys.stderr):
        loaded = load_model(source, image_size=image_size)
        own = getattr(loaded.module, "spec", None)
        known = ((1, *own.input_shape),) if isinstance(own, Specification) else loaded.input_sizes
        sizes = _checked(source, loaded.module, tuple(map(tuple, input_sizes)) or known)
        if not any(t.is_meta for t in (*loaded.module.parameters(), *loaded.module.buffers())):
            types = tuple(dtypes) if dtypes is not None else loaded.input_types
            return replace(loaded, input_sizes=sizes, input_types=types)
        try:
            return recognise(loaded.module, sizes, name=source)
        except ModelError as error:
            raise ModelError(
                f"{source} is built without weights, and its weights cannot be drawn: {error}; "
                "FILE.py:NAME, a function that returns the model, brings weights"
            ) from None


@contextmanager
def _channels_told(*, assumed: bool) -> Iterator[None]:
    """Say that it was nobody's choice that images have 3 channels, where the model reads another number."""
    try:
        yield
    except ModelError as error:
        if not assumed or not isinstance(error.__cause__, ChannelsError):
            raise
        hint = "an image size stands for images of 3 channels; nnmass analyze --input-size takes any other number"
        raise ModelError(f"{error}; {hint}") from error


def specification_of(
    source: str, *, input_sizes: Sequence[Sequence[int]] = (), image_size: int | None = None
) -> Specification:
    """Return the specification that a user names: its JSON file, or a model that is one; see `recognise`.

    What the model's own code prints goes to standard error.

    Args:
        source: a specification's ``FILE.json``, or what `load_model` takes; ``FILE.py:NAME`` runs that file.
        input_sizes: sizes of the inputs, the samples first, instead of those that the source knows.
        image_size: height and width of the images, likewise.

    Raises:
        InvalidValueError: sizes that are not valid, missing, or too many or few for the model's inputs.
        SpecificationError: the JSON file is no specification.
        ModelError: the source names no model, or one of no family.
    """
    if input_sizes and image_size is not None:
        raise InvalidValueError("give sizes of the inputs or an image size, not both")
    if is_specification(source):
        if input_sizes:
            raise InvalidValueError(f"{source}: a specification knows the size of its input; give no other")
        return read_specification(source, image_size=image_size)
    with redirect_stdout(sys.stderr):
        loaded = load_model(source, image_size=image_size)
        sizes = tuple(map(tuple, input_sizes)) or loaded.input_sizes
        if not isinstance(getattr(loaded.module, "spec", None), Specification):  # one of ours knows its input
            sizes = _checked(source, loaded.module, sizes)
        with _channels_told(assumed=image_size is not None and not input_sizes):
            return recognise(loaded.module, sizes, name=source, folded=source.endswith(".onnx"))


def _checked(source: str, module: nn.Module, sizes: InputSizes | None) -> InputSizes:
    """Sizes, as many as the forward pass takes tensors."""
    if sizes is None:
        raise InvalidValueError(f"{source} does not say the size of its input: {_HINT}")
    if not isinstance(module, torch.jit.ScriptModule):
        _check_number(source, inspect.signature(module.forward), len(sizes))
    return sizes


def _check_number(source: str, forward: inspect.Signature, given: int) -> None:
    try:
        forward.bind(*[None] * given)
    except TypeError:
        needed = [p.name for p in forward.parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
        inputs = f"{len(needed)} input{'s' * (len(needed) != 1)} ({', '.join(needed)})"
        raise InvalidValueError(f"{source} takes {inputs}, got sizes of {given}: {_HINT}") from None
