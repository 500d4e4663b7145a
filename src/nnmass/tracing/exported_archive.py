"""Files of ``torch.export.save`` (``.pt2``), read without running code from them.

`torch.export.load` unpickles the example inputs and whatever the file marks as pickled, evaluates expressions and
guards that the file holds as Python source, and loads compiled libraries: a file can run anything that way.  What a
program consists of is JSON and raw bytes, and these are read here.
"""

import json
import math
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import nn

from nnmass.errors import ModelError, first_line
from nnmass.tracing.declared_sizes import closed_sizes
from nnmass.tracing.exported_arguments import DTYPES
from nnmass.tracing.exported_module import ExportedModule
from nnmass.tracing.loaded_model import InputSizes

_SCHEMA = 8
"""Major version of PyTorch's serialization schema; a breaking change gives it a new one."""


def read_exported_program(path: Path, *, image_size: int | None = None) -> tuple[nn.Module, InputSizes | None]:
    """Read a program; its parameters are meta tensors, its buffers and constants have their values.

    An open batch size is taken as 1, other open sizes as they were when the program was exported.

    Raises:
        ModelError: no such file, no program of `torch.export`, one that holds pickles or operators beyond PyTorch's
            own, or one for images of another size.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        with ZipFile(path) as archive:
            module, declared = _read(archive, keep_open=image_size is not None)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except BadZipFile:
        raise ModelError(f"{path} is not a file of torch.export.save") from None
    except (AttributeError, KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({type(error).__name__}: {first_line(error)})") from error
    return module, closed_sizes(path, declared, image_size=image_size)


def _read(archive: ZipFile, *, keep_open: bool) -> tuple[nn.Module, list[list[int | None]]]:
    programs = [name for name in archive.namelist() if name.endswith("/models/model.json")]
    if len(programs) != 1:
        raise ModelError("holds no program in the format of torch.export.save from PyTorch 2.9 on")
    root = programs[0].removesuffix("models/model.json")
    program = json.loads(archive.read(programs[0]))
    if program["schema_version"]["major"] != _SCHEMA:
        raise ModelError(f"the program has schema {program['schema_version']['major']}; {_SCHEMA} is understood")
    graph = program["graph_module"]["graph"]
    signature = program["graph_module"]["signature"]
    module = ExportedModule(graph, signature, _Tensors(archive, root).of(signature["input_specs"]))
    return module, [_size(graph["tensor_values"][name]["sizes"], keep_open=keep_open) for name in module.input_names]


def _size(lengths: list[dict[str, Any]], *, keep_open: bool) -> list[int | None]:
    """Lengths; None for one that was left open, unless it is neither the batch nor to be kept so."""
    return [
        None if "as_expr" in length and (keep_open or index == 0) else _integer(length)
        for index, length in enumerate(lengths)
    ]


def _integer(length: dict[str, Any]) -> int:
    """A length, or for an open one what it was at the export."""
    return int(length["as_int"] if "as_int" in length else length["as_expr"]["hint"]["as_int"])


class _Tensors:
    """Parameters, buffers and constants of an archive."""

    def __init__(self, archive: ZipFile, root: str) -> None:
        self.archive, self.root = archive, root
        self.parameters: dict[str, nn.Parameter] = {}

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
        folder = f"{self.root}data/{kind}"
        payloads = json.loads(self.archive.read(f"{folder}/model_{kind}_config.json"))["config"]
        return {name: payload | {"file": f"{folder}/{payload['path_name']}"} for name, payload in payloads.items()}

    def _parameter(self, payload: dict[str, Any]) -> nn.Parameter:
        """One parameter for all names of the same weights; its shape is enough."""
        if payload["file"] not in self.parameters:
            meta = payload["tensor_meta"]
            empty = torch.empty(
                [_integer(length) for length in meta["sizes"]], dtype=DTYPES[meta["dtype"]], device="meta"
            )
            self.parameters[payload["file"]] = nn.Parameter(empty, requires_grad=meta["requires_grad"])
        return self.parameters[payload["file"]]

    def _values(self, name: str, payload: dict[str, Any]) -> torch.Tensor:
        if payload["use_pickle"]:
            raise ModelError(f"{name} is stored as a pickle, which could run code, and is not read")
        meta = payload["tensor_meta"]
        size, stride = ([_integer(length) for length in meta[key]] for key in ("sizes", "strides"))
        if math.prod(size) == 0:
            return torch.empty(size, dtype=DTYPES[meta["dtype"]])
        flat = torch.frombuffer(bytearray(self.archive.read(payload["file"])), dtype=DTYPES[meta["dtype"]])
        return flat.as_strided(size, stride, _integer(meta["storage_offset"])).clone()
