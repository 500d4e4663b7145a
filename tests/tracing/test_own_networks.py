"""Networks of our own specifications, traced, have the mass, parameters and MACs of their closed form."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnmass

widths = st.integers(1, 8)
max_skips = st.sampled_from([0, 1, 2, 5, 20, 100])


@st.composite
def dense_cnns(draw):
    cells = draw(st.integers(1, 3))
    return nnmass.DenseCNN(
        widths=draw(st.lists(widths, min_size=cells, max_size=cells)),
        depth=draw(st.lists(st.integers(1, 9), min_size=cells, max_size=cells)),
        max_skips=draw(st.lists(max_skips, min_size=cells, max_size=cells)),
        conv=draw(st.sampled_from(["regular", "separable"])),
        image_size=draw(st.sampled_from([4, 8, 9, 32])),
    )


@st.composite
def dense_mlps(draw):
    depth = draw(st.integers(2, 20))
    return nnmass.DenseMLP(width=draw(widths), depth=depth, max_skips=draw(max_skips), in_features=5, num_classes=3)


def same_as_closed_form(spec, seed):
    report = nnmass.analyze(spec.with_links(seed))
    assert report.nn_mass == pytest.approx(spec.nn_mass, abs=1e-9, rel=1e-9)
    assert (report.params, report.macs) == (spec.params, spec.macs)
    return report


@settings(max_examples=60, deadline=None)
@given(dense_cnns(), st.integers(0, 2**31))
def test_dense_cnns_have_their_closed_form(spec, seed):
    report = same_as_closed_form(spec, seed)
    with_skips = [cell for cell in spec.cells if cell.num_skips]
    assert [cell.density for cell in report.cells] == pytest.approx([cell.density for cell in with_skips])
    assert [cell.average_degree for cell in report.cells] == pytest.approx([c.average_degree for c in with_skips])


@settings(max_examples=60, deadline=None)
@given(dense_mlps(), st.integers(0, 2**31))
def test_dense_mlps_have_their_closed_form(spec, seed):
    same_as_closed_form(spec, seed)


@pytest.mark.parametrize("projection", ["count", "zero"])
@pytest.mark.parametrize("depth", [18, 34, 50])
def test_resnets_have_their_closed_form(depth, projection):
    spec = nnmass.ResNet.of_depth(depth, projection=projection)
    report = nnmass.analyze(spec, projection=projection)
    assert report.nn_mass == pytest.approx(spec.nn_mass, rel=1e-12)
    assert (report.params, report.macs) == (spec.params, spec.macs)
    masses = [cell.nn_mass for cell in spec.cells if cell.num_skips]
    assert [cell.nn_mass for cell in report.cells] == pytest.approx(masses, rel=1e-12)


@pytest.mark.parametrize("width_mult", [0.5, 1.0, 1.3])
def test_mobilenets_have_their_closed_form(width_mult):
    spec = nnmass.MobileNetV2(width_mult=width_mult)
    report = nnmass.analyze(spec)
    assert report.nn_mass == pytest.approx(spec.nn_mass, rel=1e-12)
    assert (report.params, report.macs) == (spec.params, spec.macs)
