import json

import pytest

from nnmass.architectures import DenseCNN, DenseMLP, load_spec, spec_from_dict
from nnmass.errors import SpecificationError

VALUES = {"family": "DenseMLP", "width": 2, "depth": 4, "max_skips": 3}
LINKS = [[[], [], [0, 1], [0, 1, 3]]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spec.json"


def refused(path, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        load_spec(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_written_by_hand_is_read(path):
    path.write_text(json.dumps(VALUES))
    assert load_spec(path) == load_spec(str(path)) == DenseMLP(width=2, depth=4, max_skips=3)
    path.write_text(json.dumps(VALUES | {"links": LINKS}))
    assert load_spec(path).links == (((), (), (0, 1), (0, 1, 3)),)


def test_lists_become_one_entry_per_cell():
    spec = spec_from_dict({"family": "DenseCNN", "widths": [4, 8], "depth": [3, 5], "max_skips": [1, 2]})
    assert spec == DenseCNN(widths=(4, 8), depth=(3, 5), max_skips=(1, 2))


def test_missing_files_are_refused(path):
    refused(path, "cannot be read as a specification .*No such file")


def test_directories_are_refused(tmp_path):
    refused(tmp_path, "cannot be read as a specification .*is a folder, not a file")


def test_binary_junk_is_refused(path):
    path.write_bytes(bytes(range(256)))
    refused(path, r"cannot be read as a specification \(is not UTF-8 text")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{'family': 'DenseMLP'}",
        '{"family": "DenseMLP",}',
        "[" * 100_000,
        '{"width": ' + "9" * 5_000 + "}",
        '{"width": NaN}',
    ],
    ids=["empty", "open", "quotes", "comma", "deep", "digits", "nan"],
)
def test_what_is_not_json_is_refused(path, text):
    path.write_text(text)
    refused(path, "not JSON")


@pytest.mark.parametrize(("text", "kind"), [("[]", "list"), ("null", "NoneType"), ('"DenseMLP"', "str"), ("3", "int")])
def test_other_json_values_are_refused(path, text, kind):
    path.write_text(text)
    refused(path, f"must be a JSON object, got {kind}")


@pytest.mark.parametrize("family", ["AlexNet", "dense", 3, [], {}, "x" * 10**5])
def test_unknown_families_are_refused(path, family):
    path.write_text(json.dumps(VALUES | {"family": family}))
    refused(path, "family must be one of DenseMLP, DenseCNN, ResNet, CifarResNet, WideResNet, MobileNetV2, got ")


@pytest.mark.parametrize("family", ["densemlp", "DENSEMLP", "Dense-MLP", "dense_mlp"])
def test_families_are_understood_however_they_are_written(path, family):
    path.write_text(json.dumps(VALUES | {"family": family}))
    assert load_spec(path).family == "DenseMLP"


def test_missing_family_is_refused(path):
    path.write_text("{}")
    refused(path, "family must be one of DenseMLP, DenseCNN, ResNet, CifarResNet, WideResNet, MobileNetV2, got None")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"with": 3}, "with .*not permitted, got 3"),
        ({"widths": [3]}, r"widths .*not permitted, got \[3\]"),
        ({"width": 2.0}, r"width should be a valid integer, got 2\.0"),
        ({"width": True}, "width should be a valid integer, got True"),
        ({"width": None}, "width should be a valid integer, got None"),
        ({"links": [LINKS[0], LINKS[0]]}, "links must list 1 cells, got 2"),
        ({"links": [LINKS[0][:3]]}, r"links\[0\] must list 4 layers \(the depth\), got 3"),
        ({"links": [[[], [], [0, 1], [0, 1]]]}, r"links\[0\]\[3\] must have 3 skips, got 2"),
        ({"links": [[[], [], [0, 1], [0, 1, 4]]]}, r"links\[0\]\[3\] must lie in 0 \.\.\. 3"),
        ({"links": [[[], [], [0, 1], [0, 1, 1]]]}, r"links\[0\]\[3\] must be ascending without repeats"),
        ({"links": [[[], [], [0, 1], [0, 0.5, 1]]]}, r"links\.0\.3\.1 should be a valid integer.*got 0\.5"),
        ({"links": [[[], [], [0, 1], [0, True, 3]]]}, r"links\.0\.3\.1 should be a valid integer.*got True"),
        ({"links": [[[], [], [0, 1], [0, "1", 3]]]}, r"links\.0\.3\.1 should be a valid integer.*got '1'"),
        ({"links": "none"}, "links should be a valid tuple, got 'none'"),
    ],
)
def test_values_that_do_not_fit_are_refused(path, change, message):
    path.write_text(json.dumps(VALUES | change))
    refused(path, f": DenseMLP: {message}")


def test_values_name_their_place():
    with pytest.raises(SpecificationError, match=r"^run 7: DenseMLP: width should be"):
        spec_from_dict(VALUES | {"width": 0}, where="run 7")
