"""A network as a file of PyTorch code that needs nothing of nnmass."""

import copy
import textwrap
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import nn

from nnmass.architectures import (
    Activation,
    CifarResNet,
    DenseCNN,
    DenseMLP,
    LinkedSpecification,
    MobileNetV2,
    ResNet,
    Specification,
    WideResNet,
    require_specification,
)
from nnmass.designing import describe
from nnmass.errors import ExportError, InvalidValueError
from nnmass.export.comparison import Function, Stored, Tensors, said

_ACTIVATIONS: dict[Activation, str] = {
    "elu": "F.elu(x)",
    "relu": "F.relu(x)",
    "selu": "F.selu(x)",
    "tanh": "torch.tanh(x)",
    "linear": "x",
}
_LINE = 112


def standalone_code(spec: Specification) -> str:
    """Write the network of a specification as Python code that imports PyTorch alone.

    The module ``Network`` has the same parameters, by name and order, and computes the same function: `load` in the
    file reads the weights that nnmass writes, and the other way round.

    Args:
        spec: of any family; of a family with random links those of seed 0 are taken where it has none.

    Raises:
        InvalidValueError: a family without a template.
    """
    require_specification(spec)
    spec = spec.with_links(0) if isinstance(spec, LinkedSpecification) and spec.links is None else spec
    template, values = _template_of(spec)
    environment = Environment(
        loader=PackageLoader("nnmass", "export"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["wrapped"] = _wrapped
    functional = not isinstance(spec, DenseMLP) or "F." in _ACTIVATIONS[spec.activation]
    values |= {"spec": spec, "spec_json": _json(spec), "title": _title(spec), "functional": functional}
    text = environment.get_template(template).render(values)
    return text.rstrip() + "\n"


def stored_code(content: bytes) -> Stored:
    """Run a file of code, for its ``Network`` to be given weights and compared."""
    try:
        space: dict[str, Any] = {"__name__": "network"}
        exec(compile(content, "network.py", "exec"), space)
        network = space["Network"]()
        if not isinstance(network, nn.Module):
            raise TypeError(f"Network makes a {type(network).__name__}")
    except Exception as error:  # of code that is damaged
        raise ExportError(f"what was written does not run: {said(error)}") from error

    def function(given: Tensors) -> Function:
        other = copy.deepcopy(network)
        other.load_state_dict(dict(given))
        return other.eval()

    return Stored(None, function)


def _template_of(spec: Specification) -> tuple[str, dict[str, Any]]:
    """Name of the template, and what it needs besides the specification."""
    if isinstance(spec, DenseMLP):
        return "dense_mlp.py.jinja", {"links": spec.links, "activation": _ACTIVATIONS[spec.activation]}
    if isinstance(spec, DenseCNN):
        return "dense_cnn.py.jinja", {"links": spec.links}
    if isinstance(spec, MobileNetV2):
        return "mobilenet_v2.py.jinja", {}
    if isinstance(spec, ResNet):
        return "residual.py.jinja", {"kind": spec.block, "padded": False, "large": True}
    if isinstance(spec, CifarResNet):
        padded = spec.shortcut == "A" and any(block.reshapes for stage in spec.stages for block in stage)
        return "residual.py.jinja", {"kind": "basic", "padded": padded, "large": False}
    if isinstance(spec, WideResNet):
        return "residual.py.jinja", {"kind": "preactivation", "padded": False, "large": False}
    raise InvalidValueError(f"no code is known for the family {spec.family!r}")


def _title(spec: Specification) -> str:
    return textwrap.shorten(describe(spec), _LINE, placeholder=" …") + "."


def _json(spec: Specification) -> str:
    """The specification without its links, in lines that fit."""
    values = spec.without_links().model_dump_json(exclude_none=True).replace(",", ", ").replace(":", ": ")
    return "\n    ".join(textwrap.wrap(values, _LINE))


def _wrapped(channels: tuple[int, ...], indent: int) -> str:
    """A tuple of numbers in lines that fit; continued lines stand deeper."""
    text = repr(channels)
    width = _LINE - indent
    return text if len(text) <= width else f"\n{' ' * (indent + 1)}".join(textwrap.wrap(text, width))
