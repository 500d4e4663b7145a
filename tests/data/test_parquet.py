import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.data import read_parquet
from nnmass.data.parquet import decode_image
from nnmass.errors import DataError

GREY = np.arange(0, 240, 15, dtype=np.uint8).reshape(4, 4)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)
SMALL = COLOUR[:3, :3]


def encoded(pixels: np.ndarray, form: str = "PNG", mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, form)
    return stream.getvalue()


def read_or_refused(content: bytes) -> tuple[np.ndarray | None, str]:
    try:
        return decode_image(content, where="here"), ""
    except DataError as error:
        return None, str(error)


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


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_images_are_read_exactly(form, pixels):
    options = {"lossless": True} if form == "WEBP" else {}
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    image = decode_image(stream.getvalue(), where="here")
    assert image.dtype == np.uint8
    expected = channels_first(pixels)
    np.testing.assert_array_equal(image, np.broadcast_to(expected, image.shape))
    assert image.shape[0] == (3 if form == "WEBP" or pixels.ndim == 3 else 1)


def test_jpeg_images_are_read():
    image = decode_image(encoded(np.full((8, 8, 3), 90, np.uint8), "JPEG"), where="here")
    assert image.shape == (3, 8, 8)
    assert np.abs(image.astype(int) - 90).max() <= 2


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("LA", 3), ("RGBA", 3)])
def test_other_modes_become_grey_or_colour(mode, channels):
    image = decode_image(encoded(GREY // 128 * 255, mode=mode), where="here")
    assert image.shape == (channels, 4, 4)
    np.testing.assert_array_equal(image[0], GREY // 128 * 255)


def test_sixteen_bit_images_are_scaled_or_refused_but_never_cut_off():
    content = encoded(np.array([[0, 256], [30_000, 65_535]], np.uint16))
    image, problem = read_or_refused(content)
    if not problem:
        np.testing.assert_allclose(image[0], [[0, 1], [117, 255]], atol=1)


def test_images_are_resized_on_request():
    content = encoded(np.full((6, 4, 3), 77, np.uint8))
    assert decode_image(content, where="here", size=3).shape == (3, 3, 3)
    assert set(decode_image(content, where="here", size=3).ravel()) == {77}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP"])
def test_damaged_images_are_read_or_refused_but_nothing_else(form):
    content = encoded(COLOUR, form)
    for i, byte in enumerate(content):
        for damaged in (content[:i], content[:i] + bytes([byte ^ 0xFF]) + content[i + 1 :]):
            image, problem = read_or_refused(damaged)
            assert image is None or image.dtype == np.uint8
            assert image is not None or problem.startswith("here: not an image that can be decoded")


def test_damaged_chunks_of_png_images_are_read_or_refused_but_nothing_else():
    content = encoded(COLOUR.repeat(4, 0))
    length = content.index(b"IDAT") - 1
    for byte in range(256):
        image, problem = read_or_refused(content[:length] + bytes([byte]) + content[length + 1 :])
        assert image is not None or problem.startswith("here: not an image that can be decoded")


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


@pytest.mark.parametrize("labels", [[0, None], [0.0, 1.0], ["cat", "dog"], [True, False]])
def test_labels_must_be_whole_numbers(write, labels):
    refused(write([encoded(GREY)] * 2, labels), "column label must hold whole numbers, got ")


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
