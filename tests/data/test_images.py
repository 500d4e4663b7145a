import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from nnmass.data.images import MOST_PIXELS, SUFFIXES, decode_image
from nnmass.errors import ImageError

GREY = np.arange(0, 240, 15, dtype=np.uint8).reshape(4, 4)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)


def encoded(image, form: str = "PNG", mode: str | None = None, **options) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


def read_or_refused(content: bytes) -> tuple[np.ndarray | None, str]:
    try:
        return decode_image(content), ""
    except ImageError as error:
        return None, str(error)


def channels_first(pixels: np.ndarray) -> np.ndarray:
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_images_are_read_exactly(form, pixels):
    options = {"lossless": True} if form == "WEBP" else {}
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    image = decode_image(stream.getvalue())
    assert image.dtype == np.uint8
    expected = channels_first(pixels)
    np.testing.assert_array_equal(image, np.broadcast_to(expected, image.shape))
    assert image.shape[0] == (3 if form == "WEBP" or pixels.ndim == 3 else 1)


def test_jpeg_images_are_read():
    image = decode_image(encoded(np.full((8, 8, 3), 90, np.uint8), "JPEG"))
    assert image.shape == (3, 8, 8)
    assert np.abs(image.astype(int) - 90).max() <= 2


def test_images_are_resized_on_request():
    content = encoded(np.full((6, 4, 3), 77, np.uint8))
    assert decode_image(content, size=3).shape == (3, 3, 3)
    assert set(decode_image(content, size=3).ravel()) == {77}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM"])
def test_damaged_images_are_read_or_refused_but_nothing_else(form):
    content = encoded(COLOUR, form)
    for i, byte in enumerate(content):
        for damaged in (content[:i], content[:i] + bytes([byte ^ 0xFF]) + content[i + 1 :]):
            image, problem = read_or_refused(damaged)
            assert image is None or image.dtype == np.uint8
            assert image is not None or problem


def test_damaged_chunks_of_png_images_are_read_or_refused_but_nothing_else():
    content = encoded(COLOUR.repeat(4, 0))
    length = content.index(b"IDAT") - 1
    for byte in range(256):
        image, problem = read_or_refused(content[:length] + bytes([byte]) + content[length + 1 :])
        assert image is not None or problem


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("LA", 3), ("RGBA", 3), ("CMYK", 3), ("YCbCr", 3)]
)
def test_other_modes_become_grey_or_colour(mode, channels):
    form = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    image = decode_image(encoded(GREY // 128 * 255, form, mode))
    assert image.shape == (channels, 4, 4)
    np.testing.assert_allclose(image[0], GREY // 128 * 255, atol=1)


def test_transparency_is_left_out():
    palette = Image.fromarray(COLOUR).quantize(16)
    expected = decode_image(encoded(palette))
    palette.info["transparency"] = bytes(16)
    np.testing.assert_array_equal(decode_image(encoded(palette)), expected)
    clear = np.dstack([COLOUR, np.zeros((4, 4), np.uint8)])
    np.testing.assert_array_equal(decode_image(encoded(clear)), channels_first(COLOUR))


SIXTEEN = np.array([[0, 256, 257], [30_000, 65_406, 65_535]], np.uint16)


def big_endian_tiff(pixels: np.ndarray) -> bytes:
    """A TIFF file of 16 bits, the most significant byte first, which Pillow does not write."""
    height, width = pixels.shape
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
    tags.append((279, pixels.size * 2))
    data = pixels.astype(">u2").tobytes()
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    return b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + struct.pack(">H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM", "big-endian TIFF"])
def test_sixteen_bits_become_eight(form):
    content = big_endian_tiff(SIXTEEN) if form.startswith("big") else encoded(SIXTEEN, form)
    np.testing.assert_array_equal(decode_image(content)[0], np.rint(SIXTEEN / 257))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_other_depths_are_refused(dtype):
    content = encoded(np.arange(16, dtype=dtype).reshape(4, 4), "TIFF")
    with pytest.raises(ImageError, match=r"images must have 8 or 16 bits per channel, got mode [IF]"):
        decode_image(content)


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_animations_and_pages_are_refused(form):
    frames = [Image.fromarray(np.full((8, 8, 3), shade, np.uint8)) for shade in (0, 90, 200)]
    content = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=r"holds several pictures \(an animation, or pages\); needs one"):
        decode_image(content)
    assert decode_image(encoded(frames[1], form)).shape == (3, 8, 8)


def test_the_second_picture_of_a_jpeg_is_passed_over():
    shades = [Image.new("RGB", (8, 8), (shade,) * 3) for shade in (40, 200)]
    content = encoded(shades[0], "MPO", save_all=True, append_images=shades[1:])
    assert np.abs(decode_image(content).astype(int) - 40).max() <= 2


LYING = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40  # 2 rows of 3


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, LYING),
        (2, LYING[:, ::-1]),
        (3, LYING[::-1, ::-1]),
        (4, LYING[::-1]),
        (5, LYING.T),
        (6, np.rot90(LYING, -1)),
        (7, np.rot90(LYING, 2).T),
        (8, np.rot90(LYING)),
        (77, LYING),
    ],
)
def test_images_are_turned_upright(form, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = LYING.repeat(16, 0).repeat(16, 1)
    options = {"lossless": True} if form == "WEBP" else {"quality": 95} if form == "JPEG" else {}
    image = decode_image(encoded(pixels, form, exif=exif, **options))[0]
    assert image.shape == (upright.shape[0] * 16, upright.shape[1] * 16)
    np.testing.assert_allclose(image[8::16, 8::16], upright, atol=6 if form in ("JPEG", "WEBP") else 0)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff", b"junk"]
)
def test_damaged_exif_says_nothing(exif):
    assert decode_image(encoded(COLOUR, "JPEG", exif=exif)).shape == (3, 4, 4)


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG file of so many pixels."""
    content = encoded(GREY)
    return content[:16] + struct.pack(">II", width, height) + content[24:]


@pytest.mark.parametrize("sides", [(30_000, 30_000), (MOST_PIXELS + 1, 1), (2**31 - 1, 2**31 - 1)])
def test_images_too_large_are_refused_by_their_header(sides):
    import zlib

    content = png_header(*sides)
    content = content[:29] + struct.pack(">I", zlib.crc32(content[12:29])) + content[33:]
    with pytest.raises(ImageError, match=f"^is too large: at most {MOST_PIXELS:,} pixels are read"):
        decode_image(content)


@pytest.mark.parametrize("content", [b"P5 0 4 255\n", b"P5 4 0 255\n", png_header(0, 4), b"GIF89a" + bytes(30), b""])
def test_images_of_no_size_are_refused(content):
    with pytest.raises(ImageError):
        decode_image(content)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "JPEG2000"])
def test_images_that_are_cut_off_are_refused(form):
    content = encoded(np.random.default_rng(0).integers(256, size=(64, 64, 3)).astype(np.uint8), form)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(ImageError, match=r"^not an image that can be decoded \("):
            decode_image(content[: int(len(content) * share)])


def test_every_ending_belongs_to_a_format_that_is_read():
    from nnmass.data.images import FORMATS

    known = Image.registered_extensions()
    aliases = {"JPEG": "JPEG", "JPEG2000": "JPEG2000"}
    for ending in SUFFIXES - {".jfif"}:
        assert aliases.get(known[ending], known[ending]) in FORMATS


def test_pillows_remarks_are_not_passed_on():
    palette = Image.fromarray(COLOUR).quantize(16)
    palette.info["transparency"] = bytes(range(16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode_image(encoded(palette))
