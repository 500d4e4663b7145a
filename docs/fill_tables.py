"""Fill the tables of README.md and docs/*.md with the figures kept under results/.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``.  ``python docs/fill_tables.py`` rewrites them all;
with ``--check`` nothing is written, and a stale table is an error.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import any_model_tables
import design_tables
import image_tables
import imagenet_tables
import trust_tables
from markdown_tables import table as _table

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "measurements.md",
    ROOT / "docs" / "any-model.md",
    ROOT / "docs" / "designing.md",
    ROOT / "docs" / "trust.md",
]
DATA = ("mnist", "linear", "circle")
QUANTITIES = {"nn_mass": "log NN-Mass", "params": "log params", "macs": "log MACs"}
COVERED = {"paired": "paired", "unpaired": "not paired", "t": "Student's t over seeds alone"}
MEASURES = {"mean_loss": "all epochs", "final_loss": "last epoch"}


def main() -> None:
    """Rewrite the tables, or check them."""
    stale = []
    for page in PAGES:
        text = page.read_text()
        filled = re.sub(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", _fill, text, flags=re.DOTALL)
        if filled != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(filled)
    if "--check" in sys.argv and stale:
        sys.exit(f"tables differ from results/: {', '.join(stale)}; run python docs/fill_tables.py")


def accuracy_fits() -> str:
    """R² and prediction errors of each quantity on each data set."""
    rows = []
    for data in DATA:
        summary = _read(f"mlp-accuracy-{data}/summary.json")
        for quantity, label in QUANTITIES.items():
            fit = summary["fits"][quantity]
            low, high = fit["r2_interval_95"]
            lead, (least, most) = fit["r2_lead_of_mass"], fit["r2_lead_of_mass_interval_95"]
            rows.append(
                (
                    data,
                    label,
                    f"{fit['r2']:.2f} [{low:.2f}, {high:.2f}]",
                    f"{lead:.2f} [{least:.2f}, {most:.2f}]" if quantity != "nn_mass" else "",
                    f"{100 * fit['loo_error']:.2f}",
                    f"{100 * fit['left_out_group_error']:.2f}",
                    f"{fit['n']} × {summary['seeds'][-1]}",
                )
            )
    columns = (
        "data",
        "accuracy on",
        "R² [95 %]",
        "behind NN-Mass [95 %]",
        "leave-one-out error",
        "left-out-depth error",
    )
    return _table((*columns, "networks × seeds"), rows)


def left_out_depths() -> str:
    """Error of predicting each depth from the others."""
    rows = []
    for data in DATA:
        fits = _read(f"mlp-accuracy-{data}/summary.json")["fits"]
        for quantity, label in QUANTITIES.items():
            errors = fits[quantity]["left_out_group_errors"]
            rows.append((data, label, *(f"{100 * error:.2f}" for error in errors.values())))
    depths = _read("mlp-accuracy-mnist/summary.json")["fits"]["nn_mass"]["left_out_group_errors"]
    return _table(("data", "accuracy on", *(f"depth {depth}" for depth in depths)), rows)


def compressions() -> str:
    """Depth 32 on MNIST at three masses."""
    outcomes = _read("mlp-compression-mnist/summary.json")["compressions"]
    rows = []
    for outcome in outcomes:
        for name in ("reference", "compressed"):
            row, measured = outcome["table"][name], outcome["verification"][name]
            predicted = outcome["prediction"][name]
            rows.append(
                (
                    name,
                    f"{row['depth'][0]}, {row['max_skips'][0]}",
                    f"{row['nn_mass']:.1f}",
                    f"{row['params']:,}",
                    f"{row['macs']:,}",
                    f"{100 * predicted['mean']:.2f} [{100 * predicted['low']:.2f}, {100 * predicted['high']:.2f}]",
                    f"{100 * measured['mean']:.2f} ± {100 * measured['std']:.2f}",
                )
            )
        ratio, found = outcome["table"]["ratio"], outcome["verification"]
        low, high = found["difference"]["interval_95"]
        difference = f"**{100 * found['difference']['mean']:+.2f}** [{100 * low:+.2f}, {100 * high:+.2f}]"
        rows.append(("ratio, difference", "", "", f"{ratio['params']:.2f}", f"{ratio['macs']:.2f}", "", difference))
    seeds = outcomes[0]["verification"]["seeds"]
    measured_column = f"measured %, mean ± sd of {seeds} seeds"
    return _table(("", "depth, max skips", "NN-Mass", "params", "MACs", "predicted % [95 %]", measured_column), rows)


def convergence() -> str:
    """Spread of the training loss between depths of equal mass, and between masses of equal depth."""
    summary = _read("convergence-mnist/summary.json")
    rows = []
    for key, label in (("at_equal_mass", "NN-Mass"), ("at_equal_depth", "depth")):
        for group, measures in summary[key].items():
            for measure, name in MEASURES.items():
                found = measures[measure]
                values = (found[k] for k in ("lowest", "highest", "spread", "standard_error", "noise_95"))
                rows.append((f"{label} {group}", name, str(found["networks"]), *(f"{value:.3f}" for value in values)))
    columns = ("at equal", "training loss", "networks", "lowest", "highest", "spread", "standard error of a mean")
    return _table((*columns, "spread by seeds alone, 95 %"), rows)


def convergence_fits() -> str:
    """How well mass, parameters and MACs explain the training loss."""
    rows = []
    for measure, fits in _read("convergence-mnist/summary.json")["fits"].items():
        for quantity, label in QUANTITIES.items():
            fit = fits[quantity]
            low, high = fit["r2_interval_95"]
            lead, (least, most) = fit["r2_lead_of_mass"], fit["r2_lead_of_mass_interval_95"]
            rows.append(
                (
                    MEASURES[measure],
                    label,
                    f"{fit['r2']:.2f} [{low:.2f}, {high:.2f}]",
                    f"{lead:.2f} [{least:.2f}, {most:.2f}]" if quantity != "nn_mass" else "",
                    f"{100 * fit['loo_error']:.1f} %",
                    f"{100 * fit['left_out_group_error']:.1f} %",
                    str(fit["n"]),
                )
            )
    columns = ("log training loss", "on", "R² [95 %]", "behind NN-Mass [95 %]", "leave-one-out error")
    return _table((*columns, "left-out-depth error", "networks"), rows)


def verdict_coverage() -> str:
    """How often intervals of a measured difference hold the true one."""
    found: dict[tuple[int, int], list[Any]] = {}
    for row in _read("benchmarks/verdict_coverage.json")["rows"]:
        found.setdefault((row["seeds"], row["samples"]), []).append(row)
    rows = [
        (f"{seeds} × {samples:,}", *(f"{min(row[way]['coverage'] for row in cases):.2f}" for way in COVERED))
        for (seeds, samples), cases in found.items()
    ]
    return _table(("seeds × test samples", *COVERED.values()), rows)


def demo() -> str:
    """What `make demo` shows."""
    outcome = _read("demo/result.json")
    table, found, predicted = outcome["table"], outcome["verification"], outcome["prediction"]
    low, high = found["difference"]["interval_95"]
    rows = [
        (
            label,
            *(f"{table[name][key]:,.{digits}f}" for name in ("reference", "compressed")),
            f"× {table['ratio'][key]:.3f}",
        )
        for key, label, digits in (("nn_mass", "NN-Mass", 2), ("params", "params", 0), ("macs", "MACs", 0))
    ]
    rows.insert(
        0,
        (
            "depth, max skips",
            *(f"{table[n]['depth'][0]}, {table[n]['max_skips'][0]}" for n in table if n != "ratio"),
            "",
        ),
    )
    rows.append(
        (
            "predicted accuracy [95 %]",
            *(f"{100 * p['mean']:.1f} % [{100 * p['low']:.1f}, {100 * p['high']:.1f}]" for p in predicted.values()),
            "",
        )
    )
    rows.append(
        (
            f"measured accuracy, {found['seeds']} seeds",
            *(f"{100 * found[n]['mean']:.2f} ± {100 * found[n]['std']:.2f} %" for n in ("reference", "compressed")),
            f"{100 * found['difference']['mean']:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}] points",
        )
    )
    return _table(("digits", "reference", "compressed", "compressed / reference"), rows)


def isometry_fits(experiment: str) -> str:
    """R² of the mean singular value on mass and its rivals."""
    rows = []
    for name, condition in _read(f"{experiment}/summary.json")["conditions"].items():
        for measured, layers in (("mean", "hidden"), ("all_mean", "all")):
            fits = condition["fits"][measured]
            low, high = fits["nn_mass"]["cubic_r2_interval"]
            others = (f"{fits[quantity]['cubic_r2']:.3f}" for quantity in ("degree", "density", "params", "macs"))
            line, cubic = (fits["nn_mass"][key] for key in ("line_r2", "cubic_r2"))
            rows.append((name, layers, f"{line:.3f}", f"{cubic:.3f} [{low:.3f}, {high:.3f}]", *others))
    columns = ("weights, activation", "layers", "NN-Mass, line", "NN-Mass, cubic [95 %]")
    return _table((*columns, "degree", "density", "params", "MACs"), rows)


def isometry_gaps(experiment: str) -> str:
    """How far depths differ at equal mass."""
    summary = _read(f"{experiment}/summary.json")
    first = next(iter(summary["conditions"].values()))["equal_mass_gaps"]["mean"]
    rows = [
        (
            name,
            *(f"{gap:.1%}" for gap in condition["equal_mass_gaps"]["mean"].values()),
            f"{max(condition['equal_mass_gaps']['all_mean'].values()):.1%}",
        )
        for name, condition in summary["conditions"].items()
    ]
    masses = (f"hidden, mass {float(mass):.0f}" for mass in first)
    return _table(("weights, activation", *masses, "all layers, largest"), rows)


def isometry_theory(experiment: str) -> str:
    """How far theory is off."""
    rows = []
    for name, condition in _read(f"{experiment}/summary.json")["conditions"].items():
        hidden, every = (condition["theory_error"][key] for key in ("mean", "all_mean"))
        rows.append(
            (
                name,
                f"{hidden['mean']:.2%}",
                f"{hidden['largest']:.1%}",
                f"{every['mean']:.2%}",
                f"{condition['short_form_error']['mean']:.1%}",
                f"{condition['largest_relative_standard_error']:.1%}",
                str(condition["networks"]),
            )
        )
    columns = ("weights, activation", "hidden, mean", "hidden, largest", "all layers, mean", "short form, mean")
    return _table((*columns, "standard error of a measurement, at most", "networks"), rows)


def lanczos() -> str:
    """Convergence of Lanczos quadrature."""
    rows = [
        (
            name,
            f"{row['steps']}",
            f"{row['layer_forwards_per_probe']:.0f}",
            f"{row['true_error']:.1%}",
            f"{row['stated_error']:.1%}",
            f"{row['largest_ratio_of_true_to_stated']:.1f}",
        )
        for name, network in _read("benchmarks/lanczos.json")["networks"].items()
        for row in network
    ]
    columns = ("convolutions", "steps", "layer-forwards per probe", "off by", "stated", "largest off / stated")
    return _table(columns, rows)


def interval_coverage() -> str:
    """Least coverage of prediction intervals at either end and in the middle, and how wide they are."""
    found = _read("benchmarks/interval_coverage.json")
    rows = [
        (case, method, *(f"{value:.3f}" for value in values.values()))
        for case in found["cases"]
        for method in found["methods"]
        for values in [found["least_coverage"][f"{method}, {case}"]]
    ]
    rows += [
        ("even: width", method, *(f"{width:.2f} ×" for width in widths.values()))
        for method, widths in found["widths_of_even"].items()
    ]
    counts = found["least_coverage"][f"{found['methods'][0]}, {found['cases'][0]}"]
    return _table(("scatter", "intervals", *(f"{n} networks" for n in counts)), rows)


def lanczos_coverage() -> str:
    """How often intervals hold the true mean, by number of random vectors."""
    rows = _read("benchmarks/lanczos.json")["coverage"]
    kinds = {"interval": "the stated interval holds", "errors_1.96": "1.96 standard errors would hold"}
    columns = ("random vectors", *(f"{row['probes']}" for row in rows))
    return _table(columns, [(label, *(f"{row[kind]:.0%}" for row in rows)) for kind, label in kinds.items()])


def isometry_spread() -> str:
    """How far theory's mean and spread are from those of drawn networks, by weights and width."""
    rows = [
        (
            row["init"],
            f"{row['width']:,}",
            f"{row['networks']}",
            *(f"{row[f'{which}_{name}_error']:.2%}" for name in ("mean", "std") for which in ("average", "largest")),
            *(f"{row[f'{name}_noise']:.2%}" for name in ("mean", "std")),
        )
        for row in _read("benchmarks/isometry_theory.json")["summary"]
    ]
    errors = ("mean, average", "mean, largest", "spread, average", "spread, largest")
    noise = ("standard error of a measured mean, at most", "of a spread, at most")
    return _table(("weights", "width", "networks", *errors, *noise), rows)


def benchmarks() -> str:
    """Every target of the benchmarks, with the measured median."""
    rows = []
    for name in ("closed_form", "mlp_sweep", "dense_cnn_step", "isometry", "tracing_speed"):
        for label, entry in _read(f"benchmarks/{name}.json")["targets"].items():
            bound = f"≥ {entry['at_least']:,g}" if entry["at_least"] is not None else f"≤ {entry['at_most']:,g}"
            rows.append((f"`{name}`: {label}", f"{entry['median']:,.3g}", bound, "yes" if entry["met"] else "**no**"))
    return _table(("what", "median", "target", "met"), rows)


def filled_from(path: str, fill: Callable[[Any], str]) -> Callable[[], str]:
    """A table of one result file."""
    return lambda: fill(_read(path))


def _small(*names: str) -> dict[str, Any]:
    return {name: _read(f"{name}-small/summary.json") for name in names}


TABLES: dict[str, Callable[[], str]] = {
    "accuracy-fits": accuracy_fits,
    "left-out-depths": left_out_depths,
    "compressions": compressions,
    "convergence": convergence,
    "convergence-fits": convergence_fits,
    "demo": demo,
    "verdict-coverage": verdict_coverage,
    "isometry-fits": lambda: isometry_fits("isometry-mlp-mnist"),
    "isometry-gaps": lambda: isometry_gaps("isometry-mlp-mnist"),
    "isometry-theory": lambda: isometry_theory("isometry-mlp-mnist"),
    "isometry-cnn-fits": lambda: isometry_fits("isometry-cnn-cifar10"),
    "isometry-cnn-gaps": lambda: isometry_gaps("isometry-cnn-cifar10"),
    "isometry-cnn-theory": lambda: isometry_theory("isometry-cnn-cifar10"),
    **{name: filled_from("imagenet-published/summary.json", fill) for name, fill in imagenet_tables.TABLES.items()},
    **{name: filled_from(path, fill) for name, (path, fill) in any_model_tables.TABLES.items()},
    **{name: filled_from(path, fill) for name, (path, fill) in trust_tables.TABLES.items()},
    "headline-designs": lambda: design_tables.headline_designs(_read),
    "design-exactness": filled_from("benchmarks/design_exactness.json", design_tables.exactness),
    "design-speed": filled_from("benchmarks/design_speed.json", design_tables.speed),
    "design-peers": filled_from("benchmarks/design_peers.json", design_tables.peers),
    "latency-errors": lambda: design_tables.latency_errors(_read),
    "two-latency-tables": filled_from("benchmarks/two_latency_tables.json", design_tables.two_tables),
    "activation-memory": filled_from("benchmarks/latency_table_eager.json", design_tables.activation_memory),
    "cnn-cifar10-fits": filled_from("cnn-cifar10-small/summary.json", image_tables.fits),
    "cnn-cifar10-pairs": filled_from("cnn-cifar10-small/summary.json", image_tables.pairs),
    "cnn-cifar10-verdict": filled_from("cnn-cifar10-small/summary.json", image_tables.verdict),
    "addition-fits": lambda: image_tables.addition_fits(
        _small("resnet-cifar10", "mobilenet-cifar10", "resnet-imagenet")
    ),
    "compression-verdicts": lambda: image_tables.verdicts(_small("compress-cifar10", "mobilenet-imagenet")),
    "convergence-cifar10": lambda: image_tables.verdicts(_small("convergence-cifar10")),
    "decoding": filled_from("benchmarks/decoding.json", image_tables.decoding),
    "waiting": filled_from("benchmarks/decoding.json", image_tables.waiting),
    "training-throughput": filled_from("benchmarks/training_throughput_cpu.json", image_tables.throughput),
    "interval-coverage": interval_coverage,
    "lanczos": lanczos,
    "lanczos-coverage": lanczos_coverage,
    "isometry-spread": isometry_spread,
    "benchmarks": benchmarks,
}


def _fill(match: re.Match[str]) -> str:
    return f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}"


def _read(path: str) -> Any:
    return json.loads((ROOT / "results" / path).read_text())


if __name__ == "__main__":
    main()
