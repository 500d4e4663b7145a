"""Picture of compressed networks against their references."""

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from nnmass.reporting.style import COLOURS, figure
from nnmass.verification import CompressionOutcome, difference_points, seed_count

_ROW = 1.0
_NUDGE = 0.14


def difference_figure(outcomes: Sequence[CompressionOutcome], *, title: str) -> Figure:
    """Draw, per pair, both measured accuracies (mean ± sd over seeds) and the predicted interval behind them.

    Args:
        outcomes: with verification; pairs without one are left out.
        title: over the picture.
    """
    measured = [outcome for outcome in outcomes if outcome.verification is not None]
    with figure(7.6, 1.3 + 0.75 * len(measured)) as drawn:
        axes = drawn.subplots()
        labels = []
        for row, outcome in enumerate(measured):
            found = outcome.verification
            assert found is not None
            for i, name in enumerate(("reference", "compressed")):
                y = row * _ROW + (_NUDGE if i else -_NUDGE)
                predicted = outcome.predictions.get(name)
                if predicted is not None:
                    axes.plot(
                        [predicted.low, predicted.high], [y, y], color="#d0d0d0", linewidth=9, solid_capstyle="butt"
                    )
                m = getattr(found, name)
                label = name if row == 0 else None
                axes.errorbar(
                    m.mean, y, xerr=m.std, fmt="*X"[i], color=COLOURS[i], markersize=9, capsize=3, label=label
                )
            ratio = outcome.compression.table["ratio"]["macs"]
            labels.append(
                f"NN-Mass {outcome.compression.reference.nn_mass:.0f}, {ratio:.2f} × MACs\n"
                f"{difference_points(found)}, {seed_count(found)}"
            )
        if any(outcome.predictions for outcome in measured):
            axes.plot([], [], color="#d0d0d0", linewidth=9, label="predicted, 95 %")
        axes.set_yticks([row * _ROW for row in range(len(labels))], labels)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
        axes.set_xlabel("test accuracy, mean ± sd over seeds")
        drawn.suptitle(textwrap.fill(title, 90), x=0.01, ha="left", fontsize=11)
        axes.legend(loc="best", fontsize=8)
        return drawn
