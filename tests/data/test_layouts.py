"""Every layout is read in two ways, into memory and as a stream, and both give one answer."""

import io
import json
import os
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.data import DataWarning, load_data, open_stream
from nnmass.errors import DataError

LAYOUTS = ("folder", "tar", "parquet")
CLASSES = ("cat", "dog", "eel")


def png(shade: int, side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (shade % 256, 90, 20)).save(stream, "PNG")
    return stream.getvalue()


def noise(side: int = 8) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(256, size=(side, side, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


NOISE = noise()


def samples(count: int, classes: int = 3) -> list[tuple[bytes, object]]:
    return [(png(i), i % classes) for i in range(count)]


def write(folder: Path, layout: str, **parts: list[tuple[bytes, object]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, held in parts.items():
        if layout == "folder":
            for i, (content, label) in enumerate(held):
                path = folder / part / CLASSES[label] / f"{i:03}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        elif layout == "tar":
            with tarfile.open(folder / f"{part}-0.tar", "w") as archive:
                for i, (content, label) in enumerate(held):
                    add(archive, f"{i:03}.png", content)
                    add(archive, f"{i:03}.cls", json.dumps(label).encode())
        else:
            images = pa.array([{"bytes": content, "path": None} for content, _ in held])
            table = pa.table({"image": images, "label": [label for _, label in held]})
            pq.write_table(table, folder / f"{part}-0.parquet")
    return folder


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def told(read: Callable[[Path], object], folder: Path) -> tuple[object, list[str]]:
    """What comes of reading a folder, or why it is refused; and what is said of it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = read(folder)
        except DataError as error:
            found = str(error)
    assert all(issubclass(warning.category, DataWarning) for warning in said)
    return found, [str(warning.message) for warning in said]


def in_memory(folder: Path) -> tuple:
    data = load_data(str(folder))
    kept = len(data.train) + len(data.test) if "test" not in {p.name[:4] for p in folder.iterdir()} else len(data.train)
    return data.num_classes, kept, len(data.validation)


def streamed(folder: Path) -> tuple:
    stream = open_stream(folder, image_size=8)
    for part in (stream.train, stream.validation):
        for _ in stream.batches(part, batch_size=8, training=False):
            pass
    return stream.num_classes, len(stream.train), len(stream.validation)


def both(folder: Path) -> tuple[object, list[str]]:
    """The one answer of both readers."""
    (first, said), (second, repeated) = told(in_memory, folder), told(streamed, folder)
    assert said == repeated
    if isinstance(first, str) and isinstance(second, str):
        assert first.replace(str(folder), folder.name) == second.replace(str(folder), folder.name)
    else:
        assert first == second
    return first, said


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sound_data_are_read_alike(tmp_path, layout):
    folder = write(tmp_path / "data", layout, train=samples(30), val=samples(9))
    assert both(folder) == ((3, 30, 9), [])


@pytest.mark.parametrize("layout", ["tar", "parquet"])
@pytest.mark.parametrize(
    ("part", "label", "message"),
    [
        ("train", -1, "train: labels must be whole numbers from 0, got -1 at "),
        ("train", 10**9, "would make 1,000,000,001 classes, of which 4 have samples; number the classes from 0"),
        ("train", 2**62, "would make 4,611,686,018,427,387,905 classes"),
        ("val", -1, r"validation: labels must lie in 0 \.\.\. 2, got -1 at "),
        ("val", 3, r"validation: labels must lie in 0 \.\.\. 2, got 3 at "),
        ("val", 10**9, r"validation: labels must lie in 0 \.\.\. 2, got 1000000000 at "),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, layout, part, label, message):
    parts = {"train": samples(30), "val": samples(9)}
    parts[part][4] = (png(4), label)
    found, said = both(write(tmp_path / "data", layout, **parts))
    with pytest.raises(DataError, match=message):
        raise DataError(found)
    assert said == []


@pytest.mark.parametrize("label", [0.5, float("nan"), 1e30, float("inf"), None, True, "2", [1], {"label": 1}, 2**70])
def test_labels_of_shards_are_whole_numbers(tmp_path, label):
    parts = {"train": samples(30), "val": samples(9)}
    parts["train"][4] = (png(4), label)
    found, _ = both(write(tmp_path / "data", "tar", **parts))
    assert "004.cls: must hold a label (" in found


@pytest.mark.parametrize("layout", ["tar", "parquet"])
def test_whole_floats_are_labels(tmp_path, layout):
    parts = {part: [(content, float(label)) for content, label in samples(30)] for part in ("train", "val")}
    assert both(write(tmp_path / "data", layout, **parts)) == ((3, 30, 30), [])


@pytest.mark.parametrize("layout", ["tar", "parquet"])
def test_a_test_part_whose_labels_are_secret_is_refused(tmp_path, layout):
    secret = [(content, -1) for content, _ in samples(5)]
    found, said = both(write(tmp_path / "data", layout, train=samples(30), val=samples(9), test=secret))
    message = r"test: all labels are -1, as where they are secret: leave this part out; labels must lie in 0"
    with pytest.raises(DataError, match=message):
        raise DataError(found)
    assert said == []


@pytest.mark.parametrize("layout", ["tar", "parquet"])
def test_classes_without_images_are_mentioned(tmp_path, layout):
    gaps = [(content, 2 * label) for content, label in samples(30)]
    found, said = both(write(tmp_path / "data", layout, train=gaps, val=gaps[:8]))
    assert (found, len(said)) == ((5, 30, 8), 1)
    assert said[0].endswith("train: has no sample of 2 of 5 classes (1, 3)")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_held_out_part_without_a_class_is_mentioned(tmp_path, layout):
    found, said = both(write(tmp_path / "data", layout, train=samples(30), val=samples(8, classes=2)))
    assert (found, len(said)) == ((3, 30, 8), 1)
    assert said[0].endswith(f"validation: has no sample of 1 of 3 classes ({'eel' if layout == 'folder' else 2})")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("broken", [b"", b"no image", NOISE[: len(NOISE) // 2]])
def test_more_than_one_image_in_a_hundred_that_cannot_be_read_is_refused(tmp_path, layout, broken):
    parts = {"train": samples(30), "val": samples(9)}
    parts["train"][4] = (broken, 1)
    found, _ = both(write(tmp_path / "data", layout, **parts))
    assert "1 images cannot be decoded, more than 0.01 of all; the first is " in found
    assert ": not an image that can be decoded (" in found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fewer_are_left_out_and_counted(tmp_path, layout):
    parts = {"train": samples(300), "val": samples(9)}
    parts["train"][4] = (b"no image", 1)
    folder = write(tmp_path / "data", layout, **parts)
    with pytest.warns(
        DataWarning, match="1 image left out, as unreadable; the first is .*: not an image that can be decoded"
    ):
        data = load_data(str(folder))
    assert len(data.train) + len(data.test) == 299
    stream = open_stream(folder, image_size=8)
    assert sum(len(labels) for _, labels in stream.batches(stream.train, batch_size=50, training=False)) == 300
    assert len(stream.skipped) == 1  # another image takes its place, so that batches keep their size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sixteen_bit_images_are_the_same_both_ways(tmp_path, layout):
    stream = io.BytesIO()
    Image.fromarray(np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)).save(stream, "PNG")
    folder = write(tmp_path / "data", layout, train=[(stream.getvalue(), i % 2) for i in range(10)], val=samples(4, 2))
    opened = open_stream(folder, image_size=8)
    image = next(opened.batches(opened.train, batch_size=1, training=False))[0]
    expected = np.rint(np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8) / 257)
    np.testing.assert_array_equal(image[0], np.broadcast_to(expected, (3, 8, 8)))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of three classes, 30 training and 9 validation images."""
    return write(tmp_path / "data", "folder", train=samples(30), val=samples(9))


def hidden(folder):
    for name in (".ipynb_checkpoints", "__MACOSX", ".cache"):
        (folder / "train" / name).mkdir()
        (folder / "train" / name / "a.png").write_bytes(png(0))
        (folder / name).mkdir()
        (folder / "train" / "cat" / name).mkdir()
        (folder / "train" / "cat" / name / "a.png").write_bytes(png(0))
    for name in ("._000.png", ".DS_Store", "Thumbs.db", "notes.txt", "labels.csv"):
        (folder / "train" / "cat" / name).write_bytes(b"nothing")
    (folder / "val" / ".hidden").mkdir()


def notes_beside_classes(folder):
    for name in ("README.md", "classes.json"):
        (folder / name).write_text("")
        (folder / "train" / name).write_text("")


def deeper(folder):
    for k, path in enumerate(sorted((folder / "train" / "cat").iterdir())):
        path.rename(path.parent.parent / f"moved-{k}.png")
    for k, path in enumerate(sorted((folder / "train").glob("moved-*"))):
        inner = folder / "train" / "cat" / "images" / str(k % 2)
        inner.mkdir(parents=True, exist_ok=True)
        path.rename(inner / path.name)


def an_empty_held_out_folder(folder):
    (folder / "val" / "fox").mkdir()


def linked_class(folder):
    (folder / "train" / "cat").rename(folder.parent / "elsewhere")
    (folder / "train" / "cat").symlink_to(folder.parent / "elsewhere")


def linked_images(folder):
    for path in sorted((folder / "train" / "cat").iterdir()):
        path.rename(folder.parent / path.name)
        path.symlink_to(folder.parent / path.name)


def upper_case(folder):
    for path in sorted((folder / "train" / "cat").iterdir()):
        path.rename(path.with_suffix(".PNG"))


SOUND = (hidden, notes_beside_classes, deeper, an_empty_held_out_folder, linked_class, linked_images, upper_case)


@pytest.mark.parametrize("change", SOUND)
def test_folders_are_read_whatever_lies_beside_and_however_deep(folder, change):
    change(folder)
    assert both(folder) == ((3, 30, 9), [])


def empty_class(folder):
    (folder / "train" / "ant").mkdir()


def class_of_other_files(folder):
    (folder / "train" / "ant").mkdir()
    (folder / "train" / "ant" / "a.heic").write_bytes(b"nothing")


def only_held_out(folder):
    (folder / "val" / "fox").mkdir()
    (folder / "val" / "fox" / "a.png").write_bytes(png(0))


def two_validations(folder):
    (folder / "validation").mkdir()


def no_training(folder):
    (folder / "train").rename(folder / "test")


REFUSED = {
    empty_class: "class folder 'ant' holds no images",
    class_of_other_files: "class folder 'ant' holds no images, but 1 other file such as a.heic",
    only_held_out: "class 'fox' has no training images",
    two_validations: "has validation and val, which are the same part; keep one",
    no_training: "needs train/CLASS/*.jpg, train*.tar or train*.parquet, has test, val",
}


@pytest.mark.parametrize("change", REFUSED)
def test_folders_that_are_not_what_they_seem_are_refused(folder, change):
    change(folder)
    found, said = both(folder)
    assert REFUSED[change] in found
    assert said == []


def left_out_files(folder):
    for i in range(4):
        (folder / "train" / "cat" / f"{i}.heic").write_bytes(b"nothing")
    (folder / "train" / "dog" / "LICENSE").write_bytes(b"nothing")


def loose_images(folder):
    for i in range(3):
        (folder / "train" / f"{i}.png").write_bytes(png(i))


def other_parts(folder):
    (folder / "extra" / "cat").mkdir(parents=True)


def round_link(folder):
    (folder / "train" / "cat" / "up").symlink_to(folder)


def two_links_round(folder):
    (folder / "train" / "cat" / "one").mkdir()
    (folder / "train" / "cat" / "one" / "again").symlink_to(folder / "train" / "cat" / "one")


def uneven_kinds(folder):
    for path in sorted((folder / "train" / "cat").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".tif"))
        path.unlink()


SAID = {
    left_out_files: "train: 5 files left out, of a kind that is not read (.heic 4, no ending 1)",
    loose_images: "train: 3 files left out, in no class folder (.png 3)",
    other_parts: "1 folder beside its parts left out (extra)",
    round_link: "up: is a link to a folder that is read already, or that it lies in; it was left out",
    two_links_round: "again: is a link to a folder that is read already, or that it lies in; it was left out",
    uneven_kinds: "train: .png files make up 100% of class 'dog' and none of 'cat': a network may learn how",
}


@pytest.mark.parametrize("change", SAID)
def test_what_is_left_out_is_said(folder, change):
    change(folder)
    found, said = both(folder)
    assert found == (3, 30, 9)
    assert len(said) == 1
    assert SAID[change] in said[0]


@pytest.mark.parametrize("form", ["TIFF", "GIF", "PPM", "JPEG2000"])
def test_other_formats_are_read(tmp_path, form):
    ending = {"TIFF": "tif", "GIF": "GIF", "PPM": "ppm", "JPEG2000": "jp2"}[form]
    for part in ("train", "val"):
        for k, name in enumerate(CLASSES):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(6):
                Image.new("RGB", (16, 16), (40 * k, i, 0)).save(tmp_path / part / name / f"{i}.{ending}", form)
    assert both(tmp_path) == ((3, 18, 18), [])


def test_what_lies_beside_parquet_files_is_said(tmp_path):
    folder = write(tmp_path / "data", "parquet", train=samples(30), val=samples(9))
    write(folder, "folder", more=samples(3))
    (folder / "README.md").write_text("")
    (folder / "._train-0.parquet").write_bytes(b"nothing")
    found, said = both(folder)
    assert found == (3, 30, 9)
    assert said == [f"{folder}: only its .parquet files are read; 1 folder or shard left out (more)"]


def shards(folder: Path, members: list[tuple[str, bytes]]) -> Path:
    folder.mkdir()
    for part in ("train", "val"):
        with tarfile.open(folder / f"{part}-0.tar", "w") as archive:
            for name, content in members:
                add(archive, name, content)
    return folder


@pytest.mark.parametrize("prefix", ["", "./", "v1.0/", "./v1.0/a.b/", "/data/", "../", "a/./"])
def test_keys_are_cut_at_the_first_dot_of_the_name(tmp_path, prefix):
    members = [
        (f"{prefix}{i:03}.{end}", content)
        for i in range(6)
        for end, content in (("png", png(i)), ("cls", b"%d" % (i % 2)))
    ]
    assert both(shards(tmp_path / "data", members)) == ((2, 6, 6), [])


def test_the_same_name_in_two_folders_is_two_keys(tmp_path):
    members = [
        (f"v{k}.0/{i}.{end}", content)
        for k in range(2)
        for i in range(3)
        for end, content in (("png", png(i)), ("cls", b"%d" % k))
    ]
    assert both(shards(tmp_path / "data", members)) == ((2, 6, 6), [])


def test_members_that_are_no_samples_are_passed_over(tmp_path):
    members = [
        (f"{i}.{end}", content) for i in range(6) for end, content in (("png", png(i)), ("cls", b"%d" % (i % 2)))
    ]
    members += [
        ("._0.png", b"Mac"),
        ("__MACOSX/0.png", b"Mac"),
        ("0.txt", b"a cat"),
        ("0.seg.png", b"mask"),
        ("README", b""),
    ]
    assert both(shards(tmp_path / "data", members)) == ((2, 6, 6), [])


@pytest.mark.parametrize("facts", [b'{"width": 8}', b'{"label": 7}', b"no json", b"[1]"])
def test_cls_comes_before_json(tmp_path, facts):
    ends = [("png", png), ("json", lambda i: facts), ("cls", lambda i: b"%d" % (i % 2))]
    members = [(f"{i}.{end}", content(i)) for i in range(6) for end, content in ends]
    assert both(shards(tmp_path / "data", members)) == ((2, 6, 6), [])


def test_labels_without_an_image_are_counted(tmp_path):
    members = [
        (f"{i}.{end}", content) for i in range(6) for end, content in (("png", png(i)), ("cls", b"%d" % (i % 2)))
    ]
    members += [("6.heic", b"nothing"), ("6.cls", b"1"), ("7.cls", b"0")]
    found, said = both(shards(tmp_path / "data", members))
    assert (found, len(said)) == ((2, 6, 6), 2)
    assert "2 samples of train-0.tar, … left out: a label, but no image" in said[0]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("layout", ["tar", "parquet"])
def test_files_that_were_cut_off_are_refused(tmp_path, layout, share):
    folder = write(tmp_path / "data", layout, train=samples(30), val=samples(9))
    (path,) = folder.glob("train*")
    os.truncate(path, int(path.stat().st_size * share))
    found, _ = both(folder)
    assert isinstance(found, str), "cut off, and yet read"


@pytest.mark.parametrize("members", range(1, 9))
def test_shards_that_were_cut_off_between_members_are_refused(tmp_path, members):
    folder = write(tmp_path / "data", "tar", train=samples(30), val=samples(9))
    os.truncate(folder / "train-0.tar", members * 2 * 1024)
    assert "was cut off: the end mark of a tar file is missing" in both(folder)[0]


def test_images_of_a_folder_need_not_fit_where_they_are_streamed(tmp_path):
    parts = {"train": samples(30), "val": samples(9)}
    parts["train"][4] = (png(4, side=9), 1)
    folder = write(tmp_path / "data", "folder", **parts)
    with pytest.raises(
        DataError, match=r"all images must have one size, got \(9, 9\) after \(8, 8\); give an image size"
    ):
        load_data(str(folder))
    assert streamed(folder) == (3, 30, 9)
