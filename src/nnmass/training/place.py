"""Where a network is trained: one process on one device, or one of several processes that work together."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from nnmass.devices import find_device
from nnmass.errors import InvalidValueError
from nnmass.tracing.libraries import import_library
from nnmass.training.config import Precision

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_ACCELERATE = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


class Place:
    """One process on one device.

    Args:
        device: where.
        precision: of the forward pass.

    Attributes:
        device: where.
        rank: which process this is.
        world: how many there are.
    """

    rank, world = 0, 1

    def __init__(self, device: torch.device, precision: Precision) -> None:
        if precision == "auto":
            precision = "bfloat16" if device.type == "cuda" else "float32"
        if precision == "float16" and device.type == "cpu":
            raise InvalidValueError("precision float16 needs a GPU; on a CPU take float32 or bfloat16")
        self.device, self.precision = device, precision
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def joined(self, model: nn.Module) -> nn.Module:
        """A network whose gradients are averaged over all processes."""
        return model

    def forward(self) -> AbstractContextManager[object]:
        """A context in which forward passes have the precision that was asked for."""
        dtype = _DTYPES.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def apart(self, model: nn.Module) -> AbstractContextManager[object]:
        """A context in which gradients are added up, but not yet exchanged."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        self._scaler.scale(loss).backward()

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Step, unless half precision has overflowed."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def total(self, value: Tensor) -> Tensor:
        """Sum of a value over all processes."""
        return value

    def wait(self) -> None:
        """Wait for the other processes."""

    def scaling(self) -> dict[str, float]:
        """The state of the scale by which half precision avoids underflow; empty without one."""
        return {name: float(value) for name, value in self._scaler.state_dict().items()}

    def set_scaling(self, state: dict[str, float]) -> None:
        """Take up what `scaling` gave."""
        if state:
            self._scaler.load_state_dict(state)


class Accelerated(Place):
    """One of several processes that were started by ``accelerate launch``."""

    def __init__(self, device: torch.device | None, precision: Precision) -> None:
        accelerate: Any = import_library("accelerate")
        self._accelerator = accelerate.Accelerator(cpu=device is not None and device.type == "cpu")
        super().__init__(self._accelerator.device, precision)
        self.rank, self.world = self._accelerator.process_index, self._accelerator.num_processes

    def joined(self, model: nn.Module) -> nn.Module:
        """The network with gradients averaged, and on GPUs batch norms too."""
        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        prepared: nn.Module = self._accelerator.prepare_model(model)
        return prepared

    def apart(self, model: nn.Module) -> AbstractContextManager[object]:
        """A context in which gradients stay with this process."""
        context: AbstractContextManager[object] = self._accelerator.no_sync(model)
        return context

    def total(self, value: Tensor) -> Tensor:
        """Sum of a value over all processes."""
        total: Tensor = self._accelerator.reduce(value, "sum")
        return total

    def wait(self) -> None:
        """Wait for the other processes."""
        self._accelerator.wait_for_everyone()


def is_first() -> bool:
    """Whether this process, of those that were started together, is the one that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


def find_place(device: str | torch.device | None, precision: Precision) -> Place:
    """The place of this process: with others where ``accelerate launch`` or ``torchrun`` started several.

    Args:
        device: by default CUDA if there is any, else the CPU.
        precision: of the forward pass.

    Raises:
        InvalidValueError: a device that there is not, or half precision on a CPU.
        ModelError: several processes, and Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return Accelerated(find_device(device) if device else None, precision)
    return Place(find_device(device), precision)
