"""One forward pass, and every weighted layer that ran in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnmass.errors import InvalidValueError, NNMassError
from nnmass.propagation.measurement.linear_maps import LayerJacobian
from nnmass.propagation.measurement.recorder import Recorder


@dataclass(frozen=True)
class Skipped:
    """A layer that was not measured.

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
        skipped: weighted layers that are not among them.
    """

    layers: tuple[LayerJacobian, ...]
    skipped: tuple[Skipped, ...]


def record(model: nn.Module, inputs: Tensor, samples: Tensor, *, every_input: bool = True) -> Recording:
    """Run a model once and return the Jacobian of every convolution and linear layer at these inputs.

    The model runs in evaluation mode, with batch norm at the statistics of this batch; parameters, buffers, modes and
    random state are as they were afterwards.

    Args:
        model: any module that takes one tensor.
        inputs: (batch, ...).
        samples: the inputs at which large layers are kept.
        every_input: whether other convolutions are kept at all inputs.

    Raises:
        InvalidValueError: NaN or infinity in weights or inputs, with the layer; a forward pass that fails.
    """
    names: list[str] = [""]
    recorder = Recorder(samples, len(inputs), names, every_input=every_input)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = [inputs.device] if inputs.device.type == "cuda" else []
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        torch.random.fork_rng(devices=devices),
        _evaluation(model),
        _named(model, names),
        recorder,
    ):
        try:
            torch.func.functional_call(model, buffers, (inputs,))
        except NNMassError:
            raise
        except Exception as error:  # whatever a model's forward pass may raise
            raise InvalidValueError(_forward_failed(model, inputs, error)) from error
    skipped = recorder.skipped | _not_recorded(model, recorder)
    return Recording(tuple(recorder.layers), tuple(Skipped(*item) for item in skipped.items()))


def _forward_failed(model: nn.Module, inputs: Tensor, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
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
        if (name or "model") in seen or not matrices or isinstance(module, nn.LayerNorm):
            continue
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            found[name] = "it was not called as a layer of its own"
        else:
            found[name or "model"] = f"{type(module).__name__} is neither a convolution nor a linear layer"
    return found


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _named(model: nn.Module, names: list[str]) -> Iterator[None]:
    """Keep the path of the module that is running at the end of ``names``."""
    handles = []
    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: names.append(name)))
            handles.append(module.register_forward_hook(lambda *_: _leave(names), always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _leave(names: list[str]) -> None:
    names.pop()
