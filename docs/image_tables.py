"""Tables of the experiments on images, from results/."""

from typing import Any

from markdown_tables import table

QUANTITIES = {"nn_mass": "log NN-Mass", "params": "log params", "macs": "log MACs"}


def fits(result: Any) -> str:
    """R², its lead, and prediction errors of each quantity."""
    (part,) = result["parts"]
    rows = []
    for quantity, label in QUANTITIES.items():
        fit = part["fits"][quantity]
        low, high = fit["r2_interval_95"]
        lead, (least, most) = fit["r2_lead_of_mass"], fit["r2_lead_of_mass_interval_95"]
        rows.append(
            (
                label,
                f"{fit['r2']:.2f} [{low:.2f}, {high:.2f}]",
                "" if quantity == "nn_mass" else f"{lead:+.2f} [{least:+.2f}, {most:+.2f}]",
                f"{100 * fit['loo_error']:.2f}",
                f"{100 * part['unseen_errors'][quantity]:.2f}",
            )
        )
    unseen = ", ".join(part["unseen"])
    columns = ("accuracy on", "R² [95 %]", "behind NN-Mass [95 %]", "leave-one-out error", f"error on depths {unseen}")
    return table(columns, rows)


def pairs(result: Any) -> str:
    """Networks of equal mass and very different cost, those furthest apart first."""
    (part,) = result["parts"]
    rows = []
    for pair in part["pairs"][:10]:
        cheap, dear = pair["cheap"], pair["dear"]
        rows.append(
            (
                f"{cheap['nn_mass']:,.0f}, {dear['nn_mass']:,.0f}",
                f"{cheap['group']}, {dear['group']}",
                f"{cheap['macs'] / 1e6:.1f} M, {dear['macs'] / 1e6:.1f} M",
                f"{cheap['params']:,}, {dear['params']:,}",
                f"{100 * cheap['accuracy']:.2f} ± {100 * cheap['accuracy_std']:.2f}, "
                f"{100 * dear['accuracy']:.2f} ± {100 * dear['accuracy_std']:.2f}",
                f"{100 * (dear['accuracy'] - cheap['accuracy']):+.2f}",
            )
        )
    columns = ("NN-Mass", "depth of a cell", "MACs", "parameters", "accuracy, %", "dearer minus cheaper")
    return table(columns, rows)


def verdict(result: Any) -> str:
    """The sentences of the verdict."""
    return "\n".join(f"- {sentence}" for sentence in result["verdict"])
