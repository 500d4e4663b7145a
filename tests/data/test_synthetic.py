import numpy as np
import pytest

from nnmass.data import Dataset, circle, linear, load_data
from nnmass.errors import DataError

SETS = [linear, circle]
each_set = pytest.mark.parametrize("generate", SETS)


def parts(data: Dataset) -> list:
    return [data.train, data.validation, data.test]


def positions(name: str, inputs: np.ndarray) -> np.ndarray:
    inputs = inputs.astype(np.float64)
    return inputs[:, 0] if name == "linear" else np.hypot(*inputs.T)


@each_set
@pytest.mark.parametrize("num_segments", [2, 3, 7, 20, 31])
def test_labels_alternate_with_the_segments(generate, num_segments):
    data = generate(num_segments=num_segments)
    for part in parts(data):
        scaled = positions(data.name, part.inputs) * num_segments
        clear = np.abs(scaled - np.round(scaled)) > 1e-5  # single precision hides the side of a border
        assert clear.mean() > 0.99
        np.testing.assert_array_equal(part.labels[clear], np.floor(scaled[clear]) % 2)


@each_set
def test_sizes_shapes_and_balance(generate):
    data = generate()
    assert [len(part) for part in parts(data)] == [12_000, 1_200, 1_200]
    assert (data.input_shape, data.num_classes) == ((2,), 2)
    for part in parts(data):
        assert part.inputs.dtype == np.float32
        assert part.labels.mean() == 0.5  # 20 segments of six strata each


@each_set
def test_positions_are_evenly_spread_over_the_unit_range(generate):
    for part in parts(generate()):
        counts, _ = np.histogram(positions(generate.__name__, part.inputs), bins=12, range=(0, 1))
        assert counts.sum() == len(part)
        assert np.abs(counts - len(part) / 12).max() <= 1  # a point on a border may round to its other side


def test_linear_points_lie_on_the_diagonal():
    for part in parts(linear()):
        np.testing.assert_array_equal(part.inputs[:, 0], part.inputs[:, 1])


def test_circle_points_lie_in_every_direction():
    inputs = circle().train.inputs
    quadrants = np.bincount(2 * (inputs[:, 0] > 0) + (inputs[:, 1] > 0))
    np.testing.assert_allclose(quadrants, 3_000, atol=250)


@each_set
def test_the_seed_alone_decides(generate):
    first, again, other = (generate(seed=seed) for seed in (4, 4, 5))
    for a, b, c in zip(parts(first), parts(again), parts(other), strict=True):
        np.testing.assert_array_equal(a.inputs, b.inputs)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert not np.array_equal(a.inputs, c.inputs)


@each_set
def test_the_parts_share_no_point(generate):
    points = np.concatenate([part.inputs for part in parts(generate())])
    assert len(np.unique(points, axis=0)) > 0.999 * len(points)


@each_set
def test_normalisation_is_that_of_the_training_part(generate):
    data = generate()
    inputs = data.train.inputs.astype(np.float64)
    normalised = (inputs - data.mean[0]) / data.std[0]
    assert normalised.mean() == pytest.approx(0, abs=1e-5)
    assert normalised.std() == pytest.approx(1, rel=1e-5)


@each_set
def test_load_data_knows_them_by_name(generate):
    data, same = load_data(generate.__name__, num_segments=6), generate(num_segments=6)
    np.testing.assert_array_equal(data.train.inputs, same.train.inputs)
    np.testing.assert_array_equal(data.train.labels, same.train.labels)
    assert (data.name, data.source) == (generate.__name__, "generated, 6 segments, seed 0")


@each_set
@pytest.mark.parametrize("num_segments", [1, 0, -3])
def test_one_segment_has_nothing_to_tell_apart(generate, num_segments):
    message = f"{generate.__name__}: num_segments must be at least 2, got {num_segments}"
    with pytest.raises(DataError, match=message):
        generate(num_segments=num_segments)


@pytest.mark.parametrize("generate", [linear, circle])
@pytest.mark.parametrize("num_segments", [12_001, 10**9, 2**70])
def test_more_segments_than_points_are_refused(generate, num_segments):
    with pytest.raises(
        DataError, match=f"num_segments must be at most 12,000, the training points, got {num_segments}"
    ):
        generate(num_segments=num_segments)
