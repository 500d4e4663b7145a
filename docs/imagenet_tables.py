"""Tables of ``nnmass reproduce imagenet-published``, from its summary."""

from collections.abc import Callable
from typing import Any

from markdown_tables import table

QUANTITIES = {"nn_mass": "NN-Mass", "params": "params", "macs": "MACs"}
MEASURES = {"spearman": "Spearman", "kendall": "Kendall", "r2": "R²"}
PARTIAL = {
    "nn_mass given macs": "NN-Mass, given MACs",
    "nn_mass given params, macs": "NN-Mass, given params and MACs",
    "macs given nn_mass": "MACs, given NN-Mass",
}
SHOWN_PAIRS = 12


def verdict(summary: Any) -> str:
    """What is shown, and what is not."""
    return "\n".join(f"- {sentence}" for sentence in summary["verdict"])


def recipes(summary: Any) -> str:
    """The groups, and why their models may be compared."""
    rows = [
        (name, f"`{group['tag']}`", group["reason"], str(group["image_size"]), str(group["models"]))
        for name, group in summary["groups"].items()
    ]
    return table(("group", "tag", "trained alike", "pixels", "models"), rows)


def groups(summary: Any) -> str:
    """Rank correlations group by group."""
    rows = []
    for name, group in [*summary["groups"].items(), ("**all groups**", {"ranking": summary["pooled"]})]:
        ranking = group["ranking"]
        if ranking is None:
            rows.append((name, group["not_ranked"], *[""] * 5))
            continue
        spearman, lead = ranking["measures"]["spearman"], ranking["leads"]["spearman"]["macs"]
        values = (f"{spearman[quantity]['value']:.2f}" for quantity in QUANTITIES)
        given = ranking["partial"]["rank"]["nn_mass given macs"]
        rows.append((name, str(ranking["n"]), *values, with_interval(lead), with_interval(given)))
    columns = ("group", "n", *QUANTITIES.values(), "NN-Mass − MACs [95 %]", "NN-Mass given MACs [95 %]")
    return table(columns, rows)


def pooled(summary: Any) -> str:
    """Every measure over all groups."""
    found = summary["pooled"]
    rows = [
        (
            label,
            *(with_interval(found["measures"][measure][quantity]) for quantity in QUANTITIES),
            *(with_interval(found["leads"][measure][rival]) for rival in ("params", "macs")),
        )
        for measure, label in MEASURES.items()
    ]
    return table(("inside groups", *QUANTITIES.values(), "NN-Mass − params", "NN-Mass − MACs"), rows)


def partial(summary: Any) -> str:
    """Partial correlations over all groups."""
    found = summary["pooled"]["partial"]
    rows = [
        (label, *(with_interval(found[kind][name]) for kind in ("rank", "linear"))) for name, label in PARTIAL.items()
    ]
    return table(("partial correlation with top-1", "of ranks [95 %]", "of logarithms [95 %]"), rows)


def equal(summary: Any) -> str:
    """Differences of pairs equal in one quantity."""
    pairs = summary["pairs"]
    rows = [
        (
            label,
            str(pairs["equal"][quantity]["pairs"]),
            with_interval(pairs["equal"][quantity]["difference"]),
            *(with_interval(pairs["equal"][quantity]["gains"].get(other)) for other in QUANTITIES),
        )
        for quantity, label in QUANTITIES.items()
    ]
    rows.append(("any pair", "", with_interval(pairs["every_pair"]), *[""] * 3))
    columns = ("equal in", "pairs", "difference in points [95 %]")
    return table((*columns, *(f"gain by more {label} [95 %]" for label in QUANTITIES.values())), rows)


def equal_mass(summary: Any) -> str:
    """The pairs of equal mass whose MACs differ most."""
    rows = [
        (
            f"{pair['more_macs']}, {pair['fewer_macs'].partition('.')[0]}",
            ", ".join(f"{mass:,.0f}" for mass in pair["nn_mass"]),
            f"× {pair['params_ratio']:.2f}",
            f"× {pair['macs_ratio']:.2f}",
            ", ".join(f"{top1:.2f}" for top1 in pair["top1"]),
            f"{pair['top1'][0] - pair['top1'][1]:+.2f}",
        )
        for pair in summary["equal_mass_pairs"][:SHOWN_PAIRS]
    ]
    return table(("more MACs, fewer MACs", "NN-Mass", "params", "MACs", "top-1 %", "difference"), rows)


def left_out(summary: Any) -> str:
    """Models without a mass, by reason."""
    reasons: dict[str, list[str]] = {}
    for group in summary["groups"].values():
        for model, reason in group["left_out"].items():
            reasons.setdefault(reason, []).append(model)
    rows = [(reason, str(len(models)), ", ".join(models)) for reason, models in sorted(reasons.items())]
    return table(("left out", "n", "models"), rows)


def with_interval(estimate: Any) -> str:
    """Value and interval; nothing where there is none."""
    if estimate is None:
        return ""
    low, high = estimate["interval_95"]
    return f"{estimate['value']:.2f} [{low:.2f}, {high:.2f}]"


TABLES: dict[str, Callable[[Any], str]] = {
    "imagenet-verdict": verdict,
    "imagenet-recipes": recipes,
    "imagenet-groups": groups,
    "imagenet-pooled": pooled,
    "imagenet-partial": partial,
    "imagenet-equal": equal,
    "imagenet-equal-mass": equal_mass,
    "imagenet-left-out": left_out,
}
