import io

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.data.parquet_pages import unpacked_bytes
from nnmass.errors import DataError

CODECS = ("none", "snappy", "gzip", "zstd", "lz4", "brotli")


def written(values: pa.Array, **options) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"x": values}), stream, **options)
    return stream.getvalue()


def bounds(content: bytes) -> tuple[int, int]:
    """What the pages of a file say, and the bytes that its values take, those of a dictionary once."""
    metadata = pq.read_metadata(io.BytesIO(content))
    file = pq.ParquetFile(io.BytesIO(content), read_dictionary=["x"])
    said = taken = 0
    for group in range(metadata.num_row_groups):
        said += unpacked_bytes(io.BytesIO(content), metadata.row_group(group).column(0))
        for chunk in file.read_row_group(group)["x"].chunks:
            values = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
            taken += pa.compute.sum(pa.compute.binary_length(values)).as_py() or 0
    return said, taken


@given(
    values=st.lists(st.none() | st.binary(max_size=200), min_size=1, max_size=60),
    repeats=st.integers(1, 5),
    codec=st.sampled_from(CODECS),
    version=st.sampled_from(["1.0", "2.0"]),
    dictionary=st.booleans(),
    statistics=st.booleans(),
    rows=st.sampled_from([7, 1000]),
    page=st.sampled_from([50, 10_000]),
)
@settings(max_examples=100, deadline=None)
def test_no_more_comes_out_than_the_pages_say(values, repeats, codec, version, dictionary, statistics, rows, page):
    content = written(
        pa.array(values * repeats, pa.binary()),
        compression=codec,
        data_page_version=version,
        use_dictionary=dictionary,
        write_statistics=statistics,
        row_group_size=rows,
        data_page_size=page,
        write_batch_size=3,
    )
    said, taken = bounds(content)
    assert taken <= said


@pytest.mark.parametrize("codec", CODECS)
def test_of_images_they_say_little_more_than_comes_out(codec):
    rng = np.random.default_rng(0)
    images = [rng.bytes(3_000) for _ in range(1_000)]
    said, taken = bounds(written(pa.array(images, pa.binary()), compression=codec))
    assert taken <= said < 2 * taken


@pytest.mark.parametrize("repeats", [10, 10_000])
def test_repeated_values_count_once(repeats):
    said, taken = bounds(written(pa.array([bytes(1_000)] * repeats, pa.binary())))
    assert taken == 1_000
    assert taken <= said < 3_000 + 10 * repeats


def test_numbers_take_eight_bytes_each():
    content = written(pa.array([0, 1] * 5_000))
    column = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    assert 80_000 <= unpacked_bytes(io.BytesIO(content), column) < 100_000


def test_metadata_that_say_less_than_the_pages_are_not_believed():
    """The headers of the pages are counted, whatever the end of the file says."""

    class Lying:
        def __init__(self, column) -> None:
            self.column = column

        def __getattr__(self, name: str):
            return 10 if name == "total_uncompressed_size" else getattr(self.column, name)

    content = written(pa.array([bytes(2**20)] * 3, pa.binary()), compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(0)
    assert unpacked_bytes(io.BytesIO(content), Lying(column)) > 3 * 2**20


def test_damaged_headers_are_read_or_refused_but_nothing_else():
    content = written(
        pa.array([b"image %d" % i for i in range(50)], pa.binary()), data_page_size=50, write_batch_size=3
    )
    column = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(0)
    refused = 0
    for i in range(4, 4 + column.total_compressed_size):
        for byte in (0, 1, 0x7F, 0x80, 0xFF, content[i] ^ 1):
            damaged = content[:i] + bytes([byte]) + content[i + 1 :]
            try:
                assert unpacked_bytes(io.BytesIO(damaged), column) >= 0
            except DataError:
                refused += 1
    assert refused > 20
