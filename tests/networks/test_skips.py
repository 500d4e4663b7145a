import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.errors import CheckpointError, InvalidValueError
from nnmass.networks import SkipLinks
from nnmass.topology import Cell, draw_links

CELL = Cell(width=2, depth=5, max_skips=3)
LINKS = ((), (), (0, 1), (0, 2, 3), (1, 2, 5))
OTHER_LINKS = ((), (), (0, 1), (1, 2, 3), (2, 3, 4))

cells = st.builds(Cell, width=st.integers(1, 5), depth=st.integers(1, 8), max_skips=st.integers(0, 30))


def routed(skips: SkipLinks, outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    inputs = skips.start()
    joined = []
    for i, output in enumerate(outputs):
        joined.append(inputs[i].joined() if i else torch.empty(0))
        skips.send(i, output, inputs)
    return joined


def check_routing(skips: SkipLinks, links: tuple[tuple[int, ...], ...]) -> None:
    cell = skips.cell
    outputs = [torch.randn(3, cell.width, 2, 2) for _ in range(cell.depth)]
    for i, joined in enumerate(routed(skips, outputs)[1:], start=1):
        earlier = torch.cat(outputs[: i - 1], 1) if i > 1 else torch.empty(3, 0, 2, 2)
        assert torch.equal(joined, torch.cat([outputs[i - 1], earlier[:, list(links[i])]], 1))


@given(cells, st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_layers_read_the_one_before_and_then_their_links_in_order(cell, seed):
    links = draw_links(cell, np.random.default_rng(seed))
    check_routing(SkipLinks(cell, links), links)


def test_works_on_vectors_too():
    outputs = [torch.randn(3, 2) for _ in range(5)]
    last = routed(SkipLinks(CELL, LINKS), outputs)[4]
    expected = [outputs[3][:, 0], outputs[3][:, 1], outputs[0][:, 1], outputs[1][:, 0], outputs[2][:, 1]]
    assert torch.equal(last, torch.stack(expected, 1))


def test_links_are_in_the_state_dict_and_nothing_else_is():
    skips = SkipLinks(CELL, LINKS)
    assert skips.links == LINKS
    assert {name: tensor.tolist() for name, tensor in skips.state_dict().items()} == {
        "layer_2": [0, 1],
        "layer_3": [0, 2, 3],
        "layer_4": [1, 2, 5],
    }


@pytest.mark.parametrize("assign", [False, True])
def test_loaded_links_are_those_followed(assign):
    skips = SkipLinks(CELL, LINKS)
    skips.load_state_dict(SkipLinks(CELL, OTHER_LINKS).state_dict(), assign=assign)
    assert skips.links == OTHER_LINKS
    check_routing(skips, OTHER_LINKS)


def test_copies_are_independent():
    skips = SkipLinks(CELL, LINKS)
    copied = copy.deepcopy(skips)
    copied.load_state_dict(SkipLinks(CELL, OTHER_LINKS).state_dict())
    assert copied.links == OTHER_LINKS
    assert skips.links == LINKS
    check_routing(skips, LINKS)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([0, 1, 4], r"links\[3\] must lie in 0 \.\.\. 3"),
        ([-1, 1, 2], r"links\[3\] must lie in 0 \.\.\. 3"),
        ([0, 0, 1], r"links\[3\] must be ascending without repeats"),
        ([2, 1, 0], r"links\[3\] must be ascending without repeats"),
    ],
)
def test_damaged_links_are_refused_when_loaded(channels, message):
    state = SkipLinks(CELL, LINKS).state_dict() | {"layer_3": torch.tensor(channels)}
    with pytest.raises(CheckpointError, match=f"links that do not fit this network: {message}"):
        SkipLinks(CELL, LINKS).load_state_dict(state)


def test_links_that_do_not_fit_are_refused():
    with pytest.raises(InvalidValueError, match=r"links must list 5 layers \(the depth\), got 4"):
        SkipLinks(CELL, LINKS[:-1])
