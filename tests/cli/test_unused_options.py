"""Every option of design and compress either changes a call or is refused by it, whatever the mode."""

import inspect

import pytest

from nnmass import CifarResNet, DenseMLP, MobileNetV2, ResNet
from nnmass.cli.compress import compress
from nnmass.cli.design import design

MLP = DenseMLP(width=8, depth=24, max_skips=20, in_features=64)
NOWHERE = "nowhere.sqlite"


def options_of(command) -> set[str]:
    return set(inspect.signature(command).parameters) - {"context", "space", "big", "reference"}


def flag(name: str) -> str:
    return {"as_json": "--json"}.get(name, "--" + name.replace("_", "-"))


def written(name: str, value: object) -> tuple[object, ...]:
    return (flag(name),) if value is True else (flag(name), value)


# What to give for every option so that a call which uses it comes out differently.
DESIGN = {
    "image_size": 16,
    "classes": 5,
    "in_features": 30,
    "write_space": "written.json",
    "max_params": "2k",
    "max_macs": "2k",
    "max_latency_ms": 5,
    "max_activation": 400,
    "min_mass": 20,
    "max_mass": 15,
    "mass_of": "MASS_OF",
    "tolerance": 0.3,
    "objective": "params",
    "top": 3,
    "diversity": 0.6,
    "front": "macs",
    "latency": NOWHERE,
    "engine": "eager",
    "other_device": True,
    "fit": NOWHERE,
    "fit_only": "width=8",
    "outside_domain": True,
    "time_limit": 1e-6,
    "out": "OUT",
    "as_json": True,
}
DESIGN_MODES = {
    "one network": ((), {"image_size", "tolerance", "diversity", "engine", "other_device", "fit_only"}),
    "several networks": (
        ("--top", 4),
        {"image_size", "write_space", "tolerance", "engine", "other_device", "fit_only", "top"},
    ),
    "the mass of another": (
        ("--mass-of", "MASS_OF"),
        {"image_size", "write_space", "diversity", "engine", "other_device", "fit_only"},
    ),
    "a space is written": (("--write-space", "written.json"), set(DESIGN) - {"classes", "in_features", "write_space"}),
    "front": (
        ("--front", "macs"),
        {"tolerance", "objective", "top", "diversity", "fit", "time_limit", "engine", "other_device", "fit_only"}
        | {"image_size", "write_space"},
    ),
    "front of a mass": (
        ("--front", "params", "--mass-of", "MASS_OF", "--tolerance", 0.4),
        {
            "objective",
            "top",
            "diversity",
            "fit",
            "time_limit",
            "engine",
            "other_device",
            "fit_only",
            "image_size",
            "write_space",
        },
    ),
}
COMPRESS = {
    "data": "digits",
    "max_params": "5k",
    "max_macs": "4k",
    "max_latency_ms": 5,
    "keep_macs": 0.9,
    "keep_params": 0.9,
    "objective": "params",
    "between": 2,
    "tolerance": 0.1,
    "min_depth": 20,
    "max_density": 0.2,
    "cell_tolerance": 0.0,
    "stage_tolerance": 0.9,
    "inner_tolerance": 0.9,
    "latency": NOWHERE,
    "engine": "eager",
    "other_device": True,
    "input_size": "1,3,8,8",
    "image_size": 8,
    "time_limit": 1e-6,
    "verify": True,
    "calibrate": True,
    "out": "OUT",
    "seeds": 3,
    "epochs": 2,
    "batch_size": 8,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "schedule": "cosine",
    "augment": "none",
    "recipe": "recipe.json",
    "workers": 1,
    "data_root": ".",
    "segments": 10,
    "as_json": True,
}
TRAINING = {
    "seeds",
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "augment",
    "recipe",
    "workers",
    "segments",
    "data_root",
    "verify",
    "calibrate",
}
LATENCY = {"engine", "other_device"}
CELLS = {"min_depth", "max_density", "cell_tolerance"}
COMPRESS_MODES = {
    "MLP": (MLP, (), TRAINING | LATENCY | {"stage_tolerance", "inner_tolerance"}),
    "basic blocks": (
        CifarResNet(layers=(3, 4, 3), image_size=16),
        (),
        TRAINING | LATENCY | CELLS | {"inner_tolerance", "data"},
    ),
    "bottlenecks": (ResNet.of_depth(50), ("--between", 0), TRAINING | LATENCY | CELLS | {"data"}),
    "digits": (MLP, ("--data", "digits"), {"segments", "data_root"} | LATENCY | {"stage_tolerance", "inner_tolerance"}),
    "digits, nothing trained": (
        MLP,
        ("--data", "digits", "--no-calibrate"),
        (TRAINING - {"verify", "calibrate"}) | LATENCY | {"data", "stage_tolerance", "inner_tolerance"},
    ),
}


def test_the_tables_hold_every_option():
    assert set(DESIGN) == options_of(design)
    assert set(COMPRESS) == options_of(compress)


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """Puts files in place of names."""
    monkeypatch.chdir(tmp_path)
    files = {"MASS_OF": DenseMLP(width=8, depth=16, max_skips=9, in_features=64).to_json(tmp_path / "other.json")}

    def fill(arguments):
        return [files.get(part, tmp_path / "out" if part == "OUT" else part) for part in arguments]

    return fill


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.json"
    path.write_text('{"family": "DenseMLP", "width": 8, "depth": {"min": 8, "max": 24}, "in_features": 64}')
    return path


@pytest.mark.parametrize(
    ("mode", "option"), [(mode, option) for mode, (_, refused) in DESIGN_MODES.items() for option in sorted(refused)]
)
def test_design_refuses_what_it_does_not_use(nnmass, filled, space, mode, option):
    base, _ = DESIGN_MODES[mode]
    value = 1 if (mode, option) == ("several networks", "top") else DESIGN[option]
    given = () if option == "top" and mode == "several networks" else base
    extra = ("--diversity", 0.3) if given != base else ()
    result = nnmass("design", space, *filled(given), *filled(written(option, value)), *extra)
    assert result.code == 2, result.out
    assert result.err.count("\n") == 1
    assert (flag(option) if given == base else "--diversity") in result.err or option == "write_space"


@pytest.mark.parametrize("mode", DESIGN_MODES)
@pytest.mark.parametrize("option", DESIGN)
def test_what_design_does_not_refuse_changes_the_call(nnmass, filled, space, mode, option):
    base, refused = DESIGN_MODES[mode]
    if option in refused or flag(option) in base or "--write-space" in base:
        return
    source = space
    if option == "time_limit":
        source, base = "MobileNetV2", (*base, "--max-macs", "300M")
    if option == "outside_domain":
        source.write_text('{"family": "DenseMLP", "width": 8, "depth": {"min": 4, "max": 24}, "in_features": 64}')
    plain = nnmass("design", source, *filled(base), *([] if option == "as_json" else ["--json"]))
    given = nnmass("design", source, *filled(base), *filled(written(option, DESIGN[option])), "--json")
    assert (plain.code, bare(plain)) != (given.code, bare(given)) or (filled(["OUT"])[0].exists() and option == "out")
    assert given.code in (0, 1, 2)
    assert not given.code or given.err.count("\n") == 1


def bare(result):
    """What a call came to, without the moment it was made at."""
    if result.code or not result.out.startswith("{"):
        return result.out or result.err
    values = result.json()
    values.pop("provenance")
    return values


@pytest.mark.parametrize(
    ("mode", "option"),
    [(mode, option) for mode, (_, _, refused) in COMPRESS_MODES.items() for option in sorted(refused)],
)
def test_compress_refuses_what_it_does_not_use(nnmass, filled, tmp_path, mode, option):
    spec, base, _ = COMPRESS_MODES[mode]
    path = spec.to_json(tmp_path / "spec.json")
    given = () if "--data" in base and option == "data" else written(option, COMPRESS[option])
    result = nnmass("compress", path, *base, *given, "--out", tmp_path / "out")
    assert result.code == 2, result.out
    assert result.err.count("\n") == 1
    assert flag(option) in result.err or "--data" in base
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["MLP", "basic blocks", "bottlenecks"])
@pytest.mark.parametrize("option", COMPRESS)
def test_what_compress_does_not_refuse_changes_the_call(nnmass, filled, tmp_path, mode, option):
    spec, base, refused = COMPRESS_MODES[mode]
    if option in refused or option in ("data", "out", "as_json") or flag(option) in base:
        return
    spec = MobileNetV2(image_size=64) if option in ("time_limit", "between") else spec
    path, out = spec.to_json(tmp_path / "spec.json"), tmp_path / "out"
    value = {"max_params": spec.params // 2, "max_macs": spec.macs * 3 // 4}.get(option, COMPRESS[option])
    plain = nnmass("compress", path, *base, "--out", out, "--json")
    given = nnmass("compress", path, *base, *written(option, value), "--out", out, "--json")
    assert (plain.code, bare(plain)) != (given.code, bare(given))
    assert not given.code or given.err.count("\n") == 1


@pytest.mark.parametrize("command", ["design", "compress"])
def test_a_model_of_one_channel_says_its_input(nnmass, tmp_path, command):
    source = tmp_path / "own.py"
    source.write_text(
        "import torch\nfrom nnmass import CifarResNet\n"
        "def small():\n    net = CifarResNet(layers=(2, 3, 2), in_channels=1, image_size=16).build(seed=0)\n"
        "    return torch.nn.Sequential(net)\n"
    )
    name = f"{source}:small"
    if command == "design":
        result = nnmass("design", "cifarresnet", "--mass-of", f"{source}:small", "--max-macs", "1G")
        assert result.code == 1
        assert "does not say the size of its input" in result.err
        return
    refused = nnmass("compress", name, "--out", tmp_path / "out")
    assert refused.code == 1
    assert "does not say the size of its input" in refused.err
    found = nnmass("compress", name, "--input-size", "1,1,16,16", "--out", tmp_path / "out", "--json")
    assert found.code == 0, found.err
    assert found.json()["compressed"]["in_channels"] == 1
    both = nnmass("compress", name, "--input-size", "1,1,16,16", "--image-size", 16, "--out", tmp_path / "out")
    assert both.code == 1
    assert "give sizes of the inputs or an image size, not both" in both.err


def test_a_front_says_how_many_of_its_networks_are_shown(nnmass, tmp_path):
    shown = nnmass("design", "mobilenetv2", "--front", "macs", "--max-macs", "250M", "--out", tmp_path / "out")
    everything = nnmass("design", "MobileNetV2", "--front", "macs", "--max-macs", "250M", "--json").json()["front"]
    assert f"40 of {len(everything)} networks are shown, evenly spread; --out and --json hold all." in shown.out
    masses = [row["nn_mass"] for row in everything]
    cut = ("--min-mass", masses[5], "--max-mass", masses[9])
    part = nnmass("design", "MobileNetV2", "--front", "macs", "--max-macs", "250M", *cut, "--json").json()["front"]
    assert [row["nn_mass"] for row in part] == masses[5:10]


def test_an_impossible_budget_of_a_front_says_what_is_feasible(nnmass):
    result = nnmass("design", "ResNet", "--front", "params", "--max-macs", "10M", "--max-params", "1k")
    assert result.code == 1
    assert "no network of the space has at most 1,000 params and at most 10,000,000 MACs" in result.err


def test_a_compression_shows_what_lies_in_between_and_where_it_was_looked_for(nnmass, tmp_path):
    path = ResNet(block="bottleneck", layers=(3, 4, 6, 3), width_per_group=128).to_json(tmp_path / "wide.json")
    result = nnmass("compress", path, "--keep-macs", 0.9, "--out", tmp_path / "out")
    assert result.code == 0, result.err
    assert "Of the same NN-Mass, in between" in result.out
    assert "width per group 96 … 128" in result.out
    assert "comes nearest to the budget of MACs, from below" in result.out
    assert "In between" in (tmp_path / "out" / "report.html").read_text()
