import numpy as np
import pytest

from nnmass.data import Dataset, load_data, reduced
from nnmass.errors import DataError


@pytest.fixture(scope="module")
def whole():
    rng = np.random.default_rng(0)
    return Dataset.from_arrays(
        rng.integers(256, size=(600, 3, 8, 8)).astype(np.uint8), rng.integers(5, size=600), name="noise"
    )


def test_pixels_are_averaged_in_blocks(whole):
    small = reduced(whole, image_size=4)
    expected = np.zeros((len(whole.train), 3, 4, 4))
    for row in range(4):
        for column in range(4):
            block = whole.train.inputs[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, :, row, column] = block.reshape(len(block), 3, 4).mean(2)
    assert small.train.inputs.dtype == np.uint8
    np.testing.assert_array_equal(small.train.inputs, np.rint(expected))
    np.testing.assert_array_equal(small.train.labels, whole.train.labels)
    assert small.input_shape == (3, 4, 4)


def test_every_class_keeps_its_share(whole):
    small = reduced(whole, train=100, test=50)
    assert (len(small.train), len(small.validation), len(small.test)) == (100, 10, 50)
    for part in ("train", "test"):
        got, of = (np.bincount(getattr(data, part).labels, minlength=5) for data in (small, whole))
        np.testing.assert_allclose(got, of * got.sum() / of.sum(), atol=1)


def test_the_images_are_those_of_the_whole_each_once_with_its_label(whole):
    small = reduced(whole, train=100)
    known = {image.tobytes(): label for image, label in zip(whole.train.inputs, whole.train.labels, strict=True)}
    kept = [image.tobytes() for image in small.train.inputs]
    assert len(set(kept)) == 100
    assert [known[image] for image in kept] == small.train.labels.tolist()


def test_the_name_says_what_was_left_out_and_everyone_gets_the_same(whole):
    one, other = reduced(whole, image_size=2, train=64, test=16), reduced(whole, image_size=2, train=64, test=16)
    assert one.name == "noise, 2 px, 64 + 16 images"
    assert one.digest == other.digest != whole.digest


def test_nothing_to_leave_out(whole):
    assert reduced(whole) is whole
    assert reduced(whole, image_size=8, train=10**6, test=10**6) is whole


def test_floats_stay_floats():
    digits = load_data("digits")
    small = reduced(digits, image_size=4)
    assert small.train.inputs.dtype == np.float32
    assert small.train.inputs.mean() == pytest.approx(digits.train.inputs.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("noise", 3, "noise: its images have 8 pixels a side, which 3 does not divide"),
        ("linear", 3, r"linear: needs square images, but its inputs have the shape"),
    ],
)
def test_what_cannot_be_reduced(whole, name, size, message):
    with pytest.raises(DataError, match=message):
        reduced(whole if name == "noise" else load_data(name), image_size=size)
