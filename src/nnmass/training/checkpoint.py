"""Checkpoints as safetensors: written whole or not at all, read without running code from them."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from nnmass import atomic
from nnmass.errors import CheckpointError, first_line, reason
from nnmass.files import open_regular
from nnmass.plain_text import one_line

_FORM = "nnmass checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """What a run is resumed from.

    Attributes:
        run: describes the run that it belongs to.
        tensors: by name: weights, the optimizer's state, moving averages, sums.
        values: numbers and lists, as JSON holds them.
    """

    run: dict[str, Any]
    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors below a name."""
        return {key.removeprefix(f"{name}/"): t for key, t in self.tensors.items() if key.startswith(f"{name}/")}


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a crash leaves the previous one.

    Raises:
        CheckpointError: it cannot be written, as on a full disk; the previous one stays.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    header = {"form": _FORM, "run": json.dumps(checkpoint.run), "values": json.dumps(checkpoint.values)}
    try:
        atomic.write_bytes(path, save(tensors, {**header, "digest": _digest(tensors, header)}))
    except OSError as error:
        said = f"cannot be written ({reason(error)}); the checkpoint before it is kept"
        raise CheckpointError(f"{path}: {said}") from None


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint | None:
    """Read a checkpoint, or None where there is none.

    Raises:
        CheckpointError: damaged, or it cannot be read.
    """
    if not Path(path).exists():
        return None
    try:
        open_regular(path).close()
        with safe_open(path, "pt") as archive:
            header = archive.metadata() or {}
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 - no mapping
        digest = header.pop("digest", None)
        if header.get("form") != _FORM or digest != _digest(tensors, header):
            raise ValueError("its digest is not that of its content")
        run, values = json.loads(header["run"]), json.loads(header["values"])
        if not isinstance(run, dict) or not isinstance(values, dict):
            raise ValueError("its header holds something else")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({reason(error)})") from None
    except (ValueError, KeyError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{path}: damaged, or not a checkpoint ({first_line(error)})") from None
    return Checkpoint(run, tensors, values)


def _digest(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    """SHA-256 of names, header and bytes: safetensors checks none of them."""
    digest = hashlib.sha256(json.dumps([sorted(header.items()), sorted(tensors)]).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data if tensors[name].numel() else b"")
    return digest.hexdigest()


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of an optimizer: tensors by parameter and name, and numbers of parameters and groups.

    Raises:
        CheckpointError: the optimizer keeps other things.
    """
    whole = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for i, own in whole["state"].items():
        for name, value in own.items():
            if isinstance(value, Tensor):
                tensors[f"{i}/{name}"] = value
            elif value is None or isinstance(value, int | float):
                numbers[f"{i}/{name}"] = value
            else:
                kind = type(optimizer).__name__
                raise CheckpointError(
                    f"{kind} keeps a {type(value).__name__} ({name}), which no checkpoint holds; take another optimizer"
                )
    groups = [{name: _number(value) for name, value in group.items()} for group in whole["param_groups"]]
    kept = [{name: value for name, value in group.items() if value is not None} for group in groups]
    return tensors, {"state": numbers, "groups": kept}


def set_optimizer_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Take up what `optimizer_state` gave after a step.

    Raises:
        ValueError: it is of other parameters, or not whole.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    _check_moments(optimizer, tensors, parameters)
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        i, name = key.split("/")
        like = parameters[int(i)]
        laid_out = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor  # as the parameter is
        state.setdefault(int(i), {})[name] = laid_out
    for key, number in values["state"].items():
        i, name = key.split("/")
        state.setdefault(int(i), {})[name] = number
    groups = optimizer.state_dict()["param_groups"]
    taken_up = [{**group, **kept} for group, kept in zip(groups, values["groups"], strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": taken_up})


def _check_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], parameters: list[Tensor]) -> None:
    """Refuse moments of other parameters: fused optimizers do not look how long they are."""
    if type(optimizer) not in {torch.optim.Adam, torch.optim.SGD}:
        return  # timm's check what they combine
    own = {f"{i}/{name}" for i in range(len(parameters)) for name in _moments(optimizer)}
    if set(tensors) != own:
        different = sorted(set(tensors) ^ own)[0]
        raise ValueError(f"the optimizer's state has or lacks {different}")
    for key, tensor in tensors.items():
        number, name = key.split("/")
        shape = torch.Size() if name == "step" else parameters[int(number)].shape
        if tensor.shape != shape or not tensor.is_floating_point():
            raise ValueError(f"the optimizer's {key} has the shape {tuple(tensor.shape)}, not {tuple(shape)}")


def _moments(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Tensors that an optimizer keeps of each parameter after its first step."""
    if isinstance(optimizer, torch.optim.Adam):
        return ("step", "exp_avg", "exp_avg_sq")
    return ("momentum_buffer",) if optimizer.defaults["momentum"] else ()


def _number(value: Any) -> float | int | None:
    """A number, as some optimizers keep of a group's steps; other settings follow from the configuration."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    return value if isinstance(value, int | float) else None


def save_weights(model: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write the state dict, links included, as safetensors."""
    return atomic.write_bytes(path, weights_bytes(model))


def weights_bytes(model: nn.Module) -> bytes:
    """What `save_weights` writes; shared tensors are written once for each name."""
    return save({name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()})


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load what `save_weights` wrote into a network of the same specification; its links come from the file.

    Raises:
        CheckpointError: missing, damaged, or of another network.
    """
    try:
        open_regular(path).close()  # safetensors would wait for a pipe
        model.load_state_dict(load_file(path))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({reason(error)})") from None
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not the weights of this network ({one_line(error, limit=200)})") from None
