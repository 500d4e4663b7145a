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
        rows.append(
            (
                label,
                _interval(fit["r2"], fit["r2_interval_95"]),
                "" if quantity == "nn_mass" else _lead(fit),
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


def addition_fits(results: dict[str, Any]) -> str:
    """What explains the accuracy of networks whose skips add, study by study."""
    rows = []
    for label, result in results.items():
        (part,) = result["parts"]
        found = part["fits"]
        explained = (
            _interval(found[q]["r2"], found[q]["r2_interval_95"]) + (", falling" if found[q]["slope"] < 0 else "")
            for q in QUANTITIES
        )
        leads = (_lead(found[q]) for q in ("params", "macs"))
        networks = f"{found['nn_mass']['n']} × {part['runs'] // found['nn_mass']['n']}"
        rows.append((label, networks, *explained, *leads, f"{100 * part['seed_std']:.2f}"))
    columns = (
        *("networks × seeds", *(f"R² on {label} [95 %]" for label in QUANTITIES.values())),
        *("mass leads params by", "mass leads MACs by", "seeds scatter by, points"),
    )
    return table(("experiment", *columns), rows)


def _interval(value: float, ends: list[float], sign: str = "") -> str:
    return f"{value:{sign}.2f} [{ends[0]:{sign}.2f}, {ends[1]:{sign}.2f}]"


def _lead(fit: Any) -> str:
    return _interval(fit["r2_lead_of_mass"], fit["r2_lead_of_mass_interval_95"], "+")


def verdicts(results: dict[str, Any]) -> str:
    """The sentences of several verdicts."""
    return "\n".join(f"- {label}: {said}" for label, result in results.items() for said in result["verdict"])


def decoding(result: Any) -> str:
    """Images decoded per second, beside torchvision's ImageFolder."""
    rows = []
    for workers, rates in result["images_per_second"].items():
        faster = result["times_faster_than_ImageFolder"][workers]
        theirs = f"{rates['ImageFolder']['median']:,.0f}"
        rows.append((workers, theirs, *(f"× {faster[name]['median']:.2f}" for name in ("folder", "tar", "parquet"))))
    columns = ("decoding processes", "ImageFolder, images/s", "folder", "WebDataset shards", "Parquet")
    return table(columns, rows)


def waiting(result: Any) -> str:
    """Share of the time that a stand-in for a training step waits for data."""
    rows = [
        (str(row["workers"]), f"× {row['step_over_decoding']:.1f}", f"{100 * row['waited']:.0f} %")
        for row in result["waiting"]
    ]
    return table(("decoding processes", "a step takes, of the time to decode a batch", "waiting for data"), rows)


def throughput(result: Any) -> str:
    """Training throughput of each network, as a share of the ceiling and beside the DenseCNN."""
    rows = []
    for name, network in result["networks"].items():
        for way in ("eager", "compiled"):
            if way in network:
                own = network[way]
                rows.append(
                    (
                        name if way == "eager" else f"{name}, compiled",
                        f"{network['side']}",
                        f"{network['macs'] / 1e6:,.0f} M",
                        f"{100 * own['share_of_ceiling']['median']:.0f} %",
                        f"× {own['DenseCNN_times_faster_per_mac']['median']:.2f}",
                        f"{network['bytes_per_image'] / 1e6:,.1f} MB",
                    )
                )
    columns = ("network", "pixels", "MACs", "of the ceiling", "DenseCNN, per MAC", "memory of one more image")
    return table(columns, rows)
