"""``nnmass isometry``: how gradients propagate through a network."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.output import print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from torch import Tensor

    from nnmass.architectures import Specification
    from nnmass.data import Dataset
    from nnmass.propagation import ExpectedIsometry, Isometry, Mend
    from nnmass.tracing.loaded_model import LoadedModel


def isometry(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=o.MODEL_HELP)],
    data: o.OptionalDataOption = None,
    inputs: Annotated[int, o.whole(high=10**9, help="Inputs: of --data, else standard normal ones.")] = 64,
    initialisations: Annotated[int, o.whole(high=10**6, help="Networks, each with its own links and weights.")] = 16,
    init: Annotated[
        str, typer.Option(help="default (PyTorch's), he, glorot, orthogonal, or gaussian:STD.")
    ] = "default",
    probes: Annotated[
        int | None, o.whole(high=10**6, help="Random vectors per network, where Lanczos is used; default: 16 in all.")
    ] = None,
    steps: Annotated[
        int | None,
        o.whole(low=2, high=10**6, help="Of Lanczos, where it is used; no more than singular values; default: 20."),
    ] = None,
    out: Annotated[
        Path | None, destinations.folder(help="Write report.html, pictures and JSON to this folder.")
    ] = None,
    plot: Annotated[Path | None, destinations.picture(help="Write the picture alone")] = None,
    input_size: o.InputSizeOption = None,
    image_size: o.ImageSizeOption = None,
    seed: o.SeedOption = 0,
    data_root: o.RootOption = None,
    segments: o.SegmentsOption = 20,
    as_json: o.JsonOption = False,
) -> None:
    """Measure the singular values of every layer's Jacobian at initialisation, and say what would mend them.

    Where they are close to 1, gradients keep their size; layers that shrink or enlarge them are flagged.
    The network of a specification is built several times, and so is a model of timm or torchvision that is of a family;
    any other one is measured as it is.

    Example: nnmass isometry examples/reference.json --data digits --out isometry
    """
    from nnmass.architectures import Specification
    from nnmass.propagation import Initialisation, estimated_layers
    from nnmass.propagation import isometry as measure
    from nnmass.provenance import provenance
    from nnmass.reporting import (
        isometry_rows,
        isometry_values,
        save,
        spectrum_figure,
        write_isometry,
    )

    o.refuse_of_data(context, data)
    Initialisation.parse(init)
    network, dataset = _network_and_data(model, input_size, image_size, data, data_root, segments)
    spec = network if isinstance(network, Specification) else None
    if spec is None:
        o.refuse(context, {"initialisations", "init"}, f"is for weights that are drawn, and {model} has its own")
    read = _inputs(context, network, dataset, inputs, seed)
    options: dict[str, Any] = {"seed": seed, "probes": probes} | ({} if steps is None else {"steps": steps})
    with redirect_stdout(sys.stderr):  # what the model's own code prints
        measured = network if isinstance(network, Specification) else network.module
        if (probes is not None or steps is not None) and not estimated_layers(measured, read):
            o.refuse(context, {"probes", "steps"}, "is not used: no layer of this network needs Lanczos quadrature")
    if isinstance(network, Specification):
        with progress_bar("isometry", unit="networks") as progress:
            found = measure(network, read, initialisations=initialisations, init=init, progress=progress, **options)
    else:
        with redirect_stdout(sys.stderr):
            found = measure(network.module, read, **options)
    theory, mends, untold = _theory(spec, init, float(read.double().square().mean()))
    source = f"inputs of {Path(data).name}" if data else "standard normal inputs" if spec else "random inputs"
    networks = f"{found.initialisations} networks, {init} initialisation" if found.initialisations > 1 else init
    told = f"{spec.family} of NN-Mass {spec.nn_mass:.1f}: {networks}" if spec else "measured as it is"
    title = f"{told}, {len(read)} {source}"
    if plot is not None:
        save(spectrum_figure(found, theory, title=title), plot)
    what = {"model": model} if spec is None else {"spec": spec.model_dump(mode="json", exclude_none=True)}
    extra = what | {"provenance": provenance(seed=seed)}
    if out is not None:
        write_isometry(found, theory, mends, out, title=title, extra=extra)
    if as_json:
        print_json(isometry_values(found, theory, mends, extra))
        return
    print_table(f"{model}: {title}", *isometry_rows(found, theory))
    _show(found, theory, mends, untold)
    if out is not None:
        say(f"Written to {out}: report.html, spectrum.png, spectrum.svg, isometry.json")


def _show(found: "Isometry", theory: "ExpectedIsometry | None", mends: "list[Mend]", untold: str) -> None:
    """What follows the table of layers."""
    from nnmass.reporting import isometry_summary, mend_rows

    say(isometry_summary(found, theory))
    for entry in found.skipped:
        say(f"Not measured: {entry.name}: {entry.reason}")
    if untold:
        say(f"No theory: {untold}")
    if mends:
        print_table("What would bring it closer to 1", *mend_rows(mends, theory))


def _network_and_data(
    model: str,
    input_size: "list[Any] | None",
    image_size: int | None,
    data: str | None,
    root: Path | None,
    segments: int,
) -> "tuple[Specification | LoadedModel, Dataset | None]":
    """What is measured, and on what; a model that is no specification reads inputs of the data's size."""
    from nnmass.architectures import Specification
    from nnmass.architectures.files import is_specification
    from nnmass.tracing.from_source import network_of

    given = o.sizes_and_types(input_size) | {"image_size": image_size}
    if data is None:
        return network_of(model, **given), None
    if not is_specification(model):
        dataset = o.read_data(data, root, segments, image_size=image_size)
        o.require_size(given["input_sizes"], dataset.input_shape, data)
        return network_of(model, input_sizes=[(1, *dataset.input_shape)]), dataset
    network = network_of(model, **given)
    assert isinstance(network, Specification)
    return network, o.read_data(data, root, segments, image_size=getattr(network, "image_size", None))


def _inputs(
    context: typer.Context, network: "Specification | LoadedModel", data: "Dataset | None", count: int, seed: int
) -> "Tensor":
    from nnmass.architectures import Specification
    from nnmass.errors import InvalidValueError
    from nnmass.experiments import evenly_spread
    from nnmass.propagation import normal_inputs
    from nnmass.timing.inputs import random_inputs
    from nnmass.training import check_fits

    if data is not None:
        if isinstance(network, Specification):
            check_fits(network, data)
        if count > len(data.train):
            o.refuse(
                context, {"inputs"}, f"asks for {count:,} inputs, but {data.name} has {len(data.train):,} to train on"
            )
        return evenly_spread(data, count)
    if isinstance(network, Specification):
        return normal_inputs(network, count, seed)
    sizes = network.input_sizes or ()
    if len(sizes) != 1:
        raise InvalidValueError(f"{network.name} has {len(sizes)} inputs: models of one input are measured")
    return random_inputs(network.module, [sizes[0][1:]], count, network.input_types or (), seed=seed)[0]


def _theory(
    spec: "Specification | None", init: str, input_mean_square: float
) -> tuple["ExpectedIsometry | None", "list[Mend]", str]:
    """What theory says; where it says nothing, why."""
    from nnmass.architectures import LinkedSpecification
    from nnmass.errors import InvalidValueError
    from nnmass.propagation import expected_isometry, mends

    if spec is None:
        return None, [], "the model is measured as it is, and its weights need not be drawn"
    try:
        theory = expected_isometry(spec, init, input_mean_square=input_mean_square)
    except InvalidValueError as error:
        return None, [], str(error)
    helpful = mends(spec, init, input_mean_square=input_mean_square) if isinstance(spec, LinkedSpecification) else []
    return theory, helpful, ""
