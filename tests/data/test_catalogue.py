import io
import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.data import DATA_NAMES, Dataset, load_data, reduced
from nnmass.errors import DataError

TRAIN, TEST = 5_040, 20


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def write_mnist(folder: Path) -> None:
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        labels = np.arange(count) % 10
        write_idx(folder / f"{part}-images-idx3-ubyte", np.broadcast_to(labels[:, None, None] * 3, (count, 2, 2)))
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


def parts(data: Dataset) -> list:
    return [data.train, data.validation, data.test]


def test_digits_need_no_files():
    data, again = load_data("digits"), load_data("digits")
    assert [len(part) for part in parts(data)] == [1257, 180, 360]
    assert (data.input_shape, data.num_classes) == ((1, 8, 8), 10)
    assert (data.train.inputs.min(), data.train.inputs.max()) == (0, 1)
    whole = np.concatenate([part.inputs.reshape(-1, 64) for part in parts(data)])
    assert len(np.unique(whole, axis=0)) == 1797
    for part, same in zip(parts(data), parts(again), strict=True):
        np.testing.assert_array_equal(part.inputs, same.inputs)


def test_mnist_has_the_known_sizes_and_labels():
    if not os.environ.get("NNMASS_DATA"):
        pytest.skip("NNMASS_DATA is unset: it names the folder with mnist/")
    data = load_data("mnist", download=False)
    assert [len(part) for part in parts(data)] == [55_000, 5_000, 10_000]
    assert (data.input_shape, data.source) == ((1, 28, 28), "mnist")
    known = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(data.train.labels) + np.bincount(data.validation.labels), known)
    np.testing.assert_array_equal(
        np.bincount(data.test.labels), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    )
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.train.inputs.mean() / 255 == pytest.approx(0.1307, abs=0.001)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("mnist", "MNIST"),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("fashion-mnist", "fashion_mnist"),
    ],
)
def test_idx_files_are_found_where_they_usually_lie(tmp_path, monkeypatch, name, folder):
    write_mnist(tmp_path / folder)
    monkeypatch.setenv("NNMASS_DATA", str(tmp_path))
    data = load_data(name, download=False)
    assert [len(part) for part in parts(data)] == [TRAIN - 5_000, 5_000, TEST]
    assert (data.name, data.source, data.input_shape) == (name, folder, (1, 2, 2))
    for part in parts(data):
        np.testing.assert_array_equal(part.inputs[:, 0, 1, 1], part.labels * 3)


def write_images(folder: Path, form: str, count: int = 40) -> None:
    """Parquet files in the layout of the hub."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        rows = []
        for _ in range(count):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(256, size=(8, 8, 3)).astype(np.uint8)).save(stream, form)
            rows.append({"bytes": stream.getvalue(), "path": None})
        table = pa.table({"img": rows, "label": [i % 10 for i in range(count)]})
        pq.write_table(table, folder / f"{part}.parquet")


@pytest.mark.parametrize(
    ("folder", "asked", "form", "copy_of"),
    [
        ("cifar10", "cifar10", "PNG", None),
        ("cifar10", "cifar10", "JPEG", "CIFAR-10"),
        ("cifar10-jpeg", "cifar10", "PNG", None),
        ("cifar100", "cifar100", "JPEG", "CIFAR-100"),
        ("my-jpeg-photos", "my-jpeg-photos", "JPEG", None),
        ("my-jpeg-photos", "my-jpeg-photos", "PNG", None),
        ("cifar10-jpeg", "cifar10-jpeg", "JPEG", None),
    ],
)
def test_copies_of_cifar_are_known_by_what_they_hold(tmp_path, folder, asked, form, copy_of):
    """The name of a folder says nothing; images that were asked for as CIFAR's and come as JPEG are such a copy."""
    write_images(tmp_path / folder, form)
    data = load_data(asked, root=tmp_path, download=False)
    assert data.jpeg_copy_of == copy_of
    assert reduced(data, train=20).jpeg_copy_of == copy_of


@pytest.mark.skipif("NNMASS_DATA" not in os.environ, reason="NNMASS_DATA is not set")
def test_cifar10_is_recognised_wherever_it_lies(tmp_path):
    (tmp_path / "pictures").symlink_to(Path(os.environ["NNMASS_DATA"]) / "cifar10-jpeg")
    assert load_data(str(tmp_path / "pictures")).jpeg_copy_of == "CIFAR-10"


def test_the_root_given_wins_over_the_environment(tmp_path, monkeypatch):
    write_mnist(tmp_path / "here" / "mnist")
    monkeypatch.setenv("NNMASS_DATA", str(tmp_path / "elsewhere"))
    assert len(load_data("mnist", root=tmp_path / "here", download=False).test) == TEST
    with pytest.raises(DataError, match=r"mnist was not found below .*elsewhere"):
        load_data("mnist", download=False)


def test_incomplete_idx_files_are_refused(tmp_path):
    write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has some files of mnist, but t10k-labels-idx1-ubyte is missing"):
        load_data("mnist", root=tmp_path, download=False)


def test_idx_files_that_do_not_match_are_refused(tmp_path):
    write_mnist(tmp_path / "mnist")
    write_idx(tmp_path / "mnist" / "train-labels-idx1-ubyte", np.zeros(7))
    with pytest.raises(DataError, match=r"must hold one image per label .*got shapes \(5040, 2, 2\) and \(7,\)"):
        load_data("mnist", root=tmp_path, download=False)


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_too_few_images_to_validate_on_are_refused(tmp_path, count):
    write_mnist(tmp_path / "mnist")
    for kind, values in (("images-idx3", np.zeros((count, 2, 2))), ("labels-idx1", np.zeros(count))):
        write_idx(tmp_path / "mnist" / f"train-{kind}-ubyte", values)
    with pytest.raises(DataError, match=f"mnist: has {count:,} training images, too few to set 5,000 apart"):
        load_data("mnist", root=tmp_path, download=False)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_missing_files_are_not_downloaded_unasked(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(DataError, match=f"{name} was not found below {tmp_path}; set NNMASS_DATA"):
        load_data(name, root=tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []


def test_without_torchvision_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    message = (
        r"mnist was not found .* cannot be downloaded: torchvision is not installed: pip install 'nnmass\[models\]'"
    )
    with pytest.raises(DataError, match=message):
        load_data("mnist", root=tmp_path)


def test_missing_files_are_downloaded_by_torchvision(tmp_path, monkeypatch):
    calls = []

    def download(*, root: str, train: bool, download: bool) -> None:
        calls.append((root, train, download))
        write_mnist(Path(root) / "MNIST" / "raw")

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchvision.datasets", SimpleNamespace(MNIST=download))
    assert len(load_data("mnist", root=tmp_path).test) == TEST
    assert calls == [(str(tmp_path), True, True), (str(tmp_path), False, True)]
    load_data("mnist", root=tmp_path)
    assert len(calls) == 2


@pytest.mark.parametrize("error", [OSError("no network\ndetails"), RuntimeError("Error downloading"), OSError()])
def test_failed_downloads_are_told_in_one_line(tmp_path, monkeypatch, error):
    def download(**_: object) -> None:
        raise error

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchvision.datasets", SimpleNamespace(MNIST=download))
    with pytest.raises(DataError, match=f"mnist could not be downloaded to {tmp_path}") as caught:
        load_data("mnist", root=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["imagenet", "MNIST", "no/such/folder", "missing.npz", ""])
def test_unknown_names_are_refused_with_the_known_ones(name):
    known = ", ".join(DATA_NAMES)
    with pytest.raises(DataError, match=f"data '{name}' is neither one of {known} nor an existing folder or .npz file"):
        load_data(name)
