from dataclasses import replace

import numpy as np
import pytest

from nnmass.experiments import IsometryRow
from nnmass.experiments.isometry_analysis import conditions, equal_mass_gaps, fit_curve


def row(depth, mass, mean, **changes):
    values = {
        "degree": 8 + mass / 2,
        "density": mass / depth / 8,
        "params": int(depth * mass),
        "macs": int(depth * mass),
    }
    values |= {"mean": mean, "standard_error": 0.01, "std": 0.1, "error": 0.0, "all_mean": mean + 1}
    values |= {"all_standard_error": 0.01, "expected": 1.1 * mean, "all_expected": mean + 1, "short_form": 0.8 * mean}
    return IsometryRow("he", "elu", depth, 3, mass, **(values | changes))


def test_r2_by_hand():
    x = np.arange(6.0)
    fit = fit_curve(x, x**3 - x, [0, 0, 1, 1, 2, 2])
    assert fit.cubic_r2 == pytest.approx(1)
    assert fit.line_r2 == pytest.approx(np.corrcoef(x, x**3 - x)[0, 1] ** 2)
    assert fit.left_out_depth_error == pytest.approx(0, abs=1e-9)
    assert fit.cubic_r2_interval == pytest.approx((1, 1))


def test_intervals_hold_the_fit_and_are_the_same_every_time():
    generator = np.random.default_rng(0)
    x = np.linspace(0, 3, 30)
    y = x + generator.normal(size=30)
    one, two = (fit_curve(x, y, [k % 3 for k in range(30)]) for _ in range(2))
    assert one == two
    assert one.cubic_r2_interval[0] < one.cubic_r2 < one.cubic_r2_interval[1]
    assert one.left_out_depth_error > 0.1


def test_gaps_compare_depths_where_all_have_been_measured():
    rows = [row(16, mass, np.log(mass)) for mass in (1, 10, 100)]
    rows += [row(32, mass, 1.2 * np.log(mass)) for mass in (5, 50, 500)]
    gaps = equal_mass_gaps(rows, "mean", count=3)
    assert list(gaps) == pytest.approx([5, np.sqrt(500), 100])
    assert list(gaps.values()) == pytest.approx([0.2 / 1.1] * 3)


def test_conditions_group_and_compare_with_theory():
    rows = [row(depth, mass, np.log(mass)) for depth in (16, 32) for mass in (5, 10, 20, 40)]
    other = [replace(r, init="default") for r in rows]
    found = conditions([*rows, *other])
    assert [condition.name for condition in found] == ["he, elu", "default, elu"]
    first = found[0]
    assert first.theory["mean"].mean == pytest.approx(0.1)
    assert first.theory["mean"].bias == pytest.approx(0.1)
    assert first.theory["all_mean"].largest == pytest.approx(0)
    assert first.short_form.bias == pytest.approx(-0.2)
    assert first.fits["mean"]["nn_mass"].line_r2 == pytest.approx(1)
    assert first.fits["mean"]["params"].line_r2 < 0.9
    assert list(first.gaps["mean"].values()) == pytest.approx([0] * 4)
    values = first.to_dict()
    assert values["networks"] == 8
    assert set(values["fits"]["all_mean"]) == {"nn_mass", "degree", "density", "params", "macs"}
