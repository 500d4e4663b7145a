"""Spaces that are too large, or whose file is hostile, are refused in one short line, at once."""

import json
import os
import time

import pytest

from nnmass.designing import default_space, design, load_space, pareto_front, space_from_dict
from nnmass.errors import InvalidValueError, NNMassError, ResourceError, SpaceError

HUGE = {"min": 1, "max": 10**9}
STAGE = {"expansion": [6], "channels": [16], "repeats": [1, 2], "stride": 1}
TOO_LARGE = {
    "widths of an MLP": ({"family": "DenseMLP", "width": HUGE}, "a choice among 1,000,000,000 values: at most 100,000"),
    "depths of an MLP": (
        {"family": "DenseMLP", "depth": {"min": 8, "max": 10**9}},
        "a choice among 999,999,993 values",
    ),
    "pairs of an MLP": (
        {"family": "DenseMLP", "width": {"min": 1, "max": 50_000}, "depth": {"min": 8, "max": 50_000}},
        "make 2,499,650,000 pairs: at most 5,000,000",
    ),
    "links of an MLP": (
        {"family": "DenseMLP", "width": 10**6, "depth": 10**6},
        "at most 9,007,199,254,740,992 is exact",
    ),
    "skips": ({"family": "DenseMLP", "max_skips": 10**30}, "max_skips.0 should be less than or equal to"),
    "widths of a CNN": ({"family": "DenseCNN", "widths": [HUGE, 64]}, "a choice among 1,000,000,000 values"),
    "one width of a CNN": ({"family": "DenseCNN", "widths": [10**6]}, "its largest network would cost about"),
    "pairs of a CNN": ({"family": "DenseCNN", "widths": [{"min": 1, "max": 10_000}] * 3}, "pairs: at most 5,000,000"),
    "cells": ({"family": "DenseCNN", "widths": [32] * 100_000}, "should have at most 64 items"),
    "pixels": ({"family": "DenseCNN", "image_size": 10**6}, "its largest network would cost about"),
    "repeats": ({"family": "MobileNetV2", "stages": [STAGE | {"repeats": HUGE}]}, "a choice among 1,000,000,000"),
    "channels": (
        {"family": "MobileNetV2", "stages": [STAGE | {"channels": {"min": 1, "max": 5_000}}] * 3},
        "ways from what enters a stage to what leaves it: at most 20,000",
    ),
    "stages": ({"family": "MobileNetV2", "stages": [STAGE] * 20_000}, "should have at most 64 items"),
    "layers": ({"family": "ResNet", "layers": [HUGE] * 4}, "a choice among 1,000,000,000 values"),
    "planes": (
        {"family": "ResNet", "layers": [[1, 2]] * 4, "planes": [{"min": 1, "max": 20_000}] * 4},
        "pairs: at most 5,000,000",
    ),
    "inner widths": ({"family": "ResNet", "width_per_group": {"min": 32, "max": 50_000}}, "pairs: at most 5,000,000"),
    "widths": ({"family": "CifarResNet", "widths": [16, {"min": 16, "max": 20_000}, 20_000]}, "ways from|cost about"),
    "depths": ({"family": "WideResNet", "depth": {"min": 10, "max": 10**9, "step": 6}}, "a choice among 166,666,666"),
    "blocks": ({"family": "WideResNet", "depth": {"min": 10, "max": 500_000, "step": 6}}, "blocks together: at most"),
}


def refused_at_once(make, error, message):
    start = time.process_time()
    with pytest.raises(error, match=message) as caught:
        make()
    assert time.process_time() - start < 2
    assert len(str(caught.value)) < 1_000
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_too_large_is_refused_at_once(name):
    values, message = TOO_LARGE[name]
    refused_at_once(lambda: space_from_dict(values), SpaceError, message)


def test_what_is_large_but_in_closed_form_is_answered():
    found = design(space_from_dict({"family": "DenseMLP", "depth": 10**6}), outside_domain=True)
    assert found.certificate.space_size == 4_422_285
    wide = space_from_dict({"family": "DenseMLP", "width": 10**6})
    refused_at_once(lambda: pareto_front(wide), ResourceError, "has 1,086,978,251 options of its cells")
    assert design(wide, min_mass=10**6, objective="macs", outside_domain=True).optimal


HOSTILE = {
    "nested": ("[" * 10_000 + "]" * 10_000, "not JSON"),
    "nested value": ('{"family": "DenseMLP", "width": ' + "[" * 10_000 + "]" * 10_000 + "}", "not JSON"),
    "nested object": ('{"family": "DenseMLP", "width": ' + '{"min": ' * 900 + "1" + "}" * 900 + "}", "width"),
    "digits": ('{"family": "DenseMLP", "width": ' + "9" * 5_000 + "}", "not JSON .*4300 digits"),
    "fewer digits": ('{"family": "DenseMLP", "width": ' + "9" * 4_000 + "}", "got a whole number of 4,001 digits"),
    "digits of a range": ('{"family": "DenseMLP", "width": {"min": 1, "max": ' + "9" * 4_000 + "}}", "4,001 digits"),
    "infinite": ('{"family": "DenseMLP", "max_density": 1e400}', "max_density .* got inf"),
    "NaN": ('{"family": "DenseMLP", "max_density": NaN}', "not JSON"),
    "long key": ('{"family": "DenseMLP", "' + "x" * 100_000 + '": 1}', "xxx… extra inputs are not permitted"),
    "long family": ('{"family": "' + "x" * 100_000 + '"}', "family must be one of .* got 'xxx+…"),
    "many keys": (
        '{"family": "DenseMLP", ' + ", ".join(f'"k{i}": 1' for i in range(20_000)) + "}",
        "k2 extra inputs are not permitted, got 1; and 19,997 more",
    ),
    "escape sequence": ('{"family": "\\u001b[2K"}', r"got '\\x1b\[2K'"),
    "surrogate": ('{"family": "\\ud800"}', r"got '\\ud800'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_short_line(tmp_path, name):
    text, message = HOSTILE[name]
    path = tmp_path / "space.json"
    path.write_text(text)
    refused_at_once(lambda: load_space(path), SpaceError, message)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "zero.json"):
        refused_at_once(lambda name=name: load_space(tmp_path / name), SpaceError, "cannot be read as a design space")


@pytest.mark.parametrize("name", ["mobilenetv2", "MOBILENETV2", "MobileNet-v2", "mobilenet_v2"])
def test_a_familys_name_stands_for_its_default_space_however_it_is_written(name):
    assert default_space(name) == space_from_dict({"family": "MobileNetV2"})
    assert default_space(name) == space_from_dict(json.loads(f'{{"family": "{name}"}}'))
    assert design(name, max_macs=300e6).spec.family == "MobileNetV2"
    assert pareto_front(name, max_macs=120e6)


def test_an_unknown_family_is_refused_with_those_that_there_are():
    with pytest.raises(SpaceError, match=r"family must be one of DenseMLP, .*WideResNet, got 'VGG'"):
        design("VGG")


@pytest.mark.parametrize("name", ["max_params", "max_macs", "min_mass", "max_mass"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1.0, -1e400, 10**400])
def test_numbers_that_are_none_are_refused(name, value):
    with pytest.raises(InvalidValueError, match=f"{name} must be"):
        design("DenseMLP", **{name: value})


@pytest.mark.parametrize("name", ["max_activation_bytes", "time_limit", "diversity", "top"])
@pytest.mark.parametrize("value", [float("nan"), -1])
def test_options_that_are_no_number_are_refused(name, value):
    with pytest.raises(NNMassError, match=f"{name} must"):
        design("DenseMLP", **{name: value})
