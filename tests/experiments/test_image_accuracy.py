import math
from dataclasses import replace

import numpy as np
import pytest

from nnmass import DenseCNN
from nnmass.data import Dataset
from nnmass.experiments import SCALES, STUDIES, AccuracyStudy, Size, image_accuracy, image_compression, macs_at
from nnmass.experiments.image_accuracy import unseen_error
from nnmass.prediction import Network, compare
from nnmass.sweeps import RunStore


def network(mass, accuracy, group, macs=1_000):
    return Network(mass, macs, macs, accuracy, 3, 0.01, group)


def test_unseen_groups_are_predicted_from_a_line_through_the_others():
    seen = [network(math.exp(x), 0.1 + 0.05 * x, "8") for x in (1.0, 2.0, 3.0)]
    rest = [network(math.exp(4), 0.3 + 0.03, "10"), network(math.exp(5), 0.35 - 0.04, "10")]
    assert unseen_error([*seen, *rest], ["10"], "nn_mass") == pytest.approx(math.sqrt((0.03**2 + 0.04**2) / 2))
    assert unseen_error(seen, ["10"], "nn_mass") is None
    assert unseen_error(rest, ["10"], "nn_mass") is None


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=240)
    pixels = rng.integers(0, 120, size=(240, 3, 16, 16))
    pixels[np.arange(240), labels] += 60
    return Dataset.from_arrays(pixels.astype(np.uint8), labels, name="noise")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_every_network_of_a_study_reads_its_data_and_has_a_mass(noise, name, scale):
    specs = STUDIES[name].networks(noise, scale)
    assert len(set(specs)) == len(specs)
    assert all(spec.input_shape == (3, 16, 16) and spec.num_classes == 3 and spec.nn_mass > 0 for spec in specs)
    if name.startswith("cnn-") and scale != "smoke":
        assert len(specs) >= 24


def test_pairs_and_verdict_follow_from_the_runs(noise, tmp_path):
    study = STUDIES["cnn-cifar10"]
    assert isinstance(study, AccuracyStudy)
    size = Size(epochs=2, seeds=2, image_size=8, recipe={"batch_size": 32, "learning_rate": 0.02})
    data = size.data(noise)
    store = RunStore(tmp_path / "runs.sqlite")
    specs = study.networks(data, "smoke")
    (outcome,) = image_accuracy(specs, data, store, size.config(), unseen=["10"], seeds=2, workers=1)
    assert outcome.runs == 2 * len(specs) == len(store.runs())
    by_params = sorted(specs, key=lambda spec: (spec.params, spec.nn_mass))
    assert [round(n.nn_mass, 6) for n in outcome.comparison.networks] == [round(s.nn_mass, 6) for s in by_params]
    for pair in outcome.pairs:
        assert pair.dear.macs >= 1.5 * pair.cheap.macs
        assert max(pair.dear.nn_mass, pair.cheap.nn_mass) <= 1.05 * min(pair.dear.nn_mass, pair.cheap.nn_mass)
    values = outcome.to_dict()
    assert values["unseen_errors"]["nn_mass"] == unseen_error(outcome.comparison.networks, ["10"], "nn_mass")
    assert len(values["verdict"]) == 4
    assert "parameters" in values["verdict"][0]
    assert "MACs" in values["verdict"][1]
    assert "Depths 10" in values["verdict"][2]
    (again,) = image_accuracy(specs, data, store, size.config(), unseen=["10"], seeds=2, workers=1)
    assert again.to_dict() == values
    for slope in (0.05, -0.05):
        line = [network(math.exp(x), 0.5 + slope * x, "8", macs=round(1_000 * x)) for x in (1.0, 2.0, 3.0, 4.0)]
        said = replace(outcome, comparison=compare(line)).verdict()
        assert ["accuracy falls where NN-Mass grows" in sentence for sentence in said[:2]] == [slope < 0] * 2


def test_networks_of_different_widths_are_compared_apart(noise, tmp_path):
    size = Size(epochs=1, seeds=2, image_size=8, train=60, recipe={"batch_size": 32})
    data = size.data(noise)
    specs = [
        DenseCNN(widths=widths, depth=depth, max_skips=2, image_size=8, num_classes=3)
        for widths in ((2, 3), (3, 4))
        for depth in (4, 5, 6)
    ]
    study = STUDIES["cnn-cifar10"]
    store = RunStore(tmp_path / "runs.sqlite")
    outcomes = image_accuracy(specs, data, store, size.config(), part=study.part, seeds=2, workers=1)
    assert [outcome.part for outcome in outcomes] == ["widths 2, 3", "widths 3, 4"]
    masses = [[network.nn_mass for network in outcome.comparison.networks] for outcome in outcomes]
    assert masses == [pytest.approx([spec.nn_mass for spec in part]) for part in (specs[:3], specs[3:])]
    assert [outcome.runs for outcome in outcomes] == [6, 6]


def test_a_compression_is_measured(noise, tmp_path):
    study = STUDIES["compress-cifar10"]
    size = Size(epochs=1, seeds=2, image_size=8, train=100, recipe={"batch_size": 32})
    data = size.data(noise)
    told = []

    class Bar:
        def __init__(self, title):
            told.append(title)

        def __enter__(self):
            return lambda done, total: None

        def __exit__(self, *_):
            return None

    outcome = image_compression(
        study.networks(data, "smoke"),
        data,
        RunStore(tmp_path / "runs.sqlite"),
        size.config(),
        Bar,
        keep_macs=0.62,
        seeds=2,
        workers=1,
    )
    (one,) = outcome.outcomes
    assert one.compression.spec.macs <= 0.62 * one.compression.reference.macs
    assert one.verification.seeds == 2
    assert outcome.to_dict()["verdict"][0].startswith("At 1.0")
    assert told[0] == "references and designed networks"


def test_the_cost_of_training_is_three_forward_passes_of_every_image(noise):
    specs = STUDIES["resnet-cifar10"].networks(noise, "smoke")
    size = Size(epochs=5, seeds=2, train=100)
    assert macs_at(specs, size, train=1_000) == 3 * 100 * 5 * 2 * sum(spec.macs for spec in specs)
    assert macs_at(specs, Size(epochs=5, seeds=2), train=10) == 3 * 10 * 5 * 2 * sum(spec.macs for spec in specs)
