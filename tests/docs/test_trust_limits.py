"""The limits that docs/trust.md states are those of the code."""

import inspect
from pathlib import Path

import pytest

from nnmass import files
from nnmass.cli import ranges
from nnmass.data import images, layouts, left_out
from nnmass.designing.spaces import limits
from nnmass.memory import bytes_text
from nnmass.sweeps import plan
from nnmass.topology import LARGEST
from nnmass.tracing import input_types, onnx_file, published

PAGE = (Path(__file__).parents[2] / "docs" / "trust.md").read_text()


def size(count: int) -> str:
    return bytes_text(count).replace(".0", "")


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("specification, space, recipe", size(inspect.signature(files.read_json).parameters["limit"].default)),
        ("widths, depths and other sizes", f"{LARGEST:,}"),
        ("values of one choice of a design space", f"{limits.MOST_CHOICES:,}; {limits.MOST_OPTIONS:,}"),
        ("networks of one sweep's grid", f"{plan._MOST:,}"),
        ("numbers of one input of a model", "2³¹ − 1" if input_types._LARGEST == 2**31 - 1 else "?"),
        ("ONNX file", size(onnx_file._LARGEST_FILE)),
        ("image", "2²⁶ pixels" if images.MOST_PIXELS == 2**26 else "?"),
        ("image", size(images.MOST_BYTES)),
        (f"compressed data above {size(left_out._FREE_BYTES)}", f"{left_out._MOST_EXPANSION}-fold"),
        ("published results", size(published._LARGEST)),
        ("budgets", "10¹⁸" if ranges._MOST == 10**18 else "?"),
    ],
)
def test_a_stated_limit_is_that_of_the_code(what, limit):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {what}")]
    assert limit in row


def test_the_share_of_images_that_may_be_unreadable():
    assert f"(at most {layouts.MAX_CORRUPT:.0%})".replace("%", " %") in PAGE
