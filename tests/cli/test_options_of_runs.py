"""Every option of these commands, in every mode: it is used, or refused by its name."""

import re

import pytest

from nnmass.cli.parameters import all_parameters

SPEC = "nowhere.json"
ROOT = ("--data-root", "nowhere")
MODES = {
    "train": {
        ("train", SPEC): {"workers", "data_root", "segments", "stream"},
        ("train", SPEC, "--data", "linear"): {"workers", "data_root", "stream"},
        ("train", SPEC, "--data", "folder"): {"workers", "segments", "stream"},
        ("train", SPEC, "--data", "folder", "--stream"): {"segments"},
    },
    "sweep": {
        ("sweep", "--base", SPEC, "--store", "s"): {"address", "cpus_per_trial", "gpus_per_trial"}
        | {"segments", "data_root", "engine"},
        ("sweep", "--base", SPEC, "--store", "s", "--data", "circle", "--engine", "ray"): {"data_root"},
    },
    "fit": {
        ("fit", "nowhere.sqlite"): {"level", "extrapolate", "predict"},
        ("fit", "nowhere.sqlite", "--predict", "40"): set(),
    },
    "bench": {
        ("bench", SPEC): {"space", "input_size"},
        ("bench", "--space", SPEC, "--table", "t"): {"input_size", "image_size"},
    },
    "reproduce": {
        ("reproduce", "list"): {"scale", "data", "out", "seeds", "epochs", "data_root", "segments", "workers"},
        ("reproduce", "imagenet-published", *ROOT): {"scale", "data", "seeds", "epochs", "segments"},
        ("reproduce", "isometry-mlp", "--data", "nowhere"): {"epochs", "workers", "segments", "scale"},
        ("reproduce", "isometry-cnn", "--data", "nowhere"): {"epochs", "workers", "segments", "scale"},
        ("reproduce", "mlp-accuracy", "--data", "nowhere"): {"segments", "scale"},
        ("reproduce", "convergence", "--data", "nowhere"): {"segments", "scale"},
        ("reproduce", "cnn-cifar10", "--data", "nowhere"): {"segments"},
        ("reproduce", "mlp-compression", "--data", "digits", "--scale", "smoke"): {"segments", "data_root"},
    },
}
"""Of each command calls that soon end, and what they do not use, or use only with another option."""
WITH_ANOTHER = {("train", "stream"), ("sweep", "engine"), ("fit", "predict"), ("reproduce", "mlp-compression")}
"""Options that change the mode, and a call that does not end soon."""
VALUES = {
    "data": "other", "out": "out", "tensorboard": None, "stream": None, "as_json": None, "extrapolate": None,
    "data_root": "nowhere", "segments": 5, "seed": 1, "seeds": 3, "epochs": 1, "batch_size": 8, "optimizer": "sgd",
    "learning_rate": 0.1, "schedule": "cosine", "augment": "none", "recipe": "nowhere.json", "device": "cpu",
    "workers": 1, "vary": "depth=4", "engine": None, "address": "127.0.0.1:1", "cpus_per_trial": 1, "gpus_per_trial": 0,
    "export": "runs.csv", "predict": 40, "level": 0.9, "plot": "fit.png", "scale": "full", "space": "MobileNetV2",
    "threads": 1, "batch": 1, "table": "table", "seconds": 1, "input_size": "1,3,8,8", "image_size": 8,
    "only": "width=8",
}  # fmt: skip
CALLS = [
    (command, call, parameter.name, parameter.flag, unused)
    for command, modes in MODES.items()
    for call, unused in modes.items()
    for parameter in all_parameters()
    if parameter.command == command and parameter.flag.startswith("--") and parameter.flag not in call
    if parameter.name not in {"base", "store", "model", "spec", "experiment"}
    if (command, parameter.name) not in WITH_ANOTHER
    if (command, call[1]) not in WITH_ANOTHER or parameter.name in unused
]


@pytest.mark.parametrize(
    ("command", "call", "name", "flag", "unused"), CALLS, ids=[" ".join((*call, flag)) for _, call, _, flag, _ in CALLS]
)
def test_an_option_is_used_or_refused(nnmass, tmp_path, monkeypatch, command, call, name, flag, unused):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNMASS_DATA", raising=False)
    value = VALUES[name] if name != "engine" else "eager"
    result = nnmass(*call, flag, *(() if value is None else (value,)))
    refused = result.code in (1, 2) and re.search(r"is for |only works with|needs none|of [\w-]+ is smoke", result.err)
    if name in unused:
        assert result.code == 2 or "input" in name or name == "space", result.err
        assert flag in result.err or "MODEL, or a --space" in result.err or "knows the size" in result.err
        assert result.err.count("\n") == 1
    else:
        assert not refused, result.err
