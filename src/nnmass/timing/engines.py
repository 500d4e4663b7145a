"""What runs a module: PyTorch as it is, compiled, or ONNX Runtime."""

import io
import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from nnmass.errors import InvalidValueError, ModelError, first_line
from nnmass.latency import Conditions
from nnmass.plain_text import plain
from nnmass.processes import cores
from nnmass.provenance import processor
from nnmass.timing.inputs import random_inputs
from nnmass.tracing.input_types import InputType
from nnmass.tracing.libraries import import_library

Engine: TypeAlias = Literal["eager", "compile", "onnxruntime"]
Call: TypeAlias = Callable[[], object]
"""One forward pass of given inputs."""

_MOST_THREADS, _PER_CORE = 32, 4


def conditions(engine: Engine = "eager", *, threads: int | None = None, batch: int = 1) -> Conditions:
    """Describe this machine with an engine.

    Args:
        engine: ``"eager"``, ``"compile"`` or ``"onnxruntime"``.
        threads: that one operator may use; by default as many as PyTorch takes.
        batch: inputs at once.

    Raises:
        InvalidValueError: an unknown engine, a number that is not positive, or far more threads than cores.
        ModelError: ONNX Runtime is not installed.
    """
    if engine not in get_args(Engine):
        raise InvalidValueError(f"engine must be one of {', '.join(get_args(Engine))}, got {engine!r}")
    threads = torch.get_num_threads() if threads is None else threads
    for name, value in (("threads", threads), ("batch", batch)):
        if value < 1:
            raise InvalidValueError(f"{name} must be at least 1, got {value}")
    most = max(_MOST_THREADS, _PER_CORE * cores())
    if threads > most:
        raise InvalidValueError(f"threads must be at most {most}, got {threads}: this machine has {cores()} cores")
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


def prepared(
    module: nn.Module, shapes: Sequence[tuple[int, ...]], where: Conditions, types: Sequence[InputType | str] = ()
) -> Call:
    """Make a module ready to run: compiled or exported, with random inputs of given shapes.

    Args:
        module: in evaluation mode; it stays as it is.
        shapes: of its inputs, without the batch.
        where: engine, threads and batch.
        types: of its inputs; by default floating point, in the module's precision.

    Raises:
        ModelError: its forward pass fails, also later on, or the engine cannot run it.
    """
    inputs = random_inputs(module, shapes, where.batch, types)
    call = evaluation(module, inputs)
    if where.engine == "onnxruntime":
        call()  # so that what is wrong with the model itself is said as such
        return _onnxruntime(module, inputs, where.threads)
    if where.engine == "compile":
        call()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's own deprecations
            call = evaluation(torch.compile(module), inputs, "torch.compile")
            call()
        return call
    call()
    return call


def evaluation(run: Callable[..., object], inputs: list[Tensor], engine: str = "") -> Call:
    """A forward pass in inference mode that raises `ModelError` where it fails."""

    def call() -> object:
        try:
            with torch.inference_mode():
                return run(*inputs)
        except (Exception, SystemExit) as error:  # somebody else's code
            raise _failed(error, inputs, engine) from error

    return call


def _failed(error: BaseException, inputs: Sequence[Tensor], engine: str) -> ModelError:
    sizes = ", ".join(f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}" for x in inputs)
    said = plain(f"{type(error).__name__}: {first_line(error)}", limit=300)
    where = f" with {engine}" if engine else ""
    return ModelError(f"the forward pass fails{where} on inputs of {sizes}: {said}")


def _onnxruntime(module: nn.Module, inputs: list[Tensor], threads: int) -> Call:
    runtime = import_library("onnxruntime")
    try:
        session = _session(runtime, module, inputs, threads)
        names = [value.name for value in session.get_inputs()]
        fed = dict(zip(names, (x.numpy() for x in inputs), strict=True))
        session.run(None, fed)
    except (Exception, SystemExit) as error:  # the exporter, and what runs in it, raise what they like
        raise _failed(error, inputs, "ONNX Runtime") from error
    return lambda: session.run(None, fed)


def _session(runtime: Any, module: nn.Module, inputs: list[Tensor], threads: int) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "block.onnx"
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            torch.onnx.export(module, tuple(inputs), path, dynamo=True, verbose=False)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
