import io
import json
import os
import random
import subprocess
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nnmass.data import ImageAugmentation, StreamPart, open_stream, read_folder
from nnmass.data.image_files import FolderFiles
from nnmass.errors import DataError, ResourceError

CLASSES = ("ant", "bee", "cat")
LAYOUTS = ("folder", "tar", "parquet")


def encoded(seed, side=20):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(256, size=(side, side + seed % 3, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


TRAIN = [(f"t{i:03}", encoded(i), i % 3) for i in range(41)]
VALID = [(f"v{i:03}", encoded(100 + i), i % 3) for i in range(11)]


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write(folder, layout, train=TRAIN, valid=VALID):
    folder.mkdir(parents=True, exist_ok=True)
    for part, samples in (("train", train), ("val", valid)):
        if layout == "folder":
            for key, content, label in samples:
                path = folder / part / CLASSES[label] / f"{key}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        elif layout == "tar":
            for k in range(2):
                with tarfile.open(folder / f"{part}-{k}.tar", "w") as archive:
                    for i, (key, content, label) in enumerate(samples[k::2]):
                        add(archive, f"{key}.jpg", content)
                        kind, said = ("json", json.dumps({"label": label})) if i % 2 else ("cls", str(label))
                        add(archive, f"{key}.{kind}", said.encode())
        else:
            kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
            images = pa.array([{"bytes": content, "path": key} for key, content, _ in samples], kind)
            table = pa.table({"image": images, "label": pa.array([label for *_, label in samples])})
            pq.write_table(table, folder / f"{part}-0.parquet", row_group_size=9)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {layout: write(tmp_path_factory.mktemp(layout), layout) for layout in LAYOUTS}


@pytest.fixture(params=LAYOUTS)
def stream(request, folders):
    return open_stream(folders[request.param], image_size=16)


def epoch(stream, **options):
    given = {"batch_size": 8, "seed": 1, "epoch": 2, "training": True, **options}
    return list(stream.batches(stream.train, **given))


def test_every_layout_holds_the_same(folders):
    streams = [open_stream(folder, image_size=16) for folder in folders.values()]
    for part in ("train", "validation"):
        found = set()
        for stream in streams:
            files = getattr(stream, part).files
            found.add(frozenset((files.read(i), int(files.labels[i])) for i in range(len(files.labels))))
        assert len(found) == 1
    assert {(s.num_classes, s.input_shape, len(s.train), len(s.validation)) for s in streams} == {
        (3, (3, 16, 16), 41, 11)
    }
    assert all(s.test.files is s.validation.files for s in streams)


def test_measuring_takes_every_image_in_order(stream):
    batches = list(stream.batches(stream.validation, batch_size=4, training=False))
    assert [len(labels) for _, labels in batches] == [4, 4, 3]
    labels = torch.cat([labels for _, labels in batches])
    assert torch.equal(labels, torch.from_numpy(stream.validation.files.labels))
    images = torch.cat([images for images, _ in batches])
    assert (images.dtype, images.shape) == (torch.uint8, (11, 3, 16, 16))


def test_an_epoch_has_every_image_once(stream):
    seen = stream.batches(stream.train, batch_size=8, seed=0, training=True)
    labels = torch.cat([labels for _, labels in seen])
    assert torch.bincount(labels).tolist() == np.bincount(stream.train.files.labels).tolist()


def test_another_epoch_or_seed_is_another_order(stream):
    orders = {tuple(torch.cat([y for _, y in epoch(stream, seed=s, epoch=e)]).tolist()) for s in (0, 1) for e in (0, 1)}
    assert len(orders) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_going_on_within_an_epoch_sees_the_same(folders, workers):
    for layout in LAYOUTS if workers == 0 else ("parquet",):
        whole = epoch(open_stream(folders[layout], image_size=16))
        rest = epoch(open_stream(folders[layout], image_size=16, workers=workers), start=2)
        assert len(rest) == len(whole) - 2
        for (images, labels), (expected, theirs) in zip(rest, whole[2:], strict=True):
            assert torch.equal(images, expected)
            assert torch.equal(labels, theirs)


def test_processes_share_a_batch(stream):
    whole = epoch(stream)
    shares = [epoch(stream, rank=rank, world=3) for rank in range(3)]
    for k, (images, labels) in enumerate(whole):
        for rank in range(3):
            assert torch.equal(shares[rank][k][0], images[rank::3])
            assert torch.equal(shares[rank][k][1], labels[rank::3])


def test_training_images_are_altered_and_random_states_kept(folders):
    stream = open_stream(folders["folder"], image_size=16, augmentation=ImageAugmentation("rand-m9", color_jitter=0.4))
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    plain = epoch(open_stream(folders["folder"], image_size=16))
    altered, again, later = epoch(stream), epoch(stream), epoch(stream, epoch=3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(altered, again, strict=True))
    for other in (plain, later):
        assert (
            sum(torch.equal(a, b) for (a, _), (b, _) in zip(altered, other, strict=True)) <= 1
        )  # the last has one image


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unreadable_images_are_skipped_and_listed(tmp_path, layout):
    damaged = [(key, b"no image" if i in (5, 6) else content, label) for i, (key, content, label) in enumerate(TRAIN)]
    stream = open_stream(write(tmp_path / layout, layout, damaged), image_size=16, max_corrupt=0.05)
    batches = epoch(stream)
    assert [len(labels) for _, labels in batches] == [8, 8, 8, 8, 8, 1]
    assert len(stream.skipped) == 2
    assert all("cannot identify image" in why for why in stream.skipped.values())
    strict = open_stream(tmp_path / layout, image_size=16)
    with pytest.raises(
        DataError, match=r"images cannot be decoded, more than 0\.01 of all; the first is .*cannot identify"
    ):
        epoch(strict)


def test_nothing_readable_at_all(tmp_path):
    none = [(key, b"", label) for key, _, label in TRAIN]
    with pytest.raises(DataError, match="no image of this part can be decoded"):
        epoch(open_stream(write(tmp_path, "folder", none), image_size=16, max_corrupt=1))


def test_the_digest_follows_labels_names_and_size(folders, tmp_path):
    stream = open_stream(folders["folder"], image_size=16)
    assert stream.digest == open_stream(folders["folder"], image_size=16).digest
    others = [
        open_stream(folders["folder"], image_size=24),
        open_stream(folders["folder"], image_size=16, augmentation=ImageAugmentation(hflip=0)),
        open_stream(write(tmp_path, "folder", TRAIN[:-1]), image_size=16),
    ]
    assert len({stream.digest, *(other.digest for other in others)}) == 4


def without(folder, part):
    for path in folder.glob(f"{part}*"):
        path.unlink()


def relabelled(samples, label):
    return [(key, content, label) for key, content, _ in samples]


@pytest.mark.parametrize(
    ("layout", "train", "valid", "message"),
    [
        ("tar", TRAIN, [], "holds no images"),
        ("tar", relabelled(TRAIN, 0), relabelled(VALID, 0), "has 1 classes, needs at least 2"),
        ("parquet", TRAIN, relabelled(VALID, 5), r"validation: labels must lie in 0 \.\.\. 2, got 5 at .*row 0"),
        ("folder", [s for s in TRAIN if s[2] < 2], VALID, "class 'cat' has no training images"),
        ("folder", TRAIN, [], r"needs a part to train on and one held out .* has \['train'\]"),
        ("folder", [], VALID, r"needs train/CLASS/\*\.jpg, train\*\.tar or train\*\.parquet"),
        (
            "tar",
            [(k, c, -1) for k, c, _ in TRAIN],
            VALID,
            "train: labels must be whole numbers from 0, got -1 at .*t000",
        ),
    ],
)
def test_what_is_no_such_data(tmp_path, layout, train, valid, message):
    with pytest.raises(DataError, match=message):
        open_stream(write(tmp_path, layout, train, valid), image_size=16)


def test_damaged_and_misnamed_files(tmp_path):
    for name, content, message in (
        ("train.tar", b"no tar", "train.tar: cannot be read as a tar file"),
        ("train.parquet", b"no parquet", "train.parquet: cannot be read as Parquet"),
        ("other.tar", b"", "other.tar: its name must begin with train, validation, valid, val or test"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_stream(folder)
    with pytest.raises(DataError, match="no such folder"):
        open_stream(tmp_path / "nowhere")


def test_an_image_without_a_label(tmp_path):
    with tarfile.open(tmp_path / "train.tar", "w") as archive:
        add(archive, "a.jpg", TRAIN[0][1])
    with pytest.raises(DataError, match=r"image 'a' has no label; needs a\.cls or a \.json with label"):
        open_stream(tmp_path)


@pytest.mark.skipif("NNMASS_DATA" not in os.environ, reason="NNMASS_DATA is not set")
def test_tiny_imagenet():
    stream = open_stream(os.path.join(os.environ["NNMASS_DATA"], "tiny-imagenet-100"), image_size=64, workers=1)
    assert (stream.num_classes, len(stream.train), len(stream.validation)) == (100, 50_000, 5_000)
    images, labels = next(stream.batches(stream.train, batch_size=256, training=True))
    assert images.shape == (256, 3, 64, 64)
    assert len(labels.unique()) > 50


KILLED = """
import os, signal, sys
from dataclasses import replace
import numpy as np
from nnmass.data import StreamPart, open_stream
from nnmass.errors import ResourceError

class Deadly:
    labels = chunks = np.zeros(8, np.int64)
    def name(self, i):
        return str(i)
    def read(self, i):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    stream = open_stream(sys.argv[1], image_size=16, workers=1)
    try:
        list(stream.batches(StreamPart("train", Deadly()), batch_size=4, training=False))
    except ResourceError as error:
        print(error)
"""


def test_a_decoding_process_that_is_killed_is_said_in_a_line(folders, tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run(
        [sys.executable, tmp_path / "killed.py", folders["tar"]], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("a process that decodes images was ended (DataLoader worker"), done.stderr
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(("size", "message"), [(0, "at least 1 pixel, got 0"), (-3, "at least 1 pixel, got -3")])
def test_images_have_a_size(folders, size, message):
    for read in (open_stream, read_folder):
        with pytest.raises(DataError, match=message):
            read(folders["tar"], image_size=size)


@pytest.mark.parametrize("size", [10**6, 10**9])
def test_images_larger_than_memory_are_refused(folders, size):
    for read in (open_stream, read_folder):
        with pytest.raises(ResourceError, match=r"images of 1,000,000(,000)? × .* of memory; this machine has"):
            read(folders["tar"], image_size=size)


def test_batches_larger_than_memory_are_refused(folders):
    stream = open_stream(folders["tar"], image_size=10**4)
    part = StreamPart("train", FolderFiles([], np.zeros(10**6, np.int64)))
    with pytest.raises(ResourceError, match=r"a batch: 1,000,000 images of 10,000 × 10,000 pixels: needs"):
        next(stream.batches(part, batch_size=10**9, training=False))
