"""``nnmass isometry``: how gradients propagate through a specification."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.output import print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from torch import Tensor

    from nnmass.architectures import Specification
    from nnmass.propagation import ExpectedIsometry, Mend


def isometry(
    context: typer.Context,
    spec: o.SpecArgument,
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
    seed: o.SeedOption = 0,
    data_root: o.RootOption = None,
    segments: o.SegmentsOption = 20,
    as_json: o.JsonOption = False,
) -> None:
    """Measure the singular values of every layer's Jacobian at initialisation, and say what would mend them.

    Where they are close to 1, gradients keep their size; layers that shrink or enlarge them are flagged.

    Example: nnmass isometry examples/reference.json --data digits --out isometry
    """
    from nnmass.architectures import load_spec
    from nnmass.propagation import Initialisation, estimated_layers
    from nnmass.propagation import isometry as measure
    from nnmass.provenance import provenance
    from nnmass.reporting import (
        isometry_rows,
        isometry_summary,
        isometry_values,
        mend_rows,
        save,
        spectrum_figure,
        write_isometry,
    )

    o.refuse_of_data(context, data)
    Initialisation.parse(init)
    loaded = load_spec(spec)
    read = _inputs(context, loaded, data, data_root, segments, inputs, seed)
    if (probes is not None or steps is not None) and not estimated_layers(loaded, read):
        o.refuse(context, {"probes", "steps"}, "is not used: no layer of this network needs Lanczos quadrature")
    with progress_bar("isometry", unit="networks") as progress:
        found = measure(
            loaded,
            read,
            initialisations=initialisations,
            init=init,
            seed=seed,
            probes=probes,
            **({} if steps is None else {"steps": steps}),
            progress=progress,
        )
    theory, mends, untold = _theory(loaded, init, float(read.double().square().mean()))
    source = f"inputs of {Path(data).name}" if data else "standard normal inputs"
    networks = f"{found.initialisations} networks, {init} initialisation" if found.initialisations > 1 else init
    title = f"{loaded.family} of NN-Mass {loaded.nn_mass:.1f}: {networks}, {len(read)} {source}"
    if plot is not None:
        save(spectrum_figure(found, theory, title=title), plot)
    extra = {"spec": loaded.model_dump(mode="json", exclude_none=True), "provenance": provenance(seed=seed)}
    if out is not None:
        write_isometry(found, theory, mends, out, title=title, extra=extra)
    if as_json:
        print_json(isometry_values(found, theory, mends, extra))
        return
    print_table(f"{spec}: {title}", *isometry_rows(found, theory))
    say(isometry_summary(found, theory))
    for entry in found.skipped:
        say(f"Not measured: {entry.name}: {entry.reason}")
    if untold:
        say(f"No theory: {untold}")
    if mends:
        print_table("What would bring it closer to 1", *mend_rows(mends, theory))
    if out is not None:
        say(f"Written to {out}: report.html, spectrum.png, spectrum.svg, isometry.json")


def _inputs(
    context: typer.Context,
    spec: "Specification",
    data: str | None,
    root: Path | None,
    segments: int,
    count: int,
    seed: int,
) -> "Tensor":
    from nnmass.propagation import normal_inputs

    if data is None:
        return normal_inputs(spec, count, seed)
    from nnmass.experiments import evenly_spread
    from nnmass.training import check_fits

    dataset = o.read_data(data, root, segments, spec)
    check_fits(spec, dataset)
    if count > len(dataset.train):
        o.refuse(context, {"inputs"}, f"asks for {count:,} inputs, but {data} has {len(dataset.train):,} to train on")
    return evenly_spread(dataset, count)


def _theory(
    spec: "Specification", init: str, input_mean_square: float
) -> tuple["ExpectedIsometry | None", "list[Mend]", str]:
    """What theory says; where it says nothing, why."""
    from nnmass.architectures import LinkedSpecification
    from nnmass.errors import InvalidValueError
    from nnmass.propagation import expected_isometry, mends

    try:
        theory = expected_isometry(spec, init, input_mean_square=input_mean_square)
    except InvalidValueError as error:
        return None, [], str(error)
    helpful = mends(spec, init, input_mean_square=input_mean_square) if isinstance(spec, LinkedSpecification) else []
    return theory, helpful, ""
