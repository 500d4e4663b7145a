import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnmass.errors import InvalidValueError
from nnmass.propagation import Initialisation

SHAPES = [(8, 16, 1), (16, 8, 1), (8, 3, 9), (64, 4, 9)]  # outputs, inputs, kernel area
ALLOWED = "must be one of default, he, glorot, gaussian:STD, orthogonal, got"


@pytest.mark.parametrize(("outputs", "inputs", "area"), SHAPES)
@pytest.mark.parametrize("text", ["default", "he", "glorot", "orthogonal", "gaussian:0.3"])
def test_variances_are_those_of_pytorch_initialisers(text, outputs, inputs, area):
    import torch
    from torch import nn

    torch.manual_seed(0)
    side = int(area**0.5)
    make = (lambda: nn.Conv2d(inputs, outputs, side)) if side > 1 else (lambda: nn.Linear(inputs, outputs))
    fill = {
        "default": lambda weight: weight,
        "he": nn.init.kaiming_normal_,
        "glorot": nn.init.xavier_normal_,
        "orthogonal": nn.init.orthogonal_,
        "gaussian:0.3": lambda weight: nn.init.normal_(weight, std=0.3),
    }[text]
    layers = [make() for _ in range(100)]
    squares = np.mean([fill(layer.weight.data).square().mean().item() for layer in layers])
    init = Initialisation.parse(text)
    expected = init.weight_variance(inputs * area, outputs * area, kernel_area=area)
    assert squares == pytest.approx(expected, rel=1e-5 if text == "orthogonal" else 0.05)
    if text == "default":
        biases = np.mean([layer.bias.square().mean().item() for layer in layers])
        assert biases == pytest.approx(init.bias_variance(inputs * area), rel=0.15)
    else:
        assert init.bias_variance(inputs * area) == 0


def test_variances_worked_by_hand():
    values = {"default": 1 / 60, "he": 0.1, "glorot": 0.05, "gaussian:0.5": 0.25, "orthogonal": 0.05}
    for text, variance in values.items():
        assert Initialisation.parse(text).weight_variance(20, 20) == pytest.approx(variance)
    assert Initialisation("orthogonal").weight_variance(9 * 4, 9 * 50, kernel_area=9) == 1 / 50
    assert Initialisation("default").weight_variance(28.5, 8) == pytest.approx(1 / 85.5)
    assert Initialisation("default").excess_kurtosis == pytest.approx(9 / 5 - 3)
    assert Initialisation("glorot").excess_kurtosis == 0


@given(st.floats(1e-6, 1e6))
def test_gaussian_round_trip(std):
    init = Initialisation("gaussian", std)
    assert Initialisation.parse(str(init)) == init
    assert Initialisation.parse(init) is init


@pytest.mark.parametrize("text", ["default", "he", "glorot", "orthogonal"])
def test_other_kinds_round_trip(text):
    assert str(Initialisation.parse(text)) == text


def test_std_is_a_plain_number():
    assert repr(Initialisation("gaussian", np.float32(0.5)).std) == "0.5"


@pytest.mark.parametrize("text", ["xavier", "he:2", "", "Gaussian:1", 3, None])
def test_unknown_names_list_what_is_allowed(text):
    with pytest.raises(InvalidValueError, match=ALLOWED):
        Initialisation.parse(text)


@pytest.mark.parametrize(
    ("kind", "std", "message"),
    [
        ("gaussian", None, 'write "gaussian:0.35"'),
        *(
            ("gaussian", std, f"must lie from 1e-15 to 1e\\+15, got {text}")
            for std, text in ((0, "0"), (-1, "-1"), (1e-300, "1e-300"), (1e300, r"1e\+300"), ("1", "'1'"))
        ),
        ("gaussian", float("nan"), "must lie from 1e-15 .* got nan"),
        ("gaussian", float("inf"), "must lie from 1e-15 .* got inf"),
        ("he", 1.0, "std is for the gaussian initialisation, not for he, got 1.0"),
        ("xavier", None, ALLOWED),
    ],
)
def test_invalid_initialisations(kind, std, message):
    with pytest.raises(InvalidValueError, match=message):
        Initialisation(kind, std)


@pytest.mark.parametrize("text", ["gaussian:", "gaussian:wide", "gaussian:0x1"])
def test_bad_numbers_say_how_to_write_them(text):
    with pytest.raises(InvalidValueError, match=f'a number as in "gaussian:0.35", got {text!r}'):
        Initialisation.parse(text)


def test_gaussian_without_a_number_says_how_to_write_it():
    with pytest.raises(InvalidValueError, match=r'needs its standard deviation: write "gaussian:0\.35"'):
        Initialisation.parse("gaussian")


@pytest.mark.parametrize(
    ("fans", "message"),
    [((0, 1, 1), "fan_in must be positive, got 0"), ((1, -2, 1), "fan_out .* got -2"), ((1, 1, 0), "kernel_area")],
)
def test_fans_must_be_positive(fans, message):
    fan_in, fan_out, area = fans
    with pytest.raises(InvalidValueError, match=message):
        Initialisation("he").weight_variance(fan_in, fan_out, kernel_area=area)
    with pytest.raises(InvalidValueError, match="fan_in must be positive, got 0"):
        Initialisation("default").bias_variance(0)
