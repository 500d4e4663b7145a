"""Devices that there are."""

from typing import TYPE_CHECKING

from nnmass.errors import InvalidValueError, first_line
from nnmass.plain_text import plain

if TYPE_CHECKING:
    import torch


def find_device(device: "str | torch.device | None" = None) -> "torch.device":
    """Return a device that can hold numbers.

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, …; None: CUDA if there is any, else the CPU.

    Raises:
        InvalidValueError: PyTorch knows no such device, or this machine has none.

    Examples:
        >>> find_device("cpu")
        device(type='cpu')
    """
    import torch

    shown = plain(device, limit=40)
    try:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise InvalidValueError(f"device {shown!r} is unknown ({plain(first_line(error), limit=200)})") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise InvalidValueError(f"device {shown!r} was asked for, but PyTorch sees no CUDA device")
    if place.type == "meta":
        raise InvalidValueError("device 'meta' was asked for, but it holds no numbers to compute with")
    try:
        torch.zeros(1, device=place).cpu()
    except Exception as error:  # every kind of device fails in its own way
        reason = plain(first_line(error), limit=90)
        raise InvalidValueError(f"device {shown!r} was asked for, but this machine has none ({reason})") from None
    return place
