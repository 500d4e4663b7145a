import os
import re
import socket

import pytest

from nnmass import memory
from nnmass.errors import ResourceError
from nnmass.files import open_regular, read_bytes, read_json, read_text


def test_regular_files_are_read_through_links(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with open_regular(tmp_path / "link") as stream:
        assert stream.read() == b"content"
    assert read_bytes(tmp_path / "file", limit=7) == b"content"
    assert read_text(tmp_path / "file", limit=7) == "content"


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


def make_link_to_a_device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkdir, "a folder"),
        (make_pipe, "a named pipe"),
        (make_socket, "a socket"),
        (make_link_to_a_device, "a device"),
    ],
)
def test_what_is_no_file_is_refused_without_waiting(tmp_path, make, kind):
    path = tmp_path / "x"
    make(path)
    with pytest.raises(OSError, match=re.escape(f"is {kind}, not a file")) as caught:
        open_regular(path)
    assert caught.value.filename == str(path)


def test_names_that_no_file_can_have_are_refused():
    with pytest.raises(OSError, match="null"):
        open_regular("a\0b")
    with pytest.raises(OSError, match="too long"):
        open_regular("a" * 5000)
    with pytest.raises(FileNotFoundError):
        open_regular("missing")


def test_no_more_is_read_than_is_allowed(tmp_path):
    (tmp_path / "big").write_bytes(bytes(3000))
    with pytest.raises(OSError, match=r"has 2.9 KiB; a label file may have at most 2.0 KiB"):
        read_bytes(tmp_path / "big", limit=2048, what="a label file")


def test_text_has_to_be_utf_8(tmp_path):
    (tmp_path / "latin").write_bytes(b"gr\xf6\xdfe")
    with pytest.raises(OSError, match="is not UTF-8 text"):
        read_text(tmp_path / "latin", limit=100)


def test_memory_is_refused_before_it_is_taken(monkeypatch):
    assert 2**28 < memory.machine_memory() < 2**60
    memory.require_memory(2**20, "a megabyte")
    monkeypatch.setattr(memory, "machine_memory", lambda: 8 * 2**30)
    with pytest.raises(ResourceError, match=r"the batch: needs 12.0 GiB of memory; this machine has 8.0 GiB"):
        memory.require_memory(12 * 2**30, "the batch")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "nested too deep"),
        ("1" * 5000, "4300 digits"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number of JSON"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_what_is_no_json_is_a_value_error(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "x.json")
