"""``nnmass fit``: accuracy on log mass, beside params and MACs."""

from pathlib import Path
from typing import Annotated

import typer

from nnmass.cli import options as o
from nnmass.cli.output import percent, print_json, print_table, say


def fit(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="SQLite file that a sweep wrote.")],
    data: Annotated[str | None, typer.Option(help="Only the runs on this data set.")] = None,
    predict: Annotated[
        list[float] | None, o.real(open_low=True, high=10**15, help="Predict the accuracy at this NN-Mass.")
    ] = None,
    level: Annotated[float, o.real(open_low=True, high=1, open_high=True, help="Of the prediction intervals.")] = 0.95,
    extrapolate: Annotated[bool, typer.Option("--extrapolate", help="Predict far outside the fitted range.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a picture: .png, .svg or .pdf.")] = None,
    seed: Annotated[int, o.whole(low=0, high=o.LARGEST_SEED, help="Of the bootstrap.")] = 0,
    as_json: o.JsonOption = False,
) -> None:
    """Fit the mean test accuracy of a store's networks on log NN-Mass, log params and log MACs.

    Example: nnmass fit runs.sqlite --predict 40 --plot fit.png
    """
    from nnmass import atomic
    from nnmass.prediction import compare
    from nnmass.reporting import accuracy_figure, check_picture, comparison_rows, save
    from nnmass.sweeps import RunStore, seed_means

    if not predict:
        o.refuse(context, {"level", "extrapolate"}, "is for --predict")
    if plot is not None:
        check_picture(plot)
        atomic.require_writable(plot.parent)
    runs = RunStore(store, create=False).runs(data=data)
    comparison = compare(seed_means(runs), seed=seed)
    predictions = [
        {"nn_mass": mass, **comparison.mass.predict(mass, level=level, extrapolate=extrapolate)._asdict()}
        for mass in predict or []
    ]
    if plot is not None:
        save(accuracy_figure(comparison, title=f"{store.name}: {len(comparison.networks)} networks"), plot)
    if as_json:
        print_json({"store": str(store), "level": level, **comparison.to_dict(), "predictions": predictions})
        return
    print_table(f"{store}: seed means of {len(comparison.networks)} networks", *comparison_rows(comparison))
    if comparison.left_out:
        say(f"{comparison.left_out} networks of NN-Mass 0 are in no fit: they have no logarithm")
    for p in predictions:
        say(
            f"NN-Mass {p['nn_mass']:g}: {percent(p['mean'])}, {level:.0%} interval {percent(p['low'])} … "
            f"{percent(p['high'])}"
        )
