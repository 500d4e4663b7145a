from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.data import DataWarning, load_data, read_folder, read_npz
from nnmass.errors import DataError

SHADES = {"cat": 40, "dog": 120, "eel": 200}


@pytest.fixture
def images(tmp_path):
    """Write so many plain images of each class below a folder, named as a person would."""

    def to_folder(folder: str, counts: dict[str, int], *, size: tuple[int, int] = (4, 4)):
        for name, count in counts.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.full((*size, 3), SHADES[name] + i, np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{i:02}.{'PNG' if i % 2 else 'bmp'}")
        return tmp_path

    return to_folder


def sizes(data) -> list[int]:
    return [len(data.train), len(data.validation), len(data.test)]


def shades(part) -> list[int]:
    return (part.inputs[:, 0, 0, 0] // 40).tolist()


def test_class_folders_are_split_and_labelled_by_name(images):
    data = read_folder(images("pets", {"dog": 10, "cat": 20}) / "pets")
    assert sizes(data) == [22, 2, 6]
    assert (data.name, data.num_classes, data.input_shape) == ("pets", 2, (3, 4, 4))
    whole = np.concatenate([part.inputs[:, 0, 0, 0] for part in (data.train, data.validation, data.test)])
    assert sorted(whole) == [*range(40, 60), *range(120, 130)]
    for part in (data.train, data.validation, data.test):
        assert part.labels.tolist() == [int(shade >= 120) for shade in part.inputs[:, 0, 0, 0]]


@pytest.mark.parametrize(
    ("validation", "expected"),
    [(None, [18, 2, 3]), ("validation", [20, 4, 3]), ("valid", [20, 4, 3]), ("val", [20, 4, 3])],
)
def test_parts_that_are_there_are_kept(images, validation, expected):
    images("train", {"cat": 10, "dog": 10})
    root = images("test", {"cat": 1, "dog": 2})
    if validation:
        images(validation, {"dog": 4})
    missing = pytest.warns(DataWarning, match=r"validation: has no sample of 1 of 2 classes \(cat\)")
    with missing if validation else nullcontext():
        data = read_folder(root)
    assert sizes(data) == expected
    assert shades(data.test) == [1, 3, 3]
    assert data.test.labels.tolist() == [0, 1, 1]
    if validation:
        assert set(data.validation.labels) == {1}


def test_a_training_folder_alone_is_split(images):
    assert sizes(read_folder(images("train", {"cat": 10, "dog": 10}))) == [15, 1, 4]


def test_normalisation_is_that_of_the_training_part(images):
    data = read_folder(images("pets", {"cat": 20, "dog": 20}) / "pets")
    scaled = data.train.inputs / 255
    assert data.mean == pytest.approx([scaled[:, c].mean() for c in range(3)], rel=1e-5)
    assert data.std == pytest.approx([scaled[:, c].std() for c in range(3)], rel=1e-5)


def test_constant_channels_are_not_divided_by_zero(tmp_path):
    for i in range(10):
        (tmp_path / "cat").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "cat" / f"{i}.png")
    assert read_folder(tmp_path).std == (1, 1, 1)


def test_images_of_different_sizes_need_an_image_size(images):
    images("pets", {"cat": 10}, size=(4, 4))
    root = images("pets", {"dog": 10}, size=(5, 8)) / "pets"
    with pytest.raises(
        DataError, match=r"dog/00\.bmp: all images must have one size, got \(5, 8\) after \(4, 4\); give an"
    ):
        read_folder(root)
    assert read_folder(root, image_size=6).input_shape == (3, 6, 6)
    assert load_data(str(root), image_size=6).input_shape == (3, 6, 6)


def test_other_files_are_passed_over(images):
    root = images("pets", {"cat": 10, "dog": 10}) / "pets"
    (root / "cat" / "notes.txt").write_text("good cat")
    (root / "readme.md").write_text("pets")
    assert sum(sizes(read_folder(root))) == 20


def test_a_class_without_training_images_is_refused(images):
    images("train", {"cat": 10, "dog": 10})
    with pytest.raises(DataError, match="test: class 'eel' has no training images"):
        read_folder(images("test", {"cat": 1, "eel": 1}))


def test_a_broken_image_is_named(images):
    root = images("pets", {"cat": 10}) / "pets"
    (root / "cat" / "zz.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cat/zz\.png: not an image that can be decoded"):
        read_folder(root)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="needs one folder of images per class, found none in"):
        read_folder(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.txt").write_text("")
    with pytest.raises(DataError, match=r"no image files \(\.bmp, \.gif, .*\) in its class folders"):
        read_folder(tmp_path)


def test_missing_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="missing"):
        read_folder(tmp_path / "missing")


def write_parquet(path, count: int) -> None:
    Image.fromarray(np.full((2, 2), count, np.uint8)).save(path.with_suffix(".png"))
    row = {"bytes": path.with_suffix(".png").read_bytes()}
    pq.write_table(pa.table({"image": [row] * count, "label": [i % 3 for i in range(count)]}), path)


def test_parquet_files_are_told_apart_by_name(tmp_path):
    for name, count in [("train-0-of-2", 12), ("train-1-of-2", 8), ("valid-0-of-1", 5), ("test", 4)]:
        write_parquet(tmp_path / f"{name}.parquet", count)
    data = read_folder(tmp_path)
    assert sizes(data) == [20, 5, 4]
    assert data.train.inputs[:, 0, 0, 0].tolist() == [12] * 12 + [8] * 8
    assert (data.num_classes, data.input_shape) == (3, (1, 2, 2))


def test_parquet_files_of_unknown_or_without_training_parts_are_refused(tmp_path):
    write_parquet(tmp_path / "test.parquet", 4)
    with pytest.raises(DataError, match=r"has no train\*\.parquet"):
        read_folder(tmp_path)
    write_parquet(tmp_path / "data.parquet", 4)
    with pytest.raises(DataError, match=r"data\.parquet: its name must begin with train, validation"):
        read_folder(tmp_path)


def test_archives_are_read_with_and_without_a_test_part(tmp_path):
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 3
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    data = load_data(str(tmp_path / "mine.npz"))
    assert (sizes(data), data.name, data.num_classes) == ([15, 1, 4], "mine", 3)
    np.savez_compressed(tmp_path / "more.npz", x=x, y=y, x_test=x[:5], y_test=y[:5])
    data = read_npz(tmp_path / "more.npz")
    assert sizes(data) == [18, 2, 5]
    np.testing.assert_array_equal(data.test.inputs, x[:5])
    np.testing.assert_array_equal(data.test.labels, y[:5])


def test_archives_of_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}, {}], object), y=[0, 1])
    with pytest.raises(DataError, match=r"a\.npz, x: must hold numbers, got object; objects are not read"):
        read_npz(tmp_path / "a.npz")


def test_archives_without_x_and_y_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros(3), y=np.zeros(3))
    with pytest.raises(DataError, match=r"a\.npz: needs the arrays x and y, has images, y"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "array", "head", "cut"])
def test_what_is_no_archive_is_refused(tmp_path, kind):
    np.save(tmp_path / "b.npy", np.zeros(3))
    np.savez(tmp_path / "c.npz", x=np.zeros(300), y=np.zeros(300))
    contents = {
        "empty": b"",
        "text": b"x,y",
        "array": (tmp_path / "b.npy").read_bytes(),
        "head": b"PK\x03\x04 of a zip",
    }
    contents["cut"] = (tmp_path / "c.npz").read_bytes()[:900]
    path = tmp_path / "a.npz"
    if kind in contents:
        path.write_bytes(contents[kind])
    with pytest.raises(DataError, match=r"a\.npz: (cannot be read as a NumPy|holds a single array; needs an) archive"):
        read_npz(path)


def test_damaged_archives_are_read_or_refused_but_nothing_else(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(200.0).reshape(20, 10), y=np.arange(20) % 3)
    content = path.read_bytes()
    refused = 0
    for i, byte in enumerate(content):
        path.write_bytes(content[:i] + bytes([byte ^ 0xFF]) + content[i + 1 :])
        try:
            read_npz(path)
        except DataError:
            refused += 1
    assert refused > len(content) / 2
