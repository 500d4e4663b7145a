"""Checkpoints: written whole or not at all, read without running code from them."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from nnmass import atomic
from nnmass.errors import CheckpointError

_KEYS = {"run", "model", "optimizer", "train_loss", "validation_accuracy"}


def save_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a checkpoint; a crash leaves the previous one."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic.write_bytes(path, buffer.getvalue())


def load_checkpoint(path: str | os.PathLike[str], *, run: dict[str, Any]) -> dict[str, Any] | None:
    """Read the checkpoint of a run, or None where there is none.

    Args:
        path: the file.
        run: describes the run; it must equal the ``"run"`` of the checkpoint.

    Raises:
        CheckpointError: damaged, or of another run.
    """
    if not Path(path).exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # PyTorch does not compare the checksums
        state = torch.load(path, map_location="cpu", weights_only=True) if damaged is None else None
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged, or not a checkpoint ({reason})") from None
    if not isinstance(state, dict) or not state.keys() >= _KEYS or not isinstance(state["run"], dict):
        raise CheckpointError(f"{path}: damaged, or not a checkpoint")
    found = state["run"]
    if found != run:
        different = sorted(key for key in {*found, *run} if found.get(key) != run.get(key))
        raise CheckpointError(f"{path}: belongs to a run with other {', '.join(different)}; remove it to start afresh")
    return dict(state)


def save_weights(model: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write the state dict, links included, as safetensors."""
    return atomic.write_bytes(path, save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}))


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load what `save_weights` wrote into a network of the same specification; its links come from the file.

    Raises:
        CheckpointError: missing, damaged, or of another network.
    """
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: not the weights of this network ({reason})") from None
