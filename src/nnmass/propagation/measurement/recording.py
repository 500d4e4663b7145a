"""One forward pass, and every weighted layer that ran in it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.utils.parametrize import ParametrizationList

from nnmass.errors import InvalidValueError, NNMassError, first_line
from nnmass.propagation.measurement.linear_maps import LayerJacobian
from nnmass.propagation.measurement.loan import lent
from nnmass.propagation.measurement.recorder import Belongs, Recorder
from nnmass.tracing.borrowing import ModulePath


@dataclass(frozen=True)
class Skipped:
    """A layer that was not measured, or a step that belongs to no layer.

    Attributes:
        name: module path.
        reason: why not.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Recording:
    """What a forward pass showed.

    Attributes:
        layers: in the order in which they ran.
        order: names of all layers in that order, those that are skipped included.
        skipped: weighted layers that are not among them, and other steps that belong to no layer.
    """

    layers: tuple[LayerJacobian, ...]
    order: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def record(
    model: nn.Module, inputs: Tensor, samples: Tensor, *, every_input: bool = True, belongs: Belongs | None = None
) -> Recording:
    """Run a model once and return the Jacobian of every convolution and linear layer at these inputs.

    The model runs in evaluation mode, with batch norm at the statistics of this batch; parameters, buffers, attributes,
    modes and random state are as they were afterwards.

    Args:
        model: any module that takes one tensor.
        inputs: (batch, ...).
        samples: the inputs at which large layers are kept.
        every_input: whether other convolutions are kept at all inputs.
        belongs: whether the norm in the module of the first path belongs to the layer of the second, which it follows
            directly; default: always.

    Raises:
        InvalidValueError: NaN or infinity in weights or inputs, with the layer; a forward pass that fails.
    """
    recorder = _run(model, inputs, samples, every_input, belongs or (lambda norm, layer: True), always_follow=False)
    if recorder.gradients_were_off:  # the model runs its layers without gradients: that says nothing of its derivatives
        recorder = _run(model, inputs, samples, every_input, belongs or (lambda norm, layer: True), always_follow=True)
    found = [*recorder.skipped.items(), *_not_recorded(model, recorder).items(), *recorder.steps]
    return Recording(tuple(recorder.layers), tuple(recorder.order), tuple(Skipped(*item) for item in found))


def _run(
    model: nn.Module, inputs: Tensor, samples: Tensor, every_input: bool, belongs: Belongs, *, always_follow: bool
) -> Recorder:
    path = ModulePath(model)
    recorder = Recorder(
        samples,
        len(inputs),
        lambda: path.current[-1][0] if path.current else "",
        every_input=every_input,
        belongs=belongs,
        always_follow=always_follow,
    )
    with torch.inference_mode(False), torch.enable_grad(), _uncompiled(), lent(model) as tensors:
        first = recorder.begin(inputs)
        try:
            with path.followed(), recorder:
                torch.func.functional_call(model, tensors, (first,))
        except NNMassError:
            raise
        except Exception as error:  # whatever a model's forward pass may raise
            raise InvalidValueError(_forward_failed(model, tensors, inputs, error)) from error
    return recorder


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run what torch.compile was given as it was before."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _forward_failed(model: nn.Module, tensors: dict[str, Tensor], inputs: Tensor, error: Exception) -> str:
    reason = first_line(error)
    try:
        with torch.no_grad():
            torch.func.functional_call(model, tensors, (inputs.clone(),))
    except Exception as plain:  # it fails by itself
        reason = first_line(plain)
    else:
        return f"the forward pass works, but derivatives cannot be followed through it: {reason}"
    expected = ""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            space = ["size"] * (module.weight.dim() - 2)
            expected = f"; {name or 'the model'} reads ({', '.join(['batch', str(module.in_channels), *space])})"
            break
        if isinstance(module, nn.Linear):
            expected = f"; {name or 'the model'} reads (batch, {module.in_features})"
            break
    return f"the forward pass fails on inputs of shape {tuple(inputs.shape)}: {reason}{expected}"


def _not_recorded(model: nn.Module, recorder: Recorder) -> dict[str, str]:
    """Name the modules with weight matrices of their own that no layer was recorded of."""
    seen = {name.split("#")[0] for name in (*recorder.skipped, *(layer.name for layer in recorder.layers))}
    found = {}
    for name, module in model.named_modules():
        matrices = any(parameter.dim() > 1 for parameter in module.parameters(recurse=False))
        if (name or "model") in seen or not matrices or isinstance(module, nn.LayerNorm | ParametrizationList):
            continue
        if isinstance(module, torch.jit.ScriptModule):
            found[name or "model"] = "a torch.jit module runs as one compiled graph"
        elif isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            found[name] = "it was not called as a layer of its own"
        else:
            found[name or "model"] = _why_unmeasured(module)
    return found


_UNMEASURED: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str], ...] = (
    (_ConvTransposeNd, "a transposed convolution, which is not measured"),
    ((nn.RNNBase, nn.RNNCellBase), "a recurrent layer: its Jacobian is not W·diag(φ′)"),
    (nn.Bilinear, "a product of two inputs: its Jacobian is not W·diag(φ′)"),
    ((nn.Embedding, nn.EmbeddingBag), "a table of vectors: what it reads has no derivative"),
    (nn.MultiheadAttention, "attention, a product of data with data: its Jacobian is not W·diag(φ′)"),
)


def _why_unmeasured(module: nn.Module) -> str:
    """Name a module with weights that is not measured for what it is."""
    own = type(module).__name__
    for kind, what in _UNMEASURED:
        if isinstance(module, kind):
            return f"{own} is {what}"
    return f"{own} is neither a convolution nor a linear layer"
