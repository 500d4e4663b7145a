"""Files that other programs read: ONNX, `torch.export`; each is run and held against the network before it is kept."""

import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nnmass import atomic
from nnmass.errors import ExportError
from nnmass.tracing.libraries import import_library

TOLERANCE = 1e-4
"""Largest deviation of an exported network's outputs, relative to the largest output (or 1, if that is larger)."""
_BATCHES = (2, 5)


def export_onnx(network: nn.Module, input_shape: tuple[int, ...], path: str | os.PathLike[str]) -> float:
    """Write a network as ONNX with a free batch size, and check it in ONNX Runtime.

    Args:
        network: any module of one input; its mode stays as it is, what is written is the function of evaluation mode.
        input_shape: without the batch.
        path: the file; written only if the check succeeds.

    Returns:
        The largest deviation of the outputs.

    Raises:
        ModelError: onnx, onnxscript or onnxruntime is not installed.
        ExportError: the outputs differ.
    """
    for name in ("onnx", "onnxscript"):
        import_library(name)
    runtime = import_library("onnxruntime")
    with _evaluated(network), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        with _quiet():
            torch.onnx.export(
                network,
                (_inputs(input_shape, _BATCHES[0]),),
                file,
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["input"],
                output_names=["output"],
                external_data=False,
                verbose=False,
            )
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        deviation = _checked(
            network, input_shape, lambda x: torch.from_numpy(session.run(None, {"input": x.numpy()})[0]), path
        )
        atomic.write_bytes(path, file.read_bytes())
    return deviation


def export_program(network: nn.Module, input_shape: tuple[int, ...], path: str | os.PathLike[str]) -> float:
    """Write a network as a `torch.export` program with a free batch size, and check what is read back.

    Args:
        network: any module of one input; its mode stays as it is.
        input_shape: without the batch.
        path: the file, ``.pt2``; written only if the check succeeds.

    Returns:
        The largest deviation of the outputs.

    Raises:
        ExportError: the outputs differ.
    """
    with _evaluated(network), _quiet():
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(network, (_inputs(input_shape, _BATCHES[0]),), dynamic_shapes=shapes)
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        again = torch.export.load(io.BytesIO(buffer.getvalue())).module()
        deviation = _checked(network, input_shape, again, path)
    atomic.write_bytes(path, buffer.getvalue())
    return deviation


def _inputs(input_shape: tuple[int, ...], batch: int) -> Tensor:
    return torch.randn((batch, *input_shape), generator=torch.Generator().manual_seed(batch))


def _checked(network: nn.Module, input_shape: tuple[int, ...], other: object, path: str | os.PathLike[str]) -> float:
    """The largest deviation over batches of several sizes."""
    assert callable(other)
    largest = 0.0
    with torch.no_grad():
        for batch in _BATCHES:
            x = _inputs(input_shape, batch)
            expected, found = network(x).numpy(), other(x).numpy()
            scale = max(1.0, float(np.abs(expected).max()))
            largest = max(largest, float(np.abs(found - expected).max()) / scale)
    if not largest <= TOLERANCE:
        raise ExportError(
            f"{path}: the exported network deviates by {largest:.2g}, more than {TOLERANCE:g}; not written"
        )
    return largest


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and every module's own mode again afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters print and warn of on their own account."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
