"""Files of ``torch.export.save`` (``.pt2``), read without running code from them.

`torch.export.load` unpickles the example inputs and whatever the file marks as pickled, evaluates expressions and
guards that the file holds as Python source, and loads compiled libraries: a file can run anything that way.  What a
program consists of is JSON and raw bytes, and these are read here.
"""

import json
import os
import struct
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import nn

from nnmass.errors import ModelError, first_line
from nnmass.files import open_regular
from nnmass.tracing.declared_sizes import closed_sizes
from nnmass.tracing.exported_arguments import DTYPES
from nnmass.tracing.exported_files import Members, integer
from nnmass.tracing.exported_module import ExportedModule
from nnmass.tracing.loaded_model import InputSizes

_DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, NotImplementedError, RecursionError, RuntimeError),
    *(TypeError, ValueError, struct.error),
)
"""What comes of a file that is no such file inside."""
_SCHEMA = 8
"""Major version of PyTorch's serialization schema; a breaking change gives it a new one."""


def read_exported_program(
    path: Path, *, image_size: int | None = None
) -> tuple[nn.Module, InputSizes | None, tuple[torch.dtype, ...]]:
    """Read a program; its parameters are meta tensors, its buffers and constants have their values.

    An open batch size is taken as 1, other open sizes as they were when the program was exported.

    Returns:
        a module, and the sizes and types of its inputs.

    Raises:
        ModelError: no such file, no program of `torch.export`, one that holds pickles or operators beyond PyTorch's
            own, or one for images of another size.
    """
    try:
        with open_regular(path) as stream, ZipFile(stream) as archive:
            members = Members(archive, os.fstat(stream.fileno()).st_size)
            module, declared = _read(archive.namelist(), members, keep_open=image_size is not None)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except BadZipFile:
        raise ModelError(f"{path} is not a file of torch.export.save") from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None
    except _DAMAGED as error:
        raise ModelError(f"{path} cannot be read ({type(error).__name__}: {first_line(error)})") from error
    return module, closed_sizes(path, declared, image_size=image_size), module.input_types


def _read(names: list[str], members: Members, *, keep_open: bool) -> tuple[ExportedModule, list[list[int | None]]]:
    programs = [name for name in names if name.endswith("/models/model.json")]
    if len(programs) != 1:
        raise ModelError("holds no program in the format of torch.export.save from PyTorch 2.9 on")
    root = programs[0].removesuffix("models/model.json")
    program = members.json(programs[0])
    if program["schema_version"]["major"] != _SCHEMA:
        raise ModelError(f"the program has schema {program['schema_version']['major']}; {_SCHEMA} is understood")
    graph = program["graph_module"]["graph"]
    signature = program["graph_module"]["signature"]
    module = ExportedModule(graph, signature, _Tensors(members, root).of(signature["input_specs"]))
    return module, [_size(graph["tensor_values"][name]["sizes"], keep_open=keep_open) for name in module.input_names]


def _size(lengths: list[dict[str, Any]], *, keep_open: bool) -> list[int | None]:
    """Lengths; None for one that was left open, unless it is neither the batch nor to be kept so."""
    return [
        None if "as_expr" in length and (keep_open or index == 0) else integer(length)
        for index, length in enumerate(lengths)
    ]


class _Tensors:
    """Parameters, buffers and constants of an archive."""

    def __init__(self, members: Members, root: str) -> None:
        self._members, self._root = members, root
        self._parameters: dict[str, nn.Parameter] = {}

    def of(self, specs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        weights, constants = self._payloads("weights"), self._payloads("constants")
        found: dict[str, torch.Tensor] = {}
        for spec in specs:
            if "parameter" in spec:
                name = spec["parameter"]["parameter_name"]
                found[name] = self._parameter(weights[name])
            elif "buffer" in spec:
                name = spec["buffer"]["buffer_name"]
                found[name] = self._values(name, constants[name] if name in constants else weights[name])
            elif "tensor_constant" in spec:
                name = spec["tensor_constant"]["tensor_constant_name"]
                found[name] = self._values(name, constants[name])
        return found

    def _payloads(self, kind: str) -> dict[str, dict[str, Any]]:
        folder = f"{self._root}data/{kind}"
        payloads = self._members.json(f"{folder}/model_{kind}_config.json")["config"]
        return {name: payload | {"file": f"{folder}/{payload['path_name']}"} for name, payload in payloads.items()}

    def _parameter(self, payload: dict[str, Any]) -> nn.Parameter:
        """One parameter for all names of the same weights; its shape is enough."""
        meta = payload["tensor_meta"]
        shape = [integer(length) for length in meta["sizes"]]
        part = json.dumps([payload["file"], shape, meta["strides"], meta["storage_offset"]])
        if part not in self._parameters:
            dtype = DTYPES[meta["dtype"]]
            empty = torch.empty(shape, dtype=dtype, device="meta")
            trained = bool(meta["requires_grad"]) and (dtype.is_floating_point or dtype.is_complex)
            self._parameters[part] = nn.Parameter(empty, requires_grad=trained)
        return self._parameters[part]

    def _values(self, name: str, payload: dict[str, Any]) -> torch.Tensor:
        if payload["use_pickle"]:
            raise ModelError(f"{name} is stored as a pickle, which could run code, and is not read")
        return self._members.tensor(payload["file"], payload["tensor_meta"])
