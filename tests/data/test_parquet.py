import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.data import read_parquet
from nnmass.errors import DataError

GREY = np.arange(0, 240, 15, dtype=np.uint8).reshape(4, 4)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)
SMALL = COLOUR[:3, :3]


def encoded(pixels: np.ndarray, form: str = "PNG", mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, form)
    return stream.getvalue()


def channels_first(pixels: np.ndarray) -> np.ndarray:
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def struct(images: list[bytes | None]) -> pa.Array:
    rows = [None if image is None else {"bytes": image, "path": f"{i}.png"} for i, image in enumerate(images)]
    return pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


@pytest.fixture
def write(tmp_path):
    def to_file(images, labels, *, name="train.parquet", columns=("img", "label"), **options):
        images = struct(images) if isinstance(images, list) else images
        pq.write_table(pa.table(dict(zip(columns, (images, labels), strict=True))), tmp_path / name, **options)
        return tmp_path / name

    return to_file


def refused(path, message):
    with pytest.raises(DataError, match=message) as caught:
        read_parquet([path])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("columns", [("img", "label"), ("image", "label"), ("img", "fine_label")])
@pytest.mark.parametrize("group", [1, 2, 100])
def test_files_of_a_split_are_read_in_order(write, columns, group):
    first = write([encoded(GREY), encoded(255 - GREY), encoded(GREY)], [3, 1, 2], columns=columns, row_group_size=group)
    second = write([encoded(GREY)], pa.array([7], pa.int8()), name="b.parquet", columns=columns)
    part = read_parquet([first, second])
    assert (part.inputs.shape, part.inputs.dtype) == ((4, 1, 4, 4), np.uint8)
    np.testing.assert_array_equal(part.inputs[1, 0], 255 - GREY)
    assert part.labels.dtype == np.int64
    assert part.labels.tolist() == [3, 1, 2, 7]


def test_grey_images_among_coloured_ones_become_coloured(write):
    part = read_parquet([write([encoded(GREY), encoded(COLOUR)], [0, 1])])
    np.testing.assert_array_equal(part.inputs, [[GREY] * 3, channels_first(COLOUR)])


def test_a_grey_file_beside_a_coloured_one_becomes_coloured(write):
    part = read_parquet([write([encoded(GREY)], [0]), write([encoded(COLOUR)], [1], name="b.parquet")])
    np.testing.assert_array_equal(part.inputs, [[GREY] * 3, channels_first(COLOUR)])


def test_images_of_different_sizes_are_refused(write):
    path = write([encoded(COLOUR), encoded(SMALL)], [0, 1])
    refused(path, r"train\.parquet, row 1: all images must have one size, got \(3, 3\) after \(4, 4\)")
    paths = [write([encoded(COLOUR)], [0]), write([encoded(SMALL)], [0], name="b.parquet")]
    with pytest.raises(DataError, match=r"b\.parquet, row 0: all images must have one size, got \(3, 3\)"):
        read_parquet(paths)


@pytest.mark.parametrize("broken", [None, b"", b"junk", encoded(COLOUR)[:60]])
def test_a_broken_image_is_refused_by_its_row(write, broken):
    refused(write([encoded(COLOUR), broken], [0, 1]), r"train\.parquet, row 1: not an image that can be decoded")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, None], "column label, rows from 0: labels must be whole numbers, got none in row 1"),
        ([0.0, None], "column label, rows from 0: labels must be whole numbers, got none in row 1"),
        ([0.5, 1.0], r"column label, rows from 0: labels must be whole numbers, got 0\.5 at sample 0"),
        ([0.0, np.nan], "column label, rows from 0: labels must be whole numbers, got nan at sample 1"),
        ([0.0, 1e30], r"column label, rows from 0: labels must be whole numbers, got 1e\+30 at sample 1"),
        (pa.array([0, 2**63], pa.uint64()), "labels must be whole numbers, got 9223372036854775808 at sample 1"),
        (["cat", "dog"], "column label must hold whole numbers, got string"),
        ([True, False], "column label must hold whole numbers, got bool"),
        ([None, None], "column label must hold whole numbers, got null"),
    ],
)
def test_labels_must_be_whole_numbers(write, labels, message):
    refused(write([encoded(GREY)] * 2, labels), message)


def test_whole_floats_are_labels(write):
    assert read_parquet([write([encoded(GREY)] * 3, [2.0, 0.0, 1.0])]).labels.tolist() == [2, 0, 1]


def test_missing_columns_are_refused(write):
    refused(
        write([encoded(GREY)], [0], columns=("picture", "label")), "needs a column img or image, has picture, label"
    )
    refused(write([encoded(GREY)], [0], columns=("img", "class")), "needs a column label or fine_label, has img, class")


def test_image_columns_without_bytes_are_refused(write):
    refused(write(pa.array([encoded(GREY)]), [0]), "column img must hold a struct with the image's bytes")
    refused(write(pa.array([{"path": "1.png"}]), [0]), "column img must hold a struct with the image's bytes")


def test_files_without_rows_are_refused(write):
    refused(write([], pa.array([], pa.int64())), r"train\.parquet")


def test_what_is_not_parquet_is_refused(tmp_path):
    path = tmp_path / "train.parquet"
    refused(path, "cannot be read as Parquet")
    path.write_bytes(b"PAR1 but not really PAR1")
    refused(path, "cannot be read as Parquet")
