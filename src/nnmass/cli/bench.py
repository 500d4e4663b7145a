"""``nnmass bench``: latency and memory on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.interruption import keeps
from nnmass.cli.output import print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from nnmass.latency import LatencyTable
    from nnmass.timing import Bench

_MOST_EXCEPTIONS = 3


def bench(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help=o.MODEL_HELP)] = None,
    space: Annotated[
        str | None, typer.Option(metavar="SPACE", help="Fill the table for a design space (JSON, or a family) instead.")
    ] = None,
    engine: Annotated[
        Literal["eager", "compile", "onnxruntime"], typer.Option(help="What runs the network.")
    ] = "eager",
    threads: Annotated[
        int | None, o.whole(high=1_024, help="Threads of one operator; default: as many as PyTorch takes.")
    ] = None,
    batch: Annotated[
        int | None, o.whole(high=65_536, help="Inputs at once; default: 1, or as --input-size says.")
    ] = None,
    table: Annotated[
        Path | None,
        destinations.database(metavar="TABLE", help="SQLite file of measured blocks; made where it is missing."),
    ] = None,
    seconds: Annotated[
        float, o.real(low=0.001, high=3_600, help="To spend on the repeats of each block and network.")
    ] = 0.25,
    input_size: o.InputSizeOption = None,
    image_size: o.ImageSizeOption = None,
    as_json: o.JsonOption = False,
) -> None:
    """Measure a network's latency, whole and block by block, and its memory; or fill a latency table for a space.

    With --table every pass over a block is kept, and blocks are measured again only where their passes leave their
    times open.  Times have bounds, and nnmass design and compress say what these leave open.
    A table is of one machine, engine, number of threads and batch; nnmass design and compress read it with --latency.

    Example: nnmass bench --space MobileNetV2 --table latency.sqlite
    """
    from nnmass.latency import LatencyTable
    from nnmass.provenance import provenance
    from nnmass.timing import bench_source, conditions

    if (model is None) == (space is None):
        raise typer.BadParameter("name a MODEL, or a --space", param_hint="MODEL")
    if space is not None and table is None:
        raise typer.BadParameter("--space needs a --table to fill", param_hint="--table")
    if space is not None:
        o.refuse(context, {"input_size", "image_size"}, "is for a MODEL: a space knows the size of its input")
    sizes, types = [size for size, _ in input_size or ()], [kind for _, kind in input_size or ()]
    where = conditions(engine, threads=threads, batch=batch or (sizes[0][0] if sizes else 1))
    opened = None if table is None else LatencyTable(table, where, create=True)
    if opened is not None:
        keeps(lambda: f"{table} keeps the blocks that are measured, and the same command goes on from there")
    if space is not None:
        assert opened is not None
        _fill(space, opened, seconds, as_json=as_json)
        return
    assert model is not None
    with progress_bar(f"latency of {model}", unit="blocks") as progress:
        found = bench_source(
            model,
            where,
            table=opened,
            seconds=seconds,
            image_size=image_size,
            input_sizes=sizes,
            dtypes=types if any(types) else (),
            progress=progress,
        )
    if as_json:
        print_json(found.to_dict() | {"provenance": provenance()})
        return
    _show(found)


def _fill(space: str, table: "LatencyTable", seconds: float, *, as_json: bool) -> None:
    from nnmass.cli.design import space_of
    from nnmass.timing import fill_table

    blocks = space_of(space).blocks()
    with progress_bar(f"latencies of {space}", unit="blocks") as progress:
        measured = fill_table(table, blocks, seconds=seconds, progress=progress)
    unstable, exceptions = len(table.unstable()), table.exceptions()
    found = {"table": str(table.path), "conditions": str(table.conditions), "measured": measured, "blocks": len(table)}
    if as_json:
        print_json(found | {"unstable": unstable, "exceptions": [[str(a), str(b)] for a, b in exceptions]})
        return
    say(f"{measured} blocks measured; {table.path} holds {len(table)} of {table.conditions}")
    if unstable:
        say(f"{unstable} of them were not steady; the same command measures them again")
    for small, large in exceptions[:_MOST_EXCEPTIONS]:
        times = f"{table.latency(small)} and {table.latency(large)}"
        say(f"{small} takes longer than the larger {large}, by more than noise explains: {times}")
    if len(exceptions) > _MOST_EXCEPTIONS:
        say(f"{len(exceptions) - _MOST_EXCEPTIONS} more such pairs; --json lists all")


def _show(found: "Bench") -> None:
    from nnmass.reporting import bench_rows, bench_summary

    if found.prediction is not None:
        print_table(f"{found.name}: blocks", *bench_rows(found), wrapped=["block"])
    for line in bench_summary(found):
        say(line)
