import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnmass.data import Dataset, DataWarning, Split, set_apart
from nnmass.errors import DataError


def split(count: int = 4, *, classes: int = 2, shape: tuple[int, ...] = (3,)) -> Split:
    return Split(np.zeros((count, *shape), np.float32), np.arange(count) % classes)


def dataset(**parts) -> Dataset:
    return Dataset("toy", **{"train": split(), "validation": split(), "test": split(), "num_classes": 2} | parts)


def numbered(count: int) -> Split:
    return Split(np.arange(count, dtype=np.float32)[:, None], np.arange(count))


@given(st.integers(1, 200), st.data())
def test_what_is_set_apart_and_the_rest_make_up_the_whole(count, data):
    apart = data.draw(st.integers(0, count))
    rest, taken = set_apart(numbered(count), apart)
    assert (len(rest), len(taken)) == (count - apart, apart)
    assert sorted([*rest.labels, *taken.labels]) == list(range(count))
    for part in (rest, taken):
        assert list(part.labels) == sorted(part.labels)
        assert list(part.inputs[:, 0]) == list(part.labels)


def test_the_same_samples_are_set_apart_every_time():
    first, again = set_apart(numbered(100), 20), set_apart(numbered(100), 20)
    assert list(first[1].labels) == list(again[1].labels) != list(range(80, 100))


def test_a_fifth_is_for_testing_and_a_tenth_of_the_rest_for_validation():
    whole = numbered(50)
    data = Dataset.from_arrays(whole.inputs, whole.labels)
    parts = [data.train, data.validation, data.test]
    assert [len(part) for part in parts] == [36, 4, 10]
    assert sorted(label for part in parts for label in part.labels) == list(range(50))
    assert data.num_classes == 50
    assert data.input_shape == (1,)


def test_a_given_test_part_is_kept_whole():
    data = Dataset.from_arrays(np.zeros((20, 2)), [0, 1] * 10, test=(np.ones((3, 2)), [1, 0, 1]))
    assert [len(data.train), len(data.validation), len(data.test)] == [18, 2, 3]
    assert list(data.test.labels) == [1, 0, 1]
    assert data.num_classes == 2


@pytest.mark.parametrize("label", [2, -1])
def test_labels_of_the_test_part_are_classes_of_the_training_part(label):
    with pytest.raises(DataError, match=rf"^arrays, test: labels must lie in 0 \.\.\. 1, got {label} at sample 1"):
        Dataset.from_arrays(np.zeros((20, 2)), [0, 1] * 10, test=(np.ones((3, 2)), [0, label, 1]))


def test_a_test_part_of_secret_labels_is_refused():
    with pytest.raises(DataError, match="arrays, test: all labels are -1, as where they are secret"):
        Dataset.from_arrays(np.zeros((20, 2)), [0, 1] * 10, test=(np.ones((3, 2)), [-1] * 3))


def test_classes_without_samples_are_mentioned():
    with pytest.warns(DataWarning, match=r"arrays, train: has no sample of 2 of 5 classes \(1, 3\)"):
        assert Dataset.from_arrays(np.zeros((30, 2)), [0, 2, 4] * 10).num_classes == 5
    with pytest.warns(DataWarning, match=r"arrays, test: has no sample of 1 of 2 classes \(1\)"):
        Dataset.from_arrays(np.zeros((20, 2)), [0, 1] * 10, test=(np.zeros((2, 2)), [0, 0]))


def test_bytes_stay_bytes_and_other_numbers_become_floats():
    for dtype, expected in [(np.uint8, np.uint8), (np.float64, np.float32), (np.int16, np.float32)]:
        data = Dataset.from_arrays(np.ones((20, 2), dtype), np.arange(20.0) % 2)
        assert data.train.inputs.dtype == expected
        assert data.train.labels.dtype == np.int64


def test_pytorch_tensors_are_taken():
    data = Dataset.from_arrays(torch.eye(20), torch.arange(20) % 3, num_classes=7)
    assert data.num_classes == 7
    assert sorted(data.test.inputs.argmax(1) % 3) == sorted(data.test.labels)


def test_pytorch_data_sets_are_taken():
    samples = torch.utils.data.TensorDataset(torch.arange(40.0).reshape(20, 2, 1), torch.arange(20) % 2)
    data = Dataset.from_torch(samples, name="mine")
    again = Dataset.from_torch(samples, test=[(np.zeros((2, 1)), 1), (np.zeros((2, 1)), 0)])
    assert (data.name, data.input_shape, data.num_classes) == ("mine", (2, 1), 2)
    assert [len(data.train), len(data.validation), len(data.test)] == [15, 1, 4]
    assert [len(again.train), len(again.validation), len(again.test)] == [18, 2, 2]
    assert again.num_classes == 2
    for part in (data.train, data.validation, data.test):
        np.testing.assert_array_equal(part.inputs[:, 0, 0] / 2 % 2, part.labels)


def test_pytorch_data_sets_may_be_indexed_by_numbers_only():
    class Squares:
        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return torch.tensor([index**2]), index % 2  # like many data sets, it never raises IndexError

    assert len(Dataset.from_torch(Squares()).train) == 7


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_inputs_must_be_finite(part, bad):
    broken = split()
    broken.inputs[2, 1] = bad
    with pytest.raises(DataError, match=f"toy, {part}: inputs must be finite, got NaN or infinity at sample 2"):
        dataset(**{part: broken})


@pytest.mark.parametrize("label", [-1, 2])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_labels_must_be_classes(part, label):
    broken = split()
    broken.labels[3] = label
    with pytest.raises(DataError, match=rf"toy, {part}: labels must lie in 0 \.\.\. 1, got {label} at sample 3"):
        dataset(**{part: broken})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"test": Split(np.zeros((3, 3), np.float32), np.zeros(2, np.int64))}, "toy, test: .*got 3 inputs, 2 labels"),
        ({"validation": split(0)}, "toy, validation: .*got 0 inputs, 0 labels"),
        ({"test": split(shape=(4,))}, r"toy: the inputs of the parts must have one shape, got \[\(3,\), \(4,\)\]"),
    ],
)
def test_parts_must_agree(parts, message):
    with pytest.raises(DataError, match=message):
        dataset(**parts)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (np.zeros((5, 2)), [0, 1], r"needs one label per input, got inputs \(5, 2\) and labels \(2,\)"),
        (np.zeros((2, 2)), [[0], [1]], r"needs one label per input, got inputs \(2, 2\) and labels \(2, 1\)"),
        (1.0, [0], r"needs one label per input, got inputs \(\) and labels \(1,\)"),
        (np.zeros((2, 2)), [0, 0.5], r"labels must be whole numbers, got 0\.5"),
        (np.zeros((2, 2)), [0, np.nan], "labels must be whole numbers, got nan"),
        (np.zeros((2, 2)), [0, np.inf], "labels must .*got inf"),
        (np.zeros((2, 2)), ["a", "b"], "inputs and labels must be numbers, got float64 and <U1"),
        ([["a"], ["b"]], [0, 1], "inputs and labels must be numbers, got <U1 and int64"),
        (np.zeros((2, 2), complex), [0, 1], "inputs and labels must be numbers, got complex128 and int64"),
        (np.full((20, 2), np.nan), [0] * 20, "inputs must be finite"),
        (np.zeros((2, 2)), [0, 1e30], r"labels must be whole numbers, got 1e\+30 at sample 1"),
        (np.zeros((2, 2)), np.array([0, 2**63], np.uint64), "labels must be whole numbers, got 9223372036854775808"),
        (np.zeros((20, 2)), [-1] * 20, "train: labels must be whole numbers from 0, got -1 at sample 0"),
        (
            np.zeros((20, 2)),
            [*range(19), 10**9],
            r"train: label 1000000000 at sample 19 would make 1,000,000,001",
        ),
        (np.zeros((0, 2)), np.zeros(0, int), "holds no training samples"),
        (np.zeros((3, 2)), [0, 1, 0], "has 3 training samples, too few to set a test part apart; needs at least 5"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(inputs, labels, message):
    with pytest.raises(DataError, match=f"^arrays.*{message}"):
        Dataset.from_arrays(inputs, labels)


def test_numbers_too_large_for_single_precision_are_refused():
    with pytest.raises(DataError, match="inputs must be finite"):
        Dataset.from_arrays(np.full((20, 2), 1e300), [0, 1] * 10)


def test_more_classes_than_stated_are_refused():
    with pytest.raises(DataError, match=r"labels must lie in 0 \.\.\. 2, got 3 at sample"):
        Dataset.from_arrays(np.zeros((20, 2)), np.arange(20) % 4, num_classes=3)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "needs samples, inputs all of one shape, got none"),
        ([(np.zeros(3), 0)] * 9 + [(np.zeros(4), 0)], r"inputs all of one shape, got \[\(3,\), \(4,\)\]"),
        ([(np.zeros(3), 0.5)] * 9, r"labels must be whole numbers, got 0\.5 at sample 0"),
        ([(np.zeros(3), torch.tensor(float("nan")))] * 9, "labels must be whole numbers, got nan at sample 0"),
        ([(np.zeros(3), [1, 0])] * 9, r"needs one label per input, got inputs \(9, 3\) and labels \(9, 2\)"),
        ([np.zeros(3)] * 9, "sample 0 must be an input and a label, got ndarray"),
        ([5] * 9, "sample 0 must be an input and a label, got int"),
    ],
)
def test_pytorch_data_sets_that_are_no_data_set_are_refused(samples, message):
    with pytest.raises(DataError, match=f"^torch.*{message}"):
        Dataset.from_torch(samples)
