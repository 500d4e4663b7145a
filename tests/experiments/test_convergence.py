import json
from dataclasses import replace

import numpy as np
import pytest

from nnmass import RunStore, TrainingConfig, load_data
from nnmass.errors import FitError, InvalidValueError
from nnmass.experiments import STUDIES, Convergence, LossCurve, convergence, convergence_grid, spread_of_means
from nnmass.prediction import QUANTITIES

CONFIG = TrainingConfig(epochs=2, batch_size=64)
ELSEWHERE = CONFIG.model_copy(update={"learning_rate": 1e-4})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return RunStore(tmp_path_factory.mktemp("convergence") / "runs.sqlite")


@pytest.fixture(scope="module")
def outcome(store):
    convergence(load_data("digits"), store, config=ELSEWHERE, seeds=2, workers=1)  # must not disturb
    return convergence(load_data("digits"), store, config=CONFIG, seeds=3, workers=1)


def with_losses(losses):
    """An outcome with these losses per network, seed and epoch."""
    grid = convergence_grid(load_data("digits"))
    curves = tuple(LossCurve(mass, spec, own) for (mass, spec), own in zip(grid, losses, strict=True) if own)
    return Convergence(curves, CONFIG, runs=30, diverged=0, left_out=15 - len(curves))


def test_networks_of_one_panel_have_nearly_one_mass_and_different_costs():
    grid = convergence_grid(load_data("digits"))
    assert [(mass, spec.depth) for mass, spec in grid] == [(m, d) for m in (10, 40, 120) for d in (16, 20, 24, 28, 32)]
    for mass, spec in grid:
        assert (spec.width, spec.in_features, spec.num_classes) == (8, 64, 10)
        neighbours = [spec.model_copy(update={"max_skips": spec.max_skips + step}) for step in (-1, 1)]
        assert all(abs(spec.nn_mass - mass) <= abs(other.nn_mass - mass) for other in neighbours)
        assert spec.nn_mass == pytest.approx(mass, rel=0.07)
    for mass in (10, 40, 120):
        params = [spec.params for m, spec in grid if m == mass]
        assert params == sorted(params)
        assert params[-1] > 1.7 * params[0]


def test_curves_are_those_of_the_store(store, outcome):
    assert (len(outcome.curves), outcome.runs, outcome.diverged, outcome.left_out) == (15, 45, 0, 0)
    rows = [row for row in store.runs() if row.training == CONFIG.model_dump_json()]
    for curve in outcome.curves:
        own = sorted((row for row in rows if row.specification == curve.spec), key=lambda row: row.seed)
        losses = np.array([json.loads(row.train_loss) for row in own])
        assert losses.shape == (3, 2)
        assert np.array_equal(curve.losses, losses)
        assert curve.mean == pytest.approx(losses.mean(0))
        assert curve.std == pytest.approx(losses.std(0, ddof=1))
        assert curve.mean_loss == pytest.approx(losses.mean(1))
        assert curve.final_loss == pytest.approx(losses[:, -1])


def test_spreads_compare_depths_at_equal_mass_and_masses_at_equal_depth(outcome):
    assert list(outcome.at_equal_mass) == [10, 40, 120]
    assert list(outcome.at_equal_depth) == [16, 20, 24, 28, 32]
    at_40 = [curve.final_loss for curve in outcome.curves if curve.target_mass == 40]
    assert outcome.at_equal_mass[40]["final_loss"] == spread_of_means(at_40)
    at_24 = [curve.mean_loss for curve in outcome.curves if curve.spec.depth == 24]
    assert outcome.at_equal_depth[24]["mean_loss"] == spread_of_means(at_24)


def test_fits_explain_the_logarithm_of_the_seed_mean(outcome):
    for measure in ("mean_loss", "final_loss"):
        y = np.log([np.mean(getattr(curve, measure)) for curve in outcome.curves])
        for quantity in QUANTITIES:
            x = np.log([getattr(curve.spec, quantity) for curve in outcome.curves])
            fit = outcome.fits[measure][quantity]
            assert fit.fit.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
            assert fit.fit.n == 15
            assert set(fit.group_errors) == {16, 20, 24, 28, 32}


def test_losses_that_follow_the_mass_alone_have_no_spread_but_between_masses():
    grid = convergence_grid(load_data("digits"))
    found = with_losses([tuple((2.0, s * 10 / mass) for s in (0.9, 1.0, 1.1)) for mass, _ in grid])
    for spreads in found.at_equal_mass.values():
        assert spreads["final_loss"].spread == pytest.approx(0)
    for spreads in found.at_equal_depth.values():
        assert spreads["final_loss"].spread == pytest.approx(1 - 10 / 120)
    assert found.fits["final_loss"]["nn_mass"].fit.r2 > 0.99
    assert found.fits["final_loss"]["nn_mass"].fit.slope == pytest.approx(-1, abs=0.03)
    assert found.fits["final_loss"]["params"].r2_lead > 0.1


def test_the_verdict_follows_from_the_numbers():
    grid = convergence_grid(load_data("digits"))
    by_mass = with_losses([tuple((2.0, s * 10 / mass) for s in (0.9, 1.0, 1.1)) for mass, _ in grid])
    spreads, *claims = by_mass.verdict()
    assert "differs between depths by 0.000, 0.000, 0.000, at 0 of 3 masses by more than seeds" in spreads
    assert len(claims) == 2
    assert all("loss, more than log" in claim and "15 networks" in claim for claim in claims)
    by_depth = with_losses([tuple((2.0, s / spec.depth) for s in (0.99, 1.0, 1.01)) for _, spec in grid])
    spreads, *claims = by_depth.verdict()
    assert "at 3 of 3 masses by more than seeds" in spreads
    assert all("loss, more than" not in claim for claim in claims)


@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_of_two_seeds_it_is_not_said_what_seeds_alone_would_make(spread):
    grid = convergence_grid(load_data("digits"))
    found = with_losses([tuple((2.0, s / spec.depth) for s in (1 - spread, 1 + spread)) for _, spec in grid])
    assert "masses by more than seeds" not in found.verdict()[0]
    assert "of fewer than 3 seeds it is not said whether" in found.verdict()[0]


def test_dense_cnns_of_equal_mass(tmp_path):
    study = STUDIES["convergence-cifar10"]
    size = study.sizes["smoke"]
    data = size.data(load_data("digits"))
    grid = study.grid(data, "smoke")
    for mass, spec in grid:
        assert spec.nn_mass == pytest.approx(mass, rel=0.25)
    assert study.networks(data, "smoke") == [spec for _, spec in grid]
    store = RunStore(tmp_path / "runs.sqlite")
    found = convergence(data, store, networks=grid, config=size.config(epochs=1), seeds=2, workers=1)
    assert [(curve.target_mass, curve.depth) for curve in found.curves] == [(m, spec.depth) for m, spec in grid]
    assert list(found.at_equal_depth) == [8, 10, 12]


def test_a_group_of_one_network_has_no_spread():
    losses = ((1.0, 0.9), (1.1, 0.7))
    found = with_losses([losses] + [()] * 4 + [tuple((k / 10, 0.5) for k in (j, j + 1)) for j in range(1, 11)])
    assert list(found.at_equal_mass) == [40, 120]
    assert found.left_out == 4


def test_plain_values_are_json(outcome):
    values = json.loads(json.dumps(outcome.to_dict(), allow_nan=False))
    assert values["runs"] == 45
    first = values["networks"][0]
    assert (first["target_mass"], first["depth"], first["max_skips"], first["seeds"]) == (10, 16, 5, 3)
    assert first["train_loss"]["mean"] == list(outcome.curves[0].mean)
    assert first["final_loss"]["mean"] == pytest.approx(first["train_loss"]["mean"][-1])
    assert values["at_equal_mass"]["10"]["mean_loss"]["networks"] == 5
    assert values["fits"]["mean_loss"]["macs"]["n"] == 15


def test_a_second_call_trains_nothing_and_finds_the_same(store, outcome):
    told = []
    again = convergence(
        load_data("digits"), store, config=CONFIG, seeds=3, workers=1, progress=lambda *counts: told.append(counts)
    )
    assert again == outcome
    assert set(told) == {(0, 0)}


def test_diverged_runs_are_excluded_and_counted(store, outcome, tmp_path):
    spoiled = RunStore(tmp_path / "runs.sqlite")
    worst, bad = outcome.curves[0].spec, outcome.curves[1].spec
    diverged = {"status": "diverged", "train_loss": "[2.3, null]", "test_accuracy": None}
    rows = [
        replace(row, **diverged) if row.specification == worst or (row.specification == bad and row.seed == 1) else row
        for row in store.runs()
    ]
    spoiled.add(rows)
    found = convergence(load_data("digits"), spoiled, config=CONFIG, seeds=3, workers=1)
    assert (found.runs, found.diverged, found.left_out) == (45, 4, 1)
    assert worst not in [curve.spec for curve in found.curves]
    assert found.curves[0].losses == outcome.curves[1].losses[::2]
    assert found.at_equal_mass[10]["mean_loss"].networks == 4
    assert found.fits["mean_loss"]["params"].fit.n == 14


def test_where_all_diverge_there_is_nothing_to_say(tmp_path):
    config = TrainingConfig(epochs=1, batch_size=512, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(FitError, match="at least 3 networks, got 0"):
        convergence(load_data("digits"), RunStore(tmp_path / "runs.sqlite"), config=config, seeds=2, workers=1)


def test_one_seed_is_too_few(tmp_path):
    with pytest.raises(InvalidValueError, match="seeds must be at least 2 for a spread over seeds, got 1"):
        convergence(load_data("digits"), RunStore(tmp_path / "runs.sqlite"), config=CONFIG, seeds=1)
