"""Files that other programs read, ONNX and `torch.export`: written, and read back to be compared with the network."""

import inspect
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import nn

from nnmass import atomic
from nnmass.errors import ExportError, require_type
from nnmass.export.comparison import Comparison, Function, Stored, Tensors, said
from nnmass.tracing.input_types import InputType
from nnmass.tracing.libraries import import_library

_ONNX_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")


def export_onnx(
    network: nn.Module,
    input_shape: tuple[int, ...] | Sequence[tuple[int, ...]],
    path: str | os.PathLike[str],
    *,
    types: Sequence[InputType | str] = (),
) -> float:
    """Write a network as ONNX with a free batch size, and check in ONNX Runtime that the file holds it.

    The file's weights have the names of the network's.

    Args:
        network: its mode stays as it is, what is written is the function of evaluation mode.
        input_shape: without the batch; several for several inputs.
        path: the file; written only if the check succeeds.
        types: of the inputs, as of `analyze`; by default floating point.

    Returns:
        The largest deviation of the outputs; see `Comparison.deviation`.

    Raises:
        ModelError: onnx, onnxscript or onnxruntime is not installed.
        ExportError: ONNX cannot hold it, the file holds another network, or it cannot be checked.
    """
    require_onnx()
    return _exported(network, input_shape, types, path, onnx_bytes, stored_onnx)


def export_program(
    network: nn.Module,
    input_shape: tuple[int, ...] | Sequence[tuple[int, ...]],
    path: str | os.PathLike[str],
    *,
    types: Sequence[InputType | str] = (),
) -> float:
    """Write a network as a `torch.export` program with a free batch size, and check what is read back.

    Args:
        network: its mode stays as it is.
        input_shape: without the batch; several for several inputs.
        path: the file, ``.pt2``; written only if the check succeeds.
        types: of the inputs, as of `analyze`; by default floating point.

    Returns:
        The largest deviation of the outputs; see `Comparison.deviation`.

    Raises:
        ExportError: `torch.export` cannot hold it, the file holds another network, or it cannot be checked.
    """
    return _exported(network, input_shape, types, path, program_bytes, stored_program)


def require_onnx() -> None:
    """Find out whether the libraries are there that ONNX needs.

    Raises:
        ModelError: one of them is not installed.
    """
    for name in _ONNX_LIBRARIES:
        import_library(name)


def shapes_of(input_shape: tuple[int, ...] | Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Shapes of all inputs, of which one may be given alone."""
    alone = all(isinstance(part, int) for part in input_shape)
    return [tuple(input_shape)] if alone else [tuple(shape) for shape in input_shape]  # type: ignore[arg-type]


def _exported(
    network: nn.Module,
    input_shape: tuple[int, ...] | Sequence[tuple[int, ...]],
    types: Sequence[InputType | str],
    path: str | os.PathLike[str],
    write: Callable[[Comparison, object], bytes],
    read: Callable[[bytes], Stored],
) -> float:
    require_type(network, nn.Module, "network", "a torch.nn.Module")
    with evaluated(network):
        comparison = Comparison(network, shapes_of(input_shape), types)
        content = write(comparison, path)
        deviation = comparison.deviation(read(content), path)
    atomic.write_bytes(path, content)
    return deviation


def onnx_bytes(comparison: Comparison, where: object) -> bytes:
    """The network of a comparison as ONNX; norms stay apart from their layers, so that weights keep their names.

    Raises:
        ExportError: ONNX cannot hold it.
    """
    optimizer, passes = import_library("onnxscript.optimizer"), import_library("onnx_ir.passes.common")
    network, inputs = comparison.network, comparison.batches()[0]
    single, outputs = len(inputs) == 1, comparison.outputs
    with _written(where, "ONNX"), tempfile.TemporaryDirectory() as folder:
        program = torch.onnx.export(
            network,
            tuple(inputs),
            dynamo=True,
            dynamic_shapes=_free_batch(network, len(inputs)),
            input_names=["input"] if single else [f"input{k + 1}" for k in range(len(inputs))],
            output_names=["output"] if outputs == 1 else None,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        names = set(network.state_dict())
        optimizer.fold_constants(
            program.model, should_fold=lambda node: False if {v.name for v in node.inputs if v} & names else None
        )
        optimizer.remove_unused_nodes(program.model)
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(program.model)
        file = Path(folder) / "network.onnx"
        program.save(file, external_data=False)
        return file.read_bytes()


def program_bytes(comparison: Comparison, where: object) -> bytes:
    """The network of a comparison as a `torch.export` program.

    Raises:
        ExportError: `torch.export` cannot hold it.
    """
    network, inputs, buffer = comparison.network, comparison.batches()[0], io.BytesIO()
    with _written(where, "torch.export"):
        program = torch.export.export(network, tuple(inputs), dynamic_shapes=_free_batch(network, len(inputs)))
        torch.export.save(program, buffer)
    return buffer.getvalue()


def stored_onnx(content: bytes) -> Stored:
    """Read an ONNX file back, to be run by ONNX Runtime."""
    onnx, runtime = import_library("onnx"), import_library("onnxruntime")
    values_of = onnx.numpy_helper.to_array

    def load_tensors(content: bytes) -> tuple[Any, dict[str, torch.Tensor]]:
        model = onnx.load_model_from_string(content)
        return model, {t.name: torch.from_numpy(values_of(t).copy()) for t in model.graph.initializer}

    model, held = _read(load_tensors, content)

    def function(given: Tensors) -> Function:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        for tensor in changed.graph.initializer:
            if tensor.name in given:
                values = given[tensor.name].detach().contiguous().numpy()
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        session = _session(runtime, changed.SerializeToString())
        names = [value.name for value in session.get_inputs()]

        def run(*inputs: torch.Tensor) -> list[torch.Tensor]:
            fed = dict(zip(names, (x.numpy() for x in inputs), strict=True))
            return [torch.from_numpy(y) for y in session.run(None, fed)]

        return run

    return Stored(held, function, folded=True)


def stored_program(content: bytes) -> Stored:
    """Read a `torch.export` program back."""
    program = _read(torch.export.load, io.BytesIO(content))

    def function(given: Tensors) -> Function:
        module: nn.Module = program.module()
        module.load_state_dict(dict(given), strict=False)
        return module

    return Stored(program.module().state_dict(), function)


def stored_weights(content: bytes) -> Tensors:
    """Read safetensors back."""
    found: Tensors = _read(load, content)
    return found


def _read(read: Callable[[Any], Any], content: Any) -> Any:
    try:
        with _quiet():
            return read(content)
    except Exception as error:  # of other libraries, about a file that is damaged
        raise ExportError(f"what was written cannot be read back: {said(error)}") from error


def _session(runtime: Any, content: bytes) -> Any:
    try:
        return runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own, which are of Exception alone
        raise RuntimeError(str(error)) from error


def _free_batch(network: nn.Module, inputs: int) -> tuple[Any, ...]:
    """Sizes of the inputs that are free, in the form of the forward pass's own arguments."""
    free = [{0: torch.export.Dim("batch")}] * inputs
    for k, argument in enumerate(inspect.signature(network.forward).parameters.values()):
        if argument.kind is argument.VAR_POSITIONAL:
            return (*free[:k], tuple(free[k:]))
    return tuple(free)


@contextmanager
def _written(where: object, what: str) -> Iterator[None]:
    """Say in one line that an exporter gave up; nothing that it prints is shown."""
    try:
        with _quiet():
            yield
    except Exception as error:  # exporters, and the network that runs in them, raise what they like
        raise ExportError(f"{where}: {what} cannot hold this network: {said(error.__cause__ or error)}") from error


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
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
