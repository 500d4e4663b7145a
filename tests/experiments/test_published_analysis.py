"""The analyser of any model beside closed forms, on the published architectures that have them."""

import pytest

from nnmass.errors import ModelError
from nnmass.experiments import analyse

ARCHITECTURES = (
    "resnet18",
    "resnet50",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "densenet121",
    "densenet161",
    "mobilenetv2_100",
    "mobilenetv2_110d",
    "mobilenetv2_140",
)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_analyser_finds_the_closed_forms(architecture, closed_forms):
    found, expected = analyse(architecture, 224), closed_forms(architecture, 224)
    assert (found.outcome, found.reason) == ("answered", "")
    assert found.nn_mass == pytest.approx(expected.nn_mass)
    assert (found.params, found.macs) == (expected.params, expected.macs)


def test_the_image_size_is_that_of_the_published_accuracy(closed_forms):
    assert analyse("resnet18", 256).macs == closed_forms("resnet18", 256).macs


def test_a_model_without_skips_is_uninformative():
    found = analyse("vgg11_bn", 224)
    assert (found.outcome, found.reason, found.nn_mass) == ("uninformative", "no cell holds a skip", 0)


def test_a_model_that_mass_is_not_defined_for_is_refused_with_the_reason():
    found = analyse("hrnet_w18_small", 224)
    assert (found.outcome, found.reason, found.nn_mass) == ("refused", "merges across resolutions", None)
    assert found.params > 13e6


def test_an_unknown_architecture_is_an_error():
    with pytest.raises(ModelError, match="'resnet51' is no model of timm"):
        analyse("resnet51", 224)
