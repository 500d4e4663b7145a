"""``nnmass rank``: many models in one table."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.interruption import EXIT_CODE
from nnmass.cli.output import print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from nnmass.tracing import RankedModel
    from nnmass.tracing.journal import Journal


def rank(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help=f"{o.MODEL_HELP} Also patterns: 'timm:mobilenetv2_*', 'FILE.py:*'."),
    ],
    max_macs: Annotated[
        int | None, typer.Option(parser=o.count, metavar="COUNT", help="Leave out larger ones: 500M, 1.2G, …")
    ] = None,
    max_params: Annotated[
        int | None, typer.Option(parser=o.count, metavar="COUNT", help="Leave out larger ones: 250k, 5M, …")
    ] = None,
    input_size: o.InputSizeOption = None,
    image_size: o.ImageSizeOption = None,
    projection: o.ProjectionOption = None,
    sort: Annotated[
        Literal["nn_mass", "density", "params", "macs", "top1"],
        typer.Option(help="Largest mass, density or accuracy first; fewest parameters or MACs first."),
    ] = "nn_mass",
    results: Annotated[
        Path | None, typer.Option(help="CSV of published accuracies as timm has them: columns model, top1, img_size.")
    ] = None,
    csv: Annotated[Path | None, destinations.file("--csv", help="Write the table, every column, to this file.")] = None,
    workers: Annotated[
        int | None, o.whole("--workers", high=1_024, help="Processes; default: one per core, for few models fewer.")
    ] = None,
    as_json: o.JsonOption = False,
) -> None:
    """Measure many models and sort them; nothing is trained or downloaded.

    A model that fails, or that NN-Mass is not defined for, is a row with its reason.  With --csv a ranking that was
    stopped goes on where it was.

    Example: nnmass rank 'timm:mobilenetv2_*' --max-macs 500M --sort macs
    """
    from nnmass.reporting import write_ranking
    from nnmass.tracing import PublishedAccuracies, model_names, of_unknown_cost, ranked, with_published, within
    from nnmass.tracing.journal import Journal

    if sort == "top1" and results is None:
        raise typer.BadParameter("top1 needs --results", param_hint="--sort")
    sources = list(dict.fromkeys(name for pattern in models for name in model_names(pattern)))
    published = None if results is None else PublishedAccuracies.read(results)
    if input_size and image_size is not None:
        raise typer.BadParameter("give sizes of the inputs or an image size, not both", param_hint="--input-size")
    options: dict[str, Any] = {"image_size": image_size, "projection": projection}
    if input_size:
        options |= o.sizes_and_types(input_size)
    journal = None if csv is None else Journal(f"{csv}.partial", options)
    rows, complete = _measured(sources, journal, workers, **options)
    if published is not None:
        rows = with_published(rows, published)
    budgets = {"max_macs": max_macs, "max_params": max_params}
    kept, unknown = ranked(within(rows, **budgets), sort), of_unknown_cost(rows, **budgets)
    if csv is not None:
        write_ranking(kept, csv)
    _show(rows, kept, unknown, sort, as_json=as_json)
    if not complete:
        _tell_how_to_go_on(len(rows), len(sources), csv)
    if journal is not None:
        journal.remove()


def _measured(
    sources: Sequence[str], journal: "Journal | None", workers: int | None, **options: Any
) -> "tuple[list[RankedModel], bool]":
    """Rows, of all models unless Ctrl-C came before, and whether they are all."""
    from nnmass.tracing import measure_all

    rows = [] if journal is None else [row for row in journal.rows if row.model in set(sources)]
    known = {row.model for row in rows}
    missing = [source for source in sources if source not in known]
    try:
        with (
            progress_bar("ranking", unit="models") as progress,
            closing(measure_all(missing, workers=workers, **options)) as measured,
        ):
            progress(len(rows), len(sources))
            for row in measured:
                rows.append(row)
                if journal is not None:
                    journal.add(row)
                progress(len(rows), len(sources))
    except KeyboardInterrupt:
        return rows, False
    return rows, True


def _show(
    rows: "Sequence[RankedModel]",
    kept: "Sequence[RankedModel]",
    unknown: "Sequence[RankedModel]",
    sort: str,
    *,
    as_json: bool,
) -> None:
    from nnmass.reporting import outcomes_line, ranking_rows
    from nnmass.tracing import CAVEAT

    if as_json:
        left_out = {"left_out": len(rows) - len(kept), "of_unknown_cost": [row.to_dict() for row in unknown]}
        print_json({"sort": sort, **left_out, "caveat": CAVEAT, "models": [row.to_dict() for row in kept]})
        return
    print_table(f"Models by {sort}", *ranking_rows(kept), wrapped=["model", "of weights", "note"])
    above = len(rows) - len(kept) - len(unknown)
    say(f"{outcomes_line(rows)}{f'; {above:,} above the budgets are left out' if above else ''}")
    if unknown:
        columns, texts = ranking_rows(unknown)
        print_table("Left out: costs unknown", columns, texts, wrapped=["model", "of weights", "note"])
    say(CAVEAT)


def _tell_how_to_go_on(done: int, total: int, csv: Path | None) -> None:
    kept = f"{csv} holds them, and the same command goes on from there" if csv else "--csv FILE keeps what is finished"
    error = TyperException(f"interrupted after {done} of {total} models; {kept}")
    error.exit_code = EXIT_CODE
    raise error
