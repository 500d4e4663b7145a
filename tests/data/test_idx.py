import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nnmass.data import read_idx
from nnmass.errors import DataError

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(values: np.ndarray, *, kind: int = 0x08) -> bytes:
    return bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.fixture
def refused(tmp_path):
    def check(content: bytes, message: str) -> None:
        path = tmp_path / "file-ubyte"
        path.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)

    return check


@given(arrays.arrays(np.uint8, arrays.array_shapes(max_dims=4, min_side=0)), st.booleans())
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, values, zipped):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(values)) if zipped else idx(values))
    result = read_idx(path)
    assert result.dtype == np.uint8
    assert result.flags.writeable  # PyTorch takes no others without a word
    np.testing.assert_array_equal(result, values)


@pytest.mark.parametrize("name", ["file", "file.gz", "file.idx"])
@pytest.mark.parametrize("zipped", [True, False])
def test_the_content_and_not_the_name_says_whether_it_is_zipped(tmp_path, name, zipped):
    (tmp_path / name).write_bytes(gzip.compress(idx(VALUES)) if zipped else idx(VALUES))
    np.testing.assert_array_equal(read_idx(str(tmp_path / name)), VALUES)


@pytest.mark.parametrize("length", range(4))
def test_less_than_a_magic_number_is_refused(refused, length):
    refused(idx(VALUES)[:length], "not an IDX file of bytes")


@pytest.mark.parametrize("length", [4, 10, 15])
def test_files_that_end_in_their_header_are_refused(refused, length):
    refused(idx(VALUES)[:length], f"ends within its header, after {length} bytes")


def test_files_shorter_or_longer_than_stated_are_refused(refused):
    refused(idx(VALUES)[:-1], r"states the shape \(2, 3, 4\), but holds 23 values")
    refused(idx(VALUES) + b"x", r"states the shape \(2, 3, 4\), but holds 25 values")
    refused(gzip.compress(idx(VALUES)[:-5]), r"states the shape \(2, 3, 4\), but holds 19")


def test_sizes_beyond_64_bits_are_refused(refused):
    refused(b"\0\0\x08\x03" + b"\xff" * 12, "states the shape .*, but holds 0 values")


def test_more_dimensions_than_numpy_has_are_refused(refused):
    refused(b"\0\0\x08\x46" + struct.pack(">70I", *[1] * 70) + b"x", "70")


@pytest.mark.parametrize("magic", [b"\x01\0\x08\x01", b"\0\x01\x08\x01", b"\0\0\x08\0", b"PK\x03\x04", b"<htm"])
def test_wrong_magic_numbers_are_refused(refused, magic):
    refused(magic + bytes(8), f"not an IDX file of bytes .*{magic.hex(' ')}")


@pytest.mark.parametrize("kind", [0x09, 0x0B, 0x0C, 0x0D, 0x0E])
def test_other_types_than_bytes_are_refused(refused, kind):
    refused(idx(VALUES, kind=kind), f"not an IDX file of bytes .*00 00 0{kind:x} 03")


def test_damaged_gzip_files_are_refused(refused):
    content = gzip.compress(idx(VALUES))
    for damaged in (content[:-1], content[:15], content[:2], content[:-8] + bytes(8), content[:12] + b"\xff" * 30):
        refused(damaged, "cannot be read as an IDX file|not an IDX file of bytes")


def test_no_more_is_unzipped_than_the_header_states(refused):
    refused(gzip.compress(idx(VALUES) + bytes(10**6)), r"states the shape \(2, 3, 4\), but holds more than 24")
    large = b"\0\0\x08\x02" + struct.pack(">II", 2**16, 2**13)
    refused(gzip.compress(large + bytes(1000)), r"would grow from .* to 512\.0 MiB when it is unpacked")


def test_missing_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(DataError, match="cannot be read as an IDX file"):
            read_idx(path)
