"""``nnmass export``: a network as files for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.output import print_json, print_table, say


def export(
    context: typer.Context,
    spec: o.SpecArgument,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE.safetensors", help="Weights; default: drawn from --seed.")
    ] = None,
    seed: o.SeedOption = 0,
    to: Annotated[Path, destinations.folder(help="Where the files go.")] = Path("exported"),
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="json, safetensors, code, onnx, pt2; may be repeated; default: all."),
    ] = None,
    as_json: o.JsonOption = False,
) -> None:
    """Write a network as stand-alone PyTorch code, ONNX, torch.export program, safetensors and JSON.

    The code needs PyTorch alone.  ONNX and torch.export are run and held against the network before they are kept.

    Example: nnmass export examples/reference.json --to exported
    """
    from nnmass.architectures import load_spec
    from nnmass.export import FORMATS, hand_over

    if weights is not None:
        o.refuse(context, {"seed"}, "draws weights, and --weights gives them")
    chosen = [part for given in formats or FORMATS for part in given.split(",")]
    done = hand_over(load_spec(spec), to, formats=chosen, weights=weights, seed=seed)  # type: ignore[arg-type]
    if as_json:
        print_json(done.to_dict())
        return
    rows = [
        (name, file, f"{size:,}", f"{done.deviations[name]:.1e}" if name in done.deviations else "–")
        for name, (file, size) in done.files.items()
    ]
    print_table(f"{spec} in {to}", ("format", "file", "bytes", "largest deviation"), rows, wrapped=["file"])
    say(f"weights: {done.weights}")
