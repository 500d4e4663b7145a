import json

import numpy as np
import pytest

from nnmass.designing import (
    CifarResNetSpace,
    DenseCNNSpace,
    DenseMLPSpace,
    MobileNetV2Space,
    ResNetSpace,
    WideResNetSpace,
    load_space,
    space_from_dict,
)
from nnmass.designing.problem import count_paths
from nnmass.errors import LatencyError, SpaceError
from nnmass.latency import blocks_of


def test_every_path_is_a_member_with_the_members_own_mass_and_costs(small_space, paths_of, members_of):
    found = []
    for sums, choices in paths_of(small_space.levels()):
        spec = small_space.specify(choices)
        np.testing.assert_allclose(sums[:3], [spec.nn_mass, spec.params, spec.macs], rtol=1e-12, atol=1e-9)
        found.append(spec)
    assert len(found) == len(set(found)) == small_space.size() == count_paths(small_space.levels())
    assert set(found) == set(members_of(small_space))


def test_milliseconds_are_those_of_the_table(small_space, latency_of, paths_of):
    table = latency_of(small_space)
    for sums, choices in paths_of(small_space.levels(table)):
        assert sums[3] == pytest.approx(table.predict(small_space.specify(choices)).latency.ms, rel=1e-9)


def test_activation_memory_leaves_out_exactly_what_needs_more(small_space, paths_of, members_of):
    needs = sorted({spec.activation_bytes for spec in members_of(small_space)})
    for most in {needs[0] - 1, needs[0], needs[len(needs) // 2], needs[-1]}:
        found = {small_space.specify(choices) for _, choices in paths_of(small_space.levels(max_activation_bytes=most))}
        assert found == {spec for spec in members_of(small_space) if spec.activation_bytes <= most}


def test_a_space_knows_its_members_blocks(small_space, members_of):
    named = set(small_space.blocks())
    skips = {"dense_layer", "linear"}
    needed = {piece for spec in members_of(small_space) for piece in blocks_of(spec)}
    assert {p for p in needed if p.kind not in skips} == {p for p in named if p.kind not in skips}
    widest = {}
    for piece in needed:
        if piece.kind == "dense_layer":
            key = piece.sizes[:-1]
            widest[key] = max(widest.get(key, 0), piece.sizes[-1])
    for sizes, inputs in widest.items():
        assert max(p.sizes[-1] for p in named if p.kind == "dense_layer" and p.sizes[:-1] == sizes) >= inputs


def test_json_keeps_a_space(small_space, tmp_path):
    assert load_space(small_space.to_json(tmp_path / "space.json")) == small_space
    assert space_from_dict(json.loads(small_space.model_dump_json())) == small_space


def test_the_large_space_is_counted_exactly():
    widths = {"min": 8, "max": 128, "step": 8}
    space = DenseCNNSpace(widths=(widths,) * 3, depth={"min": 4, "max": 40}, equal_depths=False, max_density=1)
    per_cell = sum(w * (d - 2) + 1 for w in range(8, 129, 8) for d in range(4, 41))
    assert space.size() == per_cell**3 > 5e17


@pytest.mark.parametrize(
    "space",
    [DenseMLPSpace(), DenseCNNSpace(), MobileNetV2Space(), ResNetSpace(), CifarResNetSpace(), WideResNetSpace()],
)
def test_default_spaces_stay_in_the_domain(space):
    assert space.departures() == ()


def test_choices_may_be_written_in_any_way():
    ways = [5, [5], (5,), {"min": 5, "max": 5}, np.array([5]), range(5, 6)]
    assert {DenseMLPSpace(width=way) for way in ways} == {DenseMLPSpace(width=(5,))}
    assert DenseMLPSpace(width=[8, 4, 8]).width == (4, 8)
    assert DenseMLPSpace(width={"min": 4, "max": 17, "step": 4}).width == (4, 8, 12, 16)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DenseMLPSpace(width=[]), "DenseMLPSpace: width .*at least 1 item"),
        (lambda: DenseMLPSpace(width={"min": 9, "max": 8}), "width: the range from 9 to 8 is empty"),
        (lambda: DenseMLPSpace(width={"min": 1, "max": 8, "step": 0}), "width: a range needs whole numbers and a step"),
        (lambda: DenseMLPSpace(width=2.5), "width.* got 2.5"),
        (lambda: DenseMLPSpace(max_density=0), "max_density .*greater than 0, got 0"),
        (lambda: DenseMLPSpace(breadth=3), "breadth .*not permitted"),
        (lambda: DenseCNNSpace(widths=((8, 16), (8,)), tied_widths=True), "as many choices for every cell, got"),
        (lambda: DenseCNNSpace(conv="deformable"), "conv .*'regular' or 'separable'"),
        (lambda: MobileNetV2Space(stages=[]), "stages .*at least 1 item"),
        (
            lambda: MobileNetV2Space(stages=[{"expansion": 0, "channels": 8, "repeats": 1}]),
            "expansion.*greater than 0, got 0",
        ),
        (lambda: ResNetSpace(planes=((64,),)), r"planes must have one entry per stage \(4\), got 1"),
        (lambda: ResNetSpace(block="basic", groups=2), "basic blocks have one group, got groups 2"),
        (lambda: ResNetSpace(width_per_group=(0.5,)), "width_per_group.* got 0.5"),
        (lambda: CifarResNetSpace(layers=((1,),)), r"layers must have one entry per stage \(3\), got 1"),
        (lambda: CifarResNetSpace(widths=((8, 16), 32, 64)), "the first stage has the channels of the stem"),
        (lambda: WideResNetSpace(depth=(16, 20)), "depth must be 6n [+] 4 .* got 20"),
        (lambda: load_space("nowhere.json"), "nowhere.json: cannot be read as a design space"),
        (lambda: space_from_dict([]), "must be a JSON object, got list"),
        (lambda: space_from_dict({"family": "VGG"}), "family must be one of DenseMLP, .* got 'VGG'"),
        (lambda: space_from_dict({"family": "DenseMLP", "width": -1}), "space: .*width.* got -1"),
    ],
)
def test_what_is_no_space_is_refused(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "space.json"
    path.write_bytes(b"\xff{")
    with pytest.raises(SpaceError, match=r"space\.json: cannot be read as a design space .*not UTF-8 text"):
        load_space(path)
    path.write_text("{")
    with pytest.raises(SpaceError, match=r"space\.json: not JSON"):
        load_space(path)


def test_a_table_that_lacks_a_block_is_refused(latency_of, small_spaces):
    table = latency_of(small_spaces["cifar A"])
    with pytest.raises(LatencyError, match="was not measured; nnmass bench"):
        small_spaces["mobilenet"].levels(table)
