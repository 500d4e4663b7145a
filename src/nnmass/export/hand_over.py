"""One network as every file that somebody may go on with."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from torch import nn

from nnmass import atomic
from nnmass.architectures import Specification, spec_from_dict
from nnmass.errors import ExportError, InvalidValueError, ModelError, require_type
from nnmass.export.comparison import Comparison
from nnmass.export.formats import (
    evaluated,
    onnx_bytes,
    program_bytes,
    require_onnx,
    stored_onnx,
    stored_program,
    stored_weights,
)
from nnmass.export.standalone import standalone_code, stored_code
from nnmass.networks import build
from nnmass.tracing.input_types import InputType
from nnmass.training import load_weights, weights_bytes

Format: TypeAlias = Literal["json", "safetensors", "code", "onnx", "pt2"]
FORMATS: tuple[Format, ...] = get_args(Format)
OF_SPECIFICATIONS: tuple[Format, ...] = ("json", "code")
"""Formats that a module which is no specification has not."""
NAMES: dict[Format, str] = {
    "json": "network.json",
    "safetensors": "network.safetensors",
    "code": "network.py",
    "onnx": "network.onnx",
    "pt2": "network.pt2",
}
"""Names of the files."""


@dataclass(frozen=True)
class HandOver:
    """What was written.

    Attributes:
        folder: where.
        files: by format the file's name and its size in bytes.
        deviations: of the formats that were run, the largest deviation of the outputs; see `Comparison.deviation`.
        weights: where they come from.
    """

    folder: Path
    files: dict[Format, tuple[str, int]]
    deviations: dict[Format, float]
    weights: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "folder": str(self.folder),
            "weights": self.weights,
            "files": {
                name: {"file": file, "bytes": size, "deviation": self.deviations.get(name)}
                for name, (file, size) in self.files.items()
            },
        }


def hand_over(
    network: Specification | nn.Module,
    folder: str | os.PathLike[str],
    *,
    formats: Sequence[Format] | None = None,
    weights: str | os.PathLike[str] | None = None,
    seed: int = 0,
    input_shapes: Sequence[tuple[int, ...]] = (),
    types: Sequence[InputType | str] = (),
) -> HandOver:
    """Write a network as specification, weights, stand-alone code, ONNX and `torch.export` program: all or nothing.

    Every file is read back before any is kept, and has to hold the same network: see `Comparison.deviation`.

    Args:
        network: a specification of any family, or a module with its weights; its mode stays as it is.
        folder: made where it is missing.
        formats: ``"json"`` (the specification with its links), ``"safetensors"``, ``"code"`` (Python that needs PyTorch
            alone), ``"onnx"``, ``"pt2"``; by default all that the network has.  A module has no JSON and no code.
        weights: safetensors file of this network, links included; None: a specification's weights and links are drawn
            from ``seed``, a module has its own.
        seed: see ``weights``.
        input_shapes: of a module's inputs, without the batch.
        types: of a module's inputs, as of `analyze`; by default floating point.

    Raises:
        InvalidValueError: an unknown format, none, or one that the network has not; no shapes of a module's inputs.
        CheckpointError: the weights are missing, damaged, or of another network.
        ModelError: a library that a format needs is not installed; the message says how to install it.
        ExportError: a format cannot hold the network, does not compute the same, or cannot be checked.
    """
    chosen = _formats(network, formats)
    module: nn.Module
    if isinstance(network, Specification):
        module = built = build(network, seed=seed)
        source, input_shapes = f"drawn from seed {seed}", (network.input_shape,)
    else:
        module, built, source = network, None, "the model's own"
        if not input_shapes:
            raise InvalidValueError(
                "give the shapes of the module's inputs, without the batch: input_shapes=[(3, 32, 32)]"
            )
    if weights is not None:
        load_weights(module, weights)
        source = str(weights)
    target = Path(folder)
    spec = None if built is None else built.spec  # with the links, which the weights may have brought along
    with evaluated(module):
        written = _Written(Comparison(module, list(input_shapes), types), spec)
        contents = {name: written.content(name, target / NAMES[name]) for name in chosen}
    atomic.write_files(target, {NAMES[name]: content for name, content in contents.items()})
    files = {name: (NAMES[name], len(content)) for name, content in contents.items()}
    return HandOver(target, files, written.deviations, source)


def _formats(network: Specification | nn.Module, formats: Sequence[Format] | None) -> tuple[Format, ...]:
    """The formats that are asked for, once it is known that all of them can be written."""
    require_type(network, (Specification, nn.Module), "network", "a specification or a torch.nn.Module")
    is_module = not isinstance(network, Specification)
    possible = tuple(name for name in FORMATS if not (is_module and name in OF_SPECIFICATIONS))
    chosen = possible if formats is None else tuple(dict.fromkeys(formats))
    unknown = [name for name in chosen if name not in FORMATS]
    if unknown or not chosen:
        named = repr(unknown[0]) if unknown else "none"
        raise InvalidValueError(f"formats must be among {', '.join(FORMATS)}, got {named}")
    beyond = [name for name in chosen if name not in possible]
    if beyond:
        raise InvalidValueError(
            f"a {type(network).__name__} is a PyTorch model and no specification: it has no {' and no '.join(beyond)}; "
            f"its formats are {', '.join(possible)}"
        )
    if "onnx" in chosen:
        try:
            require_onnx()
        except ModelError as error:
            others = ", ".join(name for name in possible if name != "onnx")
            raise ModelError(f"{error}; nothing is written; the other formats are {others}") from None
    return chosen


@dataclass
class _Written:
    """Contents of files, each read back and compared with the network.

    Attributes:
        comparison: with the network.
        spec: of the network; None for a module.
        deviations: of the formats that were run.
    """

    comparison: Comparison
    spec: Specification | None

    def __post_init__(self) -> None:
        self.deviations: dict[Format, float] = {}

    def content(self, name: Format, path: Path) -> bytes:
        """What a file of this format holds.

        Raises:
            ExportError: it cannot hold the network, or holds another one.
        """
        if name == "json":
            assert self.spec is not None
            return json_bytes(self.spec, path)
        if name == "safetensors":
            content = weights_bytes(self.comparison.network)
            self.comparison.require_equal(stored_weights(content), path)
            return content
        if name == "code":
            assert self.spec is not None
            content = standalone_code(self.spec).encode()
            stored = stored_code(content)
        elif name == "onnx":
            content = onnx_bytes(self.comparison, path)
            stored = stored_onnx(content)
        else:
            content = program_bytes(self.comparison, path)
            stored = stored_program(content)
        self.deviations[name] = self.comparison.deviation(stored, path)
        return content


def json_bytes(spec: Specification, where: object) -> bytes:
    """A specification with its links as JSON, read back.

    Raises:
        ExportError: what is read back is another one.
    """
    content = spec.to_text().encode()
    if spec_from_dict(json.loads(content), where=str(where)) != spec:
        raise ExportError(f"{where}: what was written is another specification")
    return content
