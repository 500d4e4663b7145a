import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.data.pickled_arrays import read_pickled
from nnmass.errors import DataError
from nnmass.plain_text import plain

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), PLAIN, max_size=5), st.integers(2, 5))
@settings(max_examples=200, deadline=None)
def test_plain_values_are_read_as_the_standard_reader_does(content, protocol):
    assert read_pickled(pickle.dumps(content, protocol)) == content


@given(st.binary(max_size=300), st.integers(3, 5))
def test_bytes_are_read_as_the_standard_reader_does(content, protocol):
    assert read_pickled(pickle.dumps({"x": content, "y": [content]}, protocol)) == {"x": content, "y": [content]}


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("shape", [(0,), (5,), (3, 4), (2, 3, 4), (0, 3072), (1, 70_000)])
def test_arrays_of_bytes_are_read_as_the_standard_reader_does(protocol, shape):
    values = np.random.default_rng(0).integers(256, size=shape).astype(np.uint8)
    found = read_pickled(pickle.dumps({"data": values, "labels": [1, 2]}, protocol))
    np.testing.assert_array_equal(found["data"], values)
    assert (found["data"].dtype, found["labels"]) == (np.uint8, [1, 2])


def test_names_of_both_numpys_are_known():
    """NumPy 2 moved what pickles name; files of either are read."""
    content = pickle.dumps({"data": np.arange(6, dtype=np.uint8)}, 2)
    swapped = (
        content.replace(b"numpy._core.", b"numpy.core.")
        if b"numpy._core." in content
        else content.replace(b"numpy.core.", b"numpy._core.")
    )
    assert swapped != content
    for held in (content, swapped):
        np.testing.assert_array_equal(read_pickled(held)["data"], np.arange(6))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, bool, object, "S3", "M8[s]", [("a", "u1")]])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_other_arrays_are_refused(dtype, protocol):
    with pytest.raises(DataError, match=r"arrays must be of uint8|is not allowed"):
        read_pickled(pickle.dumps({"data": np.zeros(3, dtype)}, protocol))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_by_columns_are_refused(protocol):
    values = np.asfortranarray(np.zeros((3, 4), np.uint8))
    with pytest.raises(DataError, match="arrays must be of uint8"):
        read_pickled(pickle.dumps({"data": values}, protocol))


@pytest.mark.parametrize("value", [1.5, 1j, {1, 2}, Ellipsis, int, print, np.float32(1), np.uint8(1), range(3)])
@pytest.mark.parametrize("protocol", [2, 4])
def test_other_values_are_refused(value, protocol):
    with pytest.raises(DataError, match=r"is not allowed|arrays must be of uint8"):
        read_pickled(pickle.dumps({"x": value}, protocol))


def test_keys_of_old_files_become_text():
    assert read_pickled(pickle.dumps({b"data": 1, "labels": 2}, 4)) == {"data": 1, "labels": 2}
    with pytest.raises(DataError, match="keys must be texts, got int"):
        read_pickled(pickle.dumps({1: 1}, 4))


def test_mutated_pickles_are_read_or_refused_but_nothing_else():
    """The standard reader is never asked, so whatever comes out is plain."""
    content = pickle.dumps({"data": np.arange(40, dtype=np.uint8).reshape(5, 8), "labels": [0, 1, 2, 3, 300]}, 4)
    generator = np.random.default_rng(0)
    kinds = (dict, list, tuple, str, bytes, bytearray, int, bool, type(None), np.ndarray)
    for _ in range(3_000):
        damaged = bytearray(content)
        for _ in range(generator.integers(1, 4)):
            damaged[generator.integers(len(damaged))] = generator.integers(256)
        try:
            found = read_pickled(bytes(damaged))
        except DataError as error:
            found = str(error)
            assert found == plain(found)
        assert isinstance(found, kinds)


def test_a_file_is_never_unpickled(monkeypatch):
    """No part of the standard reader runs."""
    content = pickle.dumps({"data": np.zeros((1, 3), np.uint8)}, 4)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler", "_Unpickler", "_loads", "_load"):
        monkeypatch.setattr(pickle, name, refuse)
    assert read_pickled(content)["data"].shape == (1, 3)
