"""``nnmass design``: a network within budgets, now."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.fit import ONLY_HELP, comparison_of
from nnmass.cli.output import print_json, print_table, say
from nnmass.cli.unused import Unused, refuse_unused

if TYPE_CHECKING:
    from nnmass.designing import Space
    from nnmass.latency import LatencyTable

FAMILIES = ("DenseMLP", "DenseCNN", "MobileNetV2", "ResNet", "CifarResNet", "WideResNet")
UNUSED = (
    Unused(
        lambda given: given["write_space"] is not None,
        frozenset(
            {"max_params", "max_macs", "max_latency_ms", "max_activation", "min_mass", "max_mass", "mass_of"}
            | {"tolerance", "objective", "top", "diversity", "front", "latency", "engine", "other_device", "fit"}
            | {"fit_only", "outside_domain", "time_limit", "out", "as_json"}
        ),
        "does not go with --write-space, which writes the space and designs nothing",
    ),
    Unused(
        lambda given: given["front"] is not None,
        frozenset({"objective", "top", "diversity", "fit", "time_limit"}),
        "does not go with --front, which lists the largest NN-Mass for every cost",
    ),
    Unused(lambda given: given["latency"] is None, frozenset({"engine", "other_device"}), "needs --latency"),
    Unused(lambda given: given["mass_of"] is None, frozenset({"tolerance"}), "needs --mass-of"),
    Unused(lambda given: given["fit"] is None, frozenset({"fit_only"}), "needs --fit"),
    Unused(lambda given: given["top"] == 1, frozenset({"diversity"}), "needs --top of at least 2"),
)
"""Options of this command that some calls do not use."""


def design(
    context: typer.Context,
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE",
            help=f"JSON file of a design space, or example:space; or a family, for its default: {', '.join(FAMILIES)}.",
        ),
    ],
    image_size: Annotated[
        int | None, o.whole(high=65_536, help="Height and width of the images; default: as the space says.")
    ] = None,
    classes: Annotated[int | None, o.whole(high=10**9, help="Outputs; default: as the space says.")] = None,
    in_features: Annotated[
        int | None, o.whole(high=10**9, help="Inputs of a DenseMLP; default: as the space says.")
    ] = None,
    write_space: Annotated[
        Path | None,
        destinations.file(help="Write the space as JSON, to be changed and named as SPACE, and do no more."),
    ] = None,
    max_params: o.MaxParamsOption = None,
    max_macs: o.MaxMacsOption = None,
    max_latency_ms: o.MaxLatencyOption = None,
    max_activation: Annotated[
        int | None,
        typer.Option(parser=o.count, metavar="BYTES", help="Budget of activation memory, one input: 500k, 4M, …"),
    ] = None,
    min_mass: Annotated[float | None, o.real(high=10**15, help="Least NN-Mass.")] = None,
    max_mass: Annotated[float | None, o.real(high=10**15, help="Largest NN-Mass.")] = None,
    mass_of: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The NN-Mass of this network, within --tolerance.")
    ] = None,
    tolerance: Annotated[float, o.real(high=0.5, help="Relative tolerance of --mass-of.")] = 0.02,
    objective: Annotated[
        Literal["mass", "accuracy", "params", "macs", "latency_ms"] | None,
        typer.Option(
            help="What to maximise (mass, predicted accuracy) or minimise; default: macs with a least mass, else mass."
        ),
    ] = None,
    top: Annotated[int, o.whole(high=100, help="List so many networks, each unlike those before.")] = 1,
    diversity: Annotated[
        float, o.real(high=0.99, help="Unlike: a width or depth differs by this share or more.")
    ] = 0.25,
    front: Annotated[
        Literal["params", "macs", "latency_ms"] | None,
        typer.Option(help="List every network that has the largest mass for its cost."),
    ] = None,
    latency: o.LatencyOption = None,
    engine: o.EngineOption = None,
    other_device: o.OtherDeviceOption = False,
    fit: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Runs of nnmass sweep: predict accuracy, stay near them.")
    ] = None,
    fit_only: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help=ONLY_HELP)] = None,
    outside_domain: Annotated[
        bool, typer.Option("--outside-domain", help="Allow what the theory and the fit do not speak of, and mark it.")
    ] = False,
    time_limit: o.TimeLimitOption = None,
    out: Annotated[Path | None, destinations.folder(help="Folder of specification, report and JSON.")] = None,
    as_json: o.JsonOption = False,
) -> None:
    """Find the network of the largest NN-Mass, or of the least cost, within budgets, with a proof.

    Nothing is trained or searched by training: seconds on a laptop.  Mass is a reason to expect accuracy only among
    networks of equal widths, not too shallow and not too dense; what reaches beyond that needs --outside-domain.

    Example: nnmass design DenseCNN --max-macs 600M --max-params 3.82M --top 3
    """
    from nnmass.designing import design as find_best
    from nnmass.designing import with_constants
    from nnmass.provenance import provenance
    from nnmass.reporting import design_rows, design_summary, write_design

    refuse_unused(context, UNUSED)
    if mass_of is not None and (min_mass is not None or max_mass is not None):
        raise typer.BadParameter("give --mass-of, or --min-mass and --max-mass", param_hint="--mass-of")
    chosen = space_of(space)
    for name in sorted({"image_size", "in_features"} - set(type(chosen).model_fields)):
        o.refuse(context, {name}, f"is not for a {chosen.family}")
    chosen = with_constants(chosen, image_size=image_size, num_classes=classes, in_features=in_features)
    if write_space is not None:
        chosen.to_json(write_space)
        say(f"Written to {write_space}: a space of {chosen.size():,} networks; nnmass design {write_space} searches it")
        return
    table = o.latency_table(latency, engine, other_device=other_device)
    if table is not None:
        o.fill_missing(table, chosen.blocks())
    if mass_of is not None:
        mass = _mass_of(mass_of)
        min_mass, max_mass = mass * (1 - tolerance), mass * (1 + tolerance)
    limits: dict[str, Any] = {
        "max_params": max_params,
        "max_macs": max_macs,
        "max_latency_ms": max_latency_ms,
        "max_activation_bytes": max_activation,
        "min_mass": min_mass,
        "max_mass": max_mass,
    }
    if front is not None:
        _show_front(chosen, front, limits, table, out, outside_domain=outside_domain, as_json=as_json)
        return
    found = find_best(
        chosen,
        **limits,
        objective=objective or ("mass" if min_mass is None else "macs"),
        latency=table,
        fit=None if fit is None else comparison_of(fit, fit_only or [], option="--fit-only"),
        top=top,
        diversity=diversity,
        time_limit=time_limit,
        outside_domain=outside_domain,
    )
    values = found.to_dict() | {"provenance": provenance()}
    if out is not None:
        write_design(found, out, values)
    if as_json:
        print_json(values)
        return
    print_table(f"{space}: {found.certificate.space_size:,} networks", *design_rows(found), wrapped=["network"])
    for line in design_summary(found):
        say(line)
    if out is not None:
        say(f"Written to {out}: design.json, report.html, result.json")


def space_of(name: str) -> "Space":
    """The space that a user names: a family for its default, or a JSON file."""
    from nnmass.architectures.examples import is_example
    from nnmass.designing import default_space, load_space
    from nnmass.errors import SpaceError

    if name.endswith(".json") or is_example(name) or Path(name).exists():
        return load_space(name)
    try:
        return default_space(name)
    except SpaceError:
        raise SpaceError(f"{name}: no file, and no family of {', '.join(FAMILIES)}") from None


def _mass_of(source: str) -> float:
    from nnmass.architectures.files import is_specification, read_specification

    if is_specification(source):
        mass = read_specification(source).nn_mass
    else:
        from nnmass.tracing import analyze_source

        mass = analyze_source(source).nn_mass
    if mass == 0:
        raise typer.BadParameter(
            f"{source} has NN-Mass 0 (no skips): there is no mass to match", param_hint="--mass-of"
        )
    return mass


def _show_front(
    space: "Space",
    cost: Literal["params", "macs", "latency_ms"],
    limits: dict[str, Any],
    table: "LatencyTable | None",
    out: Path | None,
    *,
    outside_domain: bool,
    as_json: bool,
) -> None:
    from nnmass.designing import pareto_front
    from nnmass.provenance import provenance
    from nnmass.reporting import front_rows, write_front

    found = pareto_front(space, cost=cost, **limits, latency=table, outside_domain=outside_domain)
    values = {
        "space": space.model_dump(mode="json", exclude_none=True),
        "cost": cost,
        "limits": {name: value for name, value in limits.items() if value is not None},
        "front": [candidate.to_dict() for candidate in found],
        "provenance": provenance(),
    }
    if out is not None:
        write_front(space, cost, found, out, values)
    if as_json:
        print_json(values)
        return
    columns, rows = front_rows(found)
    print_table(f"Largest NN-Mass for its {cost}: {len(found):,} networks", columns, rows, wrapped=["network"])
    if any(candidate.possible_mass is not None for candidate in found):
        say(
            "Every network is surely within the upper bound of its latency.  The latency table cannot tell whether one "
            "of the mass beside it is."
        )
    if len(rows) < len(found):
        say(f"{len(rows)} of {len(found):,} networks are shown, evenly spread; --out and --json hold all.")
    if out is not None:
        say(f"Written to {out}: front.png, front.json")
