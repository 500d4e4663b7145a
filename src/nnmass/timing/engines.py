"""What runs a module: PyTorch as it is, compiled, or ONNX Runtime."""

import io
import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from nnmass.errors import InvalidValueError
from nnmass.latency import Conditions
from nnmass.provenance import processor
from nnmass.tracing.libraries import import_library

Engine: TypeAlias = Literal["eager", "compile", "onnxruntime"]
Call: TypeAlias = Callable[[], object]
"""One forward pass of inputs that are at hand."""


def conditions(engine: Engine = "eager", *, threads: int | None = None, batch: int = 1) -> Conditions:
    """Describe this machine with an engine.

    Args:
        engine: ``"eager"``, ``"compile"`` or ``"onnxruntime"``.
        threads: that one operator may use; by default as many as PyTorch takes.
        batch: inputs at once.

    Raises:
        InvalidValueError: an unknown engine, or a number that is not positive.
        ModelError: ONNX Runtime is not installed.
    """
    if engine not in get_args(Engine):
        raise InvalidValueError(f"engine must be one of {', '.join(get_args(Engine))}, got {engine!r}")
    threads = torch.get_num_threads() if threads is None else threads
    for name, value in (("threads", threads), ("batch", batch)):
        if value < 1:
            raise InvalidValueError(f"{name} must be at least 1, got {value}")
    library = import_library("onnxruntime") if engine == "onnxruntime" else torch
    device = f"{processor()}, {os.cpu_count()} cores, {platform.system()}"
    return Conditions(device, engine, threads, batch, str(library.__version__))


@contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """Let PyTorch's operators use so many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prepared(module: nn.Module, shapes: Sequence[tuple[int, ...]], where: Conditions) -> Call:
    """Make a module ready to run: compiled or exported, with random inputs of given shapes.

    Args:
        module: in evaluation mode; it stays as it is.
        shapes: of its inputs, without the batch.
        where: engine, threads and batch.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn((where.batch, *shape), generator=generator) for shape in shapes]
    if where.engine == "onnxruntime":
        return _onnxruntime(module, inputs, where.threads)
    if where.engine == "eager":
        return _evaluation(module, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        call = _evaluation(torch.compile(module), inputs)
        call()
    return call


def _evaluation(run: Callable[..., object], inputs: list[Tensor]) -> Call:
    def call() -> object:
        with torch.inference_mode():
            return run(*inputs)

    return call


def _onnxruntime(module: nn.Module, inputs: list[Tensor], threads: int) -> Call:
    runtime = import_library("onnxruntime")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "block.onnx"
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            torch.onnx.export(module, tuple(inputs), path, dynamo=True, verbose=False)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    fed = dict(zip(names, (x.numpy() for x in inputs), strict=True))
    return lambda: session.run(None, fed)
