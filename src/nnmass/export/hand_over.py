"""One network as every file that somebody may go on with."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from nnmass import atomic
from nnmass.architectures import Specification
from nnmass.errors import InvalidValueError
from nnmass.export.formats import export_onnx, export_program
from nnmass.export.standalone import standalone_code
from nnmass.networks import build
from nnmass.training import load_weights, save_weights

Format: TypeAlias = Literal["json", "safetensors", "code", "onnx", "pt2"]
FORMATS: tuple[Format, ...] = get_args(Format)
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
        deviations: of the formats that were run, the largest deviation of the outputs, relative to the largest output.
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
    spec: Specification,
    folder: str | os.PathLike[str],
    *,
    formats: Sequence[Format] = FORMATS,
    weights: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> HandOver:
    """Write a network as specification, weights, stand-alone code, ONNX and `torch.export` program.

    Args:
        spec: of any family.
        folder: made where it is missing.
        formats: ``"json"`` (the specification with its links), ``"safetensors"``, ``"code"`` (Python that needs PyTorch
            alone), ``"onnx"``, ``"pt2"``.
        weights: safetensors file of this network, links included; None: weights and links are drawn from ``seed``.
        seed: see ``weights``.

    Raises:
        InvalidValueError: an unknown format, or none.
        CheckpointError: the weights are missing, damaged, or of another network.
        ModelError: a library that a format needs is not installed; the message says how to install it.
        ExportError: an exported network does not compute the same.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        named = repr(unknown[0]) if unknown else "none"
        raise InvalidValueError(f"formats must be among {', '.join(FORMATS)}, got {named}")
    network = build(spec, seed=seed)
    if weights is not None:
        load_weights(network, weights)
    network.eval()
    target, fixed = Path(folder), network.spec
    deviations: dict[Format, float] = {}
    for name in dict.fromkeys(formats):
        path = target / NAMES[name]
        if name == "json":
            fixed.to_json(path)
        elif name == "safetensors":
            save_weights(network, path)
        elif name == "code":
            atomic.write_text(path, standalone_code(fixed))
        else:
            export = export_onnx if name == "onnx" else export_program
            target.mkdir(parents=True, exist_ok=True)
            deviations[name] = export(network, fixed.input_shape, path)
    files = {name: (NAMES[name], (target / NAMES[name]).stat().st_size) for name in dict.fromkeys(formats)}
    return HandOver(target, files, deviations, f"drawn from seed {seed}" if weights is None else str(weights))
