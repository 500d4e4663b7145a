"""CIFAR-10 and CIFAR-100 as torchvision stores them, read without running code from the files."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from nnmass.data.dataset import Split
from nnmass.errors import DataError

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
_SIDE = 32


def read_cifar_batch(path: str | os.PathLike[str], *, label_key: str) -> Split:
    """Read one batch file of CIFAR-10 (``label_key="labels"``) or CIFAR-100 (``"fine_labels"``).

    The files are pickles; only the functions that rebuild NumPy arrays are let through.

    Returns:
        uint8 images (samples, 3, 32, 32) and their labels.

    Raises:
        DataError: not such a file.
    """
    try:
        content = _ArraysOnly(io.BytesIO(Path(path).read_bytes()), encoding="latin1").load()
        images = np.asarray(content["data"], np.uint8).reshape(-1, 3, _SIDE, _SIDE)
        return Split(images, np.asarray(content[label_key], np.int64))
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{path}: not a CIFAR batch file ({type(error).__name__}: {error})") from None


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module, name)
