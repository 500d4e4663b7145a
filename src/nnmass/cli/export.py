"""``nnmass export``: a network as files for other programs."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.output import print_json, print_table, say


def export(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=o.MODEL_HELP)],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE.safetensors", help="Weights; default: drawn from --seed.")
    ] = None,
    seed: o.SeedOption = 0,
    to: Annotated[Path, destinations.folder(help="Where the files go.")] = Path("exported"),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="json, safetensors, code, onnx, pt2; may be repeated; default: all that the network has.",
        ),
    ] = None,
    input_size: o.InputSizeOption = None,
    image_size: o.ImageSizeOption = None,
    as_json: o.JsonOption = False,
) -> None:
    """Write a network as stand-alone PyTorch code, ONNX, torch.export program, safetensors and JSON: all or none.

    The code needs PyTorch alone.  Every file is read back and compared with the network before any is kept.  A model of
    timm or torchvision has no weights of its own: they are drawn from --seed.

    Example: nnmass export examples/reference.json --to exported
    """
    from nnmass.architectures import Specification
    from nnmass.export import hand_over
    from nnmass.tracing.from_source import network_of

    if weights is not None:
        o.refuse(context, {"seed"}, "draws weights, and --weights gives them")
    given: dict[str, Any] = {"weights": weights}
    if formats is not None:
        given["formats"] = [part for some in formats for part in some.split(",")]
    network = network_of(model, **o.sizes_and_types(input_size), image_size=image_size)
    if isinstance(network, Specification):
        done = hand_over(network, to, seed=seed, **given)
    else:
        o.refuse(context, {"seed"}, f"draws weights, and {model} has its own")
        shapes = [size[1:] for size in network.input_sizes or ()]
        with redirect_stdout(sys.stderr):  # what the model's own code prints
            done = hand_over(network.module, to, input_shapes=shapes, types=network.input_types or (), **given)
    if as_json:
        print_json(done.to_dict())
        return
    rows = [
        (name, file, f"{size:,}", f"{done.deviations[name]:.1e}" if name in done.deviations else "–")
        for name, (file, size) in done.files.items()
    ]
    print_table(f"{model} in {to}", ("format", "file", "bytes", "largest deviation"), rows, wrapped=["file"])
    say(f"weights: {done.weights}")
