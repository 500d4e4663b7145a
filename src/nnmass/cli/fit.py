"""``nnmass fit``: accuracy on log mass, beside params and MACs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.output import percent, print_json, print_table, say
from nnmass.plain_text import plain

if TYPE_CHECKING:
    from nnmass.prediction import Comparison

ONLY_HELP = "KEY=VALUE as often as needed: only runs of this data, family, or value of a specification or training."


def fit(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="SQLite file that a sweep wrote.")],
    data: Annotated[str | None, typer.Option(help="Only the runs on this data set.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help=ONLY_HELP)] = None,
    predict: Annotated[
        list[float] | None, o.real(open_low=True, high=10**15, help="Predict the accuracy at this NN-Mass.")
    ] = None,
    level: Annotated[float, o.real(open_low=True, high=1, open_high=True, help="Of the prediction intervals.")] = 0.95,
    extrapolate: Annotated[bool, typer.Option("--extrapolate", help="Predict far outside the fitted range.")] = False,
    plot: Annotated[Path | None, destinations.picture(help="Write a picture")] = None,
    seed: Annotated[int, o.whole(low=0, high=o.LARGEST_SEED, help="Of the bootstrap.")] = 0,
    as_json: o.JsonOption = False,
) -> None:
    """Fit the mean test accuracy of a store's networks on log NN-Mass, log params and log MACs.

    One fit holds for one kind of network, trained in one way on one data set; of a store that holds several, --data and
    --only take one.

    Example: nnmass fit runs.sqlite --predict 40 --plot fit.png
    """
    from nnmass.reporting import accuracy_figure, comparison_notes, comparison_rows, save

    if not predict:
        o.refuse(context, {"level", "extrapolate"}, "is for --predict")
    comparison = comparison_of(store, only or [], data=data, seed=seed)
    predictions = [
        {"nn_mass": mass, **comparison.at(mass, level=level, extrapolate=extrapolate)._asdict()}
        for mass in predict or []
    ]
    if plot is not None:
        save(accuracy_figure(comparison, title=f"{store.name}: {len(comparison.networks)} networks"), plot)
    if as_json:
        print_json({"store": str(store), "level": level, **comparison.to_dict(), "predictions": predictions})
        return
    print_table(f"{store}: seed means of {len(comparison.networks)} networks", *comparison_rows(comparison))
    for line in comparison_notes(comparison):
        say(line)
    for p in predictions:
        say(
            f"NN-Mass {p['nn_mass']:g}: {percent(p['mean'])}, {level:.0%} interval {percent(p['low'])} … "
            f"{percent(p['high'])}"
        )


def comparison_of(
    store: Path, only: list[str], *, option: str = "--only", data: str | None = None, seed: int = 0
) -> "Comparison":
    """The fits of a store's networks.

    Args:
        store: SQLite file that a sweep wrote.
        only: ``KEY=VALUE``, each of what the runs must have.
        option: that gave them.
        data: name of their data set.
        seed: of the bootstrap.
    """
    from nnmass.prediction import compare
    from nnmass.sweeps import RunStore, chosen_runs, seed_means

    wanted = dict(_key_and_value(text, option) for text in only)
    runs = RunStore(store, create=False).runs(data=data)
    return compare(seed_means(chosen_runs(runs, wanted)), seed=seed)


def _key_and_value(text: str, option: str) -> tuple[str, Any]:
    """Read ``key=value``.

    Examples:
        >>> _key_and_value("widths=[8,16]", "--only"), _key_and_value("data=digits", "--only")
        (('widths', [8, 16]), ('data', 'digits'))
    """
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise typer.BadParameter(f"{plain(text, limit=80)!r} is not KEY=VALUE", param_hint=option)
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):  # a word, or what no run has
        return key, value
