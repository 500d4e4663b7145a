"""Calls of the command line, drawn at random: sensible ones, with options and files that are not."""

import random
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.models import OptionInfo

from fuzz_files import SPECIFICATIONS, damaged
from nnmass.cli.parameters import Parameter, all_parameters
from nnmass.cli.ranges import Range, count

SPECS = tuple(f"{name}.json" for name in SPECIFICATIONS)
MODELS = (
    *SPECS,
    "model.onnx",
    "model.pt2",
    *(
        f"models.py:{name}"
        for name in ("Net", "grey", "recurrent", "words", "half", "scripted", "broken", "needs", "text", "none")
    ),
    "timm:resnet18",
    "timm:no_such_model",
    "torchvision:squeezenet1_0",
    "nowhere:x",
)
NAMED = ("mnist", "cifar10")
"""Data sets that are named, and found below a folder."""
DATA = ("digits", "data.npz", "images", "parquet", "shards", "mnist", "cifar10", "linear", "circle")
FAMILIES = ("DenseMLP", "DenseCNN", "MobileNetV2", "ResNet", "CifarResNet", "WideResNet", "space.json")
TEXTS = (
    "",
    "x",
    "nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "9" * 5000,
    "\x1b[2J",
    "[/b]",
    "$\\frac{$",
    "../x",
    "\ud800",
    "-",
    "a\nb",
)
FEW = {
    "epochs": ("1",),
    "seeds": ("1", "2"),
    "batch_size": ("8", "1000000"),
    "workers": ("1", "2"),
    "initialisations": ("1", "2"),
    "inputs": ("1", "8"),
    "probes": ("1", "4"),
    "steps": ("2", "9"),
    "image_size": ("8", "32", "33", "1"),
    "top": ("1", "3"),
    "seconds": ("0.001",),
    "time_limit": ("0.001", "2"),
    "batch": ("1", "3"),
    "threads": ("1", "2"),
    "cpus_per_trial": ("1",),
    "gpus_per_trial": ("0",),
    "segments": ("2", "20"),
}
"""Sensible values of options that decide how long a call takes; elsewhere any value of the range is."""
_NOT_DRAWN = {
    ("sweep", "engine"),  # Ray and compilers take minutes to start
    ("sweep", "address"),
    ("bench", "engine"),
    ("design", "latency"),  # the blocks of a family's whole space take minutes to measure; see _design
    ("compress", "latency"),
}


def draw_call(draw: random.Random, files: Path, folder: Path) -> list[str]:
    """Draw the arguments of one call; damaged files go to ``folder``."""
    command = draw.choice(tuple(_BASES))
    arguments = [command, *_BASES[command](draw)]
    options = [p for p in all_parameters() if p.command == command and isinstance(p.info, OptionInfo)]
    for option in draw.sample(options, draw.choice((0, 0, 1, 1, 2, 3))):
        if (command, option.name) not in _NOT_DRAWN:
            arguments += _given(option, draw)
    if draw.random() < 0.1:
        arguments.append(draw.choice(("--no-such-option", *TEXTS)))
    if draw.random() < 0.05:
        arguments.pop(draw.randrange(1, len(arguments)) if len(arguments) > 1 else 0)
    return [_placed(text, draw, files, folder) for text in arguments]


def _placed(text: str, draw: random.Random, files: Path, folder: Path) -> str:
    """Put files that are named in their place; some are damaged."""
    name, colon, rest = text.partition(":")
    if text.endswith("/..") and name[:-3] in NAMED:
        name, rest = name[:-3], "/.."
    elif name in NAMED:
        return text
    source = files / name
    if not name.strip("./") or "/" in name or not name.isprintable() or len(name) > 100 or not source.exists():
        return text
    if draw.random() < 0.25:
        target = folder / f"{draw.randrange(10**6)}" / name
        target.parent.mkdir(parents=True)
        source = damaged(source, target, draw)
    return f"{source}{colon}{rest}"


def _given(option: Parameter, draw: random.Random) -> list[str]:
    if bool in (option.kind, *typing.get_args(option.kind)):
        return [option.flag]
    return [option.flag, draw.choice(TEXTS) if draw.random() < 0.25 else _sensible(option, draw)]


def _sensible(option: Parameter, draw: random.Random) -> str:
    parser = option.info.parser
    if option.name in FEW:
        return draw.choice(FEW[option.name])
    if isinstance(parser, Range):
        drawn = draw.choice((parser.low, parser.high, draw.uniform(parser.low, min(parser.high, 100))))
        return str(int(drawn)) if parser.whole else repr(float(drawn))
    if parser is count:
        return draw.choice(("1", "1k", "50k", "2.5M", "1G"))
    choices = _choices(option.kind)
    return draw.choice(choices or _BY_NAME.get(option.name, TEXTS))


def _choices(kind: Any) -> Sequence[str]:
    found = []
    for part in (kind, *typing.get_args(kind)):
        if typing.get_origin(part) is typing.Literal:
            found += typing.get_args(part)
        elif isinstance(part, type) and hasattr(part, "__members__"):
            found += [member.value for member in part]
    return found


_BY_NAME: dict[str, Sequence[str]] = {
    "data": DATA,
    "input_size": ("1,3,16,16", "2,3,8,8", "1,1,8,8", "1,64", "1,12:int", "2,7,6", "1,3,1000000000,1000000000", "0,3"),
    "graph": ("graph.svg", "graph.png", "graph.gif", "missing/graph.svg"),
    "plot": ("plot.png", "plot.pdf", "plot"),
    "out": ("out", "recipe.json", "/proc/out", "a/b/c"),
    "to": ("to", "recipe.json"),
    "store": ("store.sqlite", "runs.sqlite", "latency.sqlite"),
    "table": ("table.sqlite", "latency.sqlite", "runs.sqlite"),
    "latency": ("latency.sqlite", "runs.sqlite"),
    "fit": ("runs.sqlite", "latency.sqlite"),
    "recipe": ("recipe.json", "space.json"),
    "weights": ("weights.safetensors", "model.onnx", "pickled.pt"),
    "results": ("top1.csv", "data.npz"),
    "csv": ("rank.csv", "missing/rank.csv"),
    "export": ("runs.csv", "runs.parquet", "runs.txt"),
    "mass_of": SPECS,
    "reference": SPECS,
    "base": SPECS,
    "space": FAMILIES,
    "init": ("he", "orthogonal", "gaussian:0.2", "gaussian:1e300", "gaussian:1e-300", "gaussian:nan", "gaussian:"),
    "device": ("cpu", "cuda", "mps", "xla", "meta", "cuda:7", "cpu:1"),
    "optimizer": ("adam", "sgd", "timm:lamb", "timm:none"),
    "schedule": ("constant", "cosine", "timm:step"),
    "augment": ("none", "crop-flip"),
    "formats": ("json", "code", "json,safetensors", "pt3"),
    "write_space": ("written.json", "recipe.json", "missing/space.json", "/proc/space.json"),
    "vary": (
        "depth=5,6",
        "max_skips=1",
        "width=" + "9" * 5000,
        "depth=" + "[" * 10_000,
        "depth",
        "=1",
        "x=1",
        "depth=0",
    ),
    "data_root": (".", "images", "mnist"),
}


def _sources(draw: random.Random) -> list[str]:
    source = draw.choice(MODELS)
    if source.endswith((":Net", ":scripted", ":half")):
        return [source, "--input-size", "1,3,16,16"]
    return (
        [
            source,
            "--input-size",
            {"grey": "1,1,8,8", "recurrent": "2,7,6", "words": "1,12:int"}.get(source.split(":")[-1], "1,3,32,32"),
        ]
        if ".py" in source
        else [source]
    )


def _spec(draw: random.Random) -> list[str]:
    return [draw.choice(SPECS)]


def _training(draw: random.Random) -> tuple[str, list[str]]:
    """A specification and data, which mostly fit one another."""
    fitting = (("mlp.json", "digits"), ("cnn.json", "data.npz"), ("cifar.json", "cifar10"), ("grey.json", "mnist"))
    spec, data = draw.choice((*fitting, *(("colour.json", name) for name in ("images", "parquet", "shards"))))
    if draw.random() < 0.2:
        spec, data = draw.choice(SPECS), draw.choice(DATA)
    named = ["--data-root", f"{data}/.."] if data in NAMED else []
    return spec, ["--epochs", "1", "--data", data, *named]


def _train(draw: random.Random) -> list[str]:
    spec, options = _training(draw)
    streamed = "shards" in options or (spec == "colour.json" and draw.random() < 0.5)
    return [spec, *options, *(["--stream"] if streamed else [])]


def _sweep(draw: random.Random) -> list[str]:
    spec, options = _training(draw)
    return ["--base", spec, "--store", "new.sqlite", "--workers", "1", "--seeds", "1", *options]


def _design(draw: random.Random) -> list[str]:
    if draw.random() < 0.1:
        return ["space.json", "--latency", "latency.sqlite"]
    budgets = ([], ["--max-macs", "1G"], ["--max-params", "1M"], ["--front", "macs", "--max-macs", "20M"])
    return [draw.choice(FAMILIES), *draw.choice(budgets)]


_BASES: dict[str, Any] = {
    "analyze": _sources,
    "rank": lambda draw: [*draw.sample(MODELS, 2), "--workers", "1", *draw.choice(([], ["--csv", "rank.csv"]))],
    "design": _design,
    "compress": lambda draw: [draw.choice(MODELS), *draw.choice(([], ["--keep-macs", "0.6"], ["--max-params", "3k"]))],
    "bench": lambda draw: [*_sources(draw)[:1], "--seconds", "0.001", "--threads", "1"],
    "export": lambda draw: draw.choice(
        (
            [*_spec(draw), "--format", draw.choice(("json", "code", "safetensors", "json,code"))],
            [*_sources(draw), "--format", draw.choice(("safetensors", "pt2", "onnx"))],
        )
    ),
    "isometry": lambda draw: draw.choice(
        (
            [*_spec(draw), "--inputs", "2", "--initialisations", "1", "--steps", "3"],
            [*_sources(draw), "--inputs", "2", "--steps", "3"],
        )
    ),
    "train": _train,
    "sweep": _sweep,
    "fit": lambda draw: [draw.choice(("runs.sqlite", "latency.sqlite", "none.sqlite"))],
    "reproduce": lambda draw: [draw.choice(("list", "nothing", "imagenet-published"))],
}
