import pickle
from pathlib import Path

import numpy as np
import pytest

from nnmass.data import load_data
from nnmass.data.cifar import read_cifar_batch
from nnmass.errors import DataError

PIXELS = 3072
ONE = np.zeros((1, PIXELS), np.uint8)


def write_batch(path: Path, count: int, key: str = "labels", *, classes: int = 10) -> np.ndarray:
    images = np.random.default_rng(count).integers(0, 256, (count, PIXELS), np.uint8)
    content = {"data": images, key: [i % classes for i in range(count)], "batch_label": "a batch"}
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return images


def python_2_batch(value: int) -> bytes:
    """Two images and their labels, 4 and 2, as Python 2 and NumPy 1 pickled them: old strings, old module names."""
    pixels = bytes([value]) * (2 * PIXELS)
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01(K\x02M\x00\x0ct" + dtype + b"\x89T" + len(pixels).to_bytes(4, "little") + pixels + b"t"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR" + state + b"b"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels(K\x04K\x02lu."


@pytest.fixture
def batch(tmp_path):
    return tmp_path / "data_batch_1"


def test_images_are_three_planes_of_32_rows(batch):
    images = write_batch(batch, 3)
    part = read_cifar_batch(batch, label_key="labels")
    assert (part.inputs.shape, part.inputs.dtype) == ((3, 3, 32, 32), np.uint8)
    assert part.inputs[2, 1, 4, 5] == images[2, 1024 + 4 * 32 + 5]
    assert part.labels.dtype == np.int64
    assert part.labels.tolist() == [0, 1, 2]


def test_the_original_files_of_python_2_are_read(batch):
    batch.write_bytes(python_2_batch(200))
    part = read_cifar_batch(batch, label_key="labels")
    assert part.inputs.shape == (2, 3, 32, 32)
    assert set(part.inputs.ravel()) == {200}
    assert part.labels.tolist() == [4, 2]


class Opener:
    """Unpickling it opens a file for writing, as it could run any other function."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_that_run_code_do_not(batch, tmp_path, protocol):
    trace = tmp_path / "trace"
    batch.write_bytes(pickle.dumps({"data": Opener(trace), "labels": [0]}, protocol))
    with pytest.raises(DataError, match=r"data_batch_1: not a CIFAR batch file \(.* is not allowed"):
        read_cifar_batch(batch, label_key="labels")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "damaged: pickle exhausted"),
        (b"not a pickle", "damaged: at position 0, opcode b'n' unknown"),
        (pickle.dumps([1, 2]), "needs data, has list"),
        (pickle.dumps({"labels": [0]}), "needs data, has labels"),
        (pickle.dumps({"data": ONE}, 2), "needs labels, has data"),
        (pickle.dumps({"data": ONE[:, :100], "labels": [0]}, 2), r"shape \(images, 3072\), got \(1, 100\)"),
        (
            pickle.dumps({"data": ONE.reshape(1, 3, 32, 32), "labels": [0]}, 2),
            r"got \(1, 3, 32, 32\)",
        ),
        (pickle.dumps({"data": [[300] * PIXELS], "labels": [0]}), "got list"),
        (pickle.dumps({"data": ONE, "labels": ["cat"]}), "labels must be a list of whole numbers"),
        (pickle.dumps({"data": ONE, "labels": [True]}), "labels must be a list of whole numbers"),
        (pickle.dumps({"data": ONE, "labels": np.zeros(1, np.uint8)}), "labels must be a list of whole numbers"),
        (pickle.dumps({"data": ONE, "labels": [2**80]}), "too large|too big"),
        (pickle.dumps({"data": ONE, "labels": [0, 1]}), "has 1 images, but 2 labels"),
        (pickle.dumps({"data": ONE, "labels": [0]}, 2)[:-500], "damaged"),
    ],
)
def test_what_is_no_batch_is_refused(batch, content, problem):
    batch.write_bytes(content)
    with pytest.raises(DataError, match=rf"data_batch_1: not a CIFAR batch file \(.*{problem}"):
        read_cifar_batch(batch, label_key="labels")


def test_missing_batches_are_refused(batch):
    with pytest.raises(DataError, match=r"data_batch_1: not a CIFAR batch file \(No such file"):
        read_cifar_batch(batch, label_key="labels")


def test_cifar10_is_found_in_the_layout_of_torchvision(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    images = [write_batch(folder / f"data_batch_{i}", 1_010 + i) for i in range(1, 6)]
    images.append(write_batch(folder / "test_batch", 30))
    data = load_data("cifar10", root=tmp_path, download=False)
    assert [len(data.train), len(data.validation), len(data.test)] == [65, 5_000, 30]
    assert (data.name, data.num_classes, data.source) == ("cifar10", 10, "cifar-10-batches-py")
    np.testing.assert_array_equal(data.test.inputs.reshape(30, PIXELS), images[-1])
    sums = np.concatenate([data.train.inputs, data.validation.inputs]).sum((1, 2, 3))
    np.testing.assert_array_equal(np.sort(sums), np.sort(np.concatenate(images[:-1]).sum(1)))


def test_cifar100_is_found_in_the_layout_of_torchvision(tmp_path):
    folder = tmp_path / "cifar-100-python"
    write_batch(folder / "train", 5_100, "fine_labels", classes=100)
    write_batch(folder / "test", 200, "fine_labels", classes=100)
    data = load_data("cifar100", root=tmp_path, download=False)
    assert [len(data.train), len(data.validation), len(data.test)] == [100, 5_000, 200]
    assert (data.name, data.num_classes) == ("cifar100", 100)
    assert data.test.labels.tolist() == [i % 100 for i in range(200)]


def test_a_missing_batch_of_cifar10_is_named(tmp_path):
    write_batch(tmp_path / "cifar-10-batches-py" / "data_batch_1", 5)
    with pytest.raises(DataError, match=r"data_batch_2: not a CIFAR batch file \(No such file"):
        load_data("cifar10", root=tmp_path, download=False)
