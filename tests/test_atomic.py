import errno
import json
import os
import stat
from pathlib import Path

import pytest

from nnmass import atomic
from nnmass.errors import DestinationError


def test_bytes_and_text_are_written_whole(tmp_path):
    assert atomic.write_bytes(tmp_path / "a.bin", b"\x00\xff") == tmp_path / "a.bin"
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"
    assert atomic.write_text(str(tmp_path / "b.txt"), "ρ ≤ 1\n") == tmp_path / "b.txt"
    assert (tmp_path / "b.txt").read_bytes() == "ρ ≤ 1\n".encode()
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "b.txt"]


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_text("a longer old content")
    atomic.write_text(path, "new")
    assert path.read_text() == "new"


def test_readers_of_the_old_file_keep_it(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        atomic.write_text(path, "new")
        assert reader.read() == "old"


def test_missing_parent_folders_are_made(tmp_path):
    path = atomic.write_text(tmp_path / "a" / "b" / "file", "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["OSError", "KeyboardInterrupt"])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call, error):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, call, fail)
        with pytest.raises(type(error)):
            atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "chmod", "mkstemp"])
def test_several_files_are_all_old_where_one_cannot_be_written(tmp_path, monkeypatch, call):
    (tmp_path / "a").write_text("old")
    module = atomic.tempfile if call == "mkstemp" else atomic.os
    original, calls = getattr(module, call), []

    def fail_the_second_time(*given, **options):
        calls.append(given)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "disk full")
        return original(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, call, fail_the_second_time)
        with pytest.raises(OSError, match=r"disk full.*b'"):
            atomic.write_files(tmp_path, {"a": b"new", "b": b"new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}
    atomic.write_files(tmp_path / "below", {"a": b"1", "b": b"2"})
    assert [(tmp_path / "below" / name).read_bytes() for name in "ab"] == [b"1", b"2"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        path = atomic.write_text(tmp_path / "file", "x")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_json_round_trip(tmp_path):
    value = {"mass": 40.25, "cells": [1, 2], "none": None, "text": "ρ"}
    path = atomic.write_json(tmp_path / "a.json", value)
    assert json.loads(path.read_text()) == value
    assert path.read_text().endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_nan_or_infinity(tmp_path, value):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(path, {"loss": [0.5, value]})
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def full(path, *_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_error_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device") as found:
            atomic.write_text(path, "new")
    assert found.value.filename == str(path)
    for unwritable in ("/proc/nowhere/file", tmp_path):
        with pytest.raises(OSError, match=r"No such|directory") as found:
            atomic.write_text(unwritable, "x")
        assert found.value.filename == str(unwritable)


def test_what_a_killed_process_left_is_removed_after_a_while(tmp_path):
    old, fresh, other = (tmp_path / name for name in (".a[1].txt.x8s7", ".a[1].txt.y9f3", ".b.txt.x8s7"))
    for path in (old, fresh, other):
        path.write_text("half")
    for path in (old, other):
        os.utime(path, (0, 0))
    atomic.write_text(tmp_path / "a[1].txt", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([fresh.name, other.name, "a[1].txt"])


def test_a_folder_is_tried_before_long_work_and_nothing_is_left(tmp_path):
    assert atomic.require_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert os.listdir(tmp_path) == []
    (tmp_path / "plain").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for unwritable, reason in (
        (tmp_path / "plain", "not a directory"),
        (tmp_path / "plain" / "b" / "c", "not a directory"),
        (tmp_path / "link", "no such file or directory"),
        (tmp_path / "link" / "b", "no such file or directory"),
        (tmp_path / ("x" * 300), "file name too long"),
        (Path("/proc/nowhere/b"), "no such file or directory|permission denied"),
    ):
        with pytest.raises(DestinationError, match=f"^cannot write to {unwritable}: ({reason})$"):
            atomic.require_writable(unwritable)


def test_a_forbidden_folder_is_told_with_its_reason(tmp_path, monkeypatch):
    def forbidden(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(atomic.tempfile, "TemporaryFile", forbidden)  # tests may run as root, whom nothing is forbidden
    with pytest.raises(DestinationError, match=f"^cannot write to {tmp_path}: permission denied$"):
        atomic.require_writable(tmp_path)
