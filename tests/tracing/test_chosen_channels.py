"""Which channels a layer reads after selections, masks, shuffles and paddings; nodes are numbered input, a, b."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nnmass
from nnmass.errors import RefusedError
from nnmass.tracing import trace

EVERY_OTHER = ((1, 0, 1), (1, 2, 1))
MASK = torch.tensor([1.0, 0.0, 1.0, 0.0])


def of_a(forward):
    """A model whose layer b reads what a function makes of layer a's four channels."""
    return lambda s, x: s.b(forward(s, s.a(x)))


SELECTIONS = {
    "a list": lambda s, y: y[:, [0, 2]],
    "a list of truths": lambda s, y: y[:, [True, False, True, False]],
    "a buffer": lambda s, y: y[:, s.index],
    "a buffer of truths": lambda s, y: y[:, s.mask.bool()],
    "a slice": lambda s, y: y[:, ::2],
    "indices made on the way": lambda s, y: y[:, torch.arange(0, 4, 2, device=y.device)],
    "a tensor made on the way": lambda s, y: y[:, torch.tensor([0, 2], device=y.device)],
    "index_select": lambda s, y: y.index_select(1, s.index),
    "narrow": lambda s, y: torch.cat([y.narrow(1, 0, 1), y.narrow(1, 2, 1)], 1),
    "select": lambda s, y: torch.stack([y[:, 0], y[:, 2]], 1),
    "unbind": lambda s, y: torch.stack(y.unbind(1)[::2], 1),
    "chunks": lambda s, y: torch.cat([part[:, :1] for part in y.chunk(2, 1)], 1),
    "parts": lambda s, y: torch.cat(y.split([1, 1, 1, 1], 1)[::2], 1),
    "a shuffle by views": lambda s, y: y.view(1, 2, 2, 8, 8).transpose(1, 2).reshape(1, 4, 8, 8)[:, :2],
    "a shuffle": lambda s, y: nn.ChannelShuffle(2)(y)[:, :2],
    "channels last": lambda s, y: y.permute(0, 2, 3, 1)[..., s.index].permute(0, 3, 1, 2),
}


@pytest.mark.parametrize("kind", SELECTIONS)
def test_selected_channels_are_read(kind, written, read):
    parts = {"a": nn.Conv2d(4, 4, 1), "b": nn.Conv2d(2, 3, 1), "index": torch.tensor([0, 2]), "mask": MASK}
    assert read(written(of_a(SELECTIONS[kind]), **parts)) == [EVERY_OTHER]


MASKED = {
    "a product with a buffer": lambda s, y: y * s.mask.view(4, 1, 1),
    "a product with a whole map": lambda s, y: s.mask.view(1, 4, 1, 1).expand(1, 4, 8, 8) * y,
    "a product in place": lambda s, y: y.mul_(s.mask.view(4, 1, 1)),
    "a choice": lambda s, y: torch.where(s.mask.view(4, 1, 1) > 0, y, 0.5),
    "the other choice": lambda s, y: torch.where(s.mask.view(4, 1, 1) == 0, torch.zeros(()), y),
    "filling": lambda s, y: y.masked_fill(s.mask.view(4, 1, 1) == 0, -1.0),
    "a product with truths, channels last": lambda s, y: (y.movedim(1, 3) * s.mask.bool()).movedim(3, 1),
}


@pytest.mark.parametrize("kind", MASKED)
def test_channels_that_a_known_mask_blanks_are_read_no_more(kind, written, read):
    model = written(of_a(MASKED[kind]), a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(4, 3, 1), mask=MASK)
    assert read(model) == [((1, 0, 1), (-1, 0, 1), (1, 2, 1), (-1, 0, 1))]


def test_a_mask_that_leaves_some_positions_leaves_the_channel(written, read):
    mask = torch.ones(1, 4, 8, 8)
    mask[:, :, :4] = 0
    model = written(of_a(lambda s, y: y * s.mask), a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(4, 3, 1), mask=mask)
    assert read(model) == [((1, 0, 4),)]


def test_a_branch_times_zero_is_no_branch(written, read):
    model = written(lambda s, x: s.b(torch.cat([x, 0 * s.a(x)], 1)), a=nn.Conv2d(4, 2, 1), b=nn.Conv2d(6, 3, 1))
    assert read(model) == [((0, 0, 4), (-1, 0, 2))]


def test_a_sum_with_a_masked_branch_holds_its_channels_only_where_the_mask_is_one(written):
    model = written(
        lambda s, x: x + s.mask.view(4, 1, 1) * s.b(F.relu(s.a(x))),
        a=nn.Conv2d(4, 8, 1),
        b=nn.Conv2d(8, 4, 1),
        mask=MASK,
    )
    graph = trace(model, (1, 4, 8, 8)).graph
    assert [operand.channels.runs[0] for operand in graph.nodes[3].operands] == [(0, 0, 4), (2, 0, 1)]


SHORTCUTS = {
    "padding": lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 2)),
    "zeros": lambda x: torch.cat([F.avg_pool2d(x, 2), x.new_zeros(1, 2, 4, 4)], 1),
    "twice zero": lambda x: torch.cat([F.avg_pool2d(x, 2), F.avg_pool2d(x, 2)[:, :2].mul(0)], 1),
}


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_a_shortcut_filled_with_zeros_skips_its_own_channels(kind, written):
    first, second = nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.Conv2d(6, 6, 3, padding=1)
    model = written(lambda s, x: SHORTCUTS[kind](x) + s.b(F.relu(s.a(x))), a=first, b=second)
    (cell,) = nnmass.analyze(model, (1, 4, 8, 8)).cells
    assert (cell.widths, cell.skips, cell.nn_mass) == ((4, 6, 6), (0, 0, 4), 10.0)


def test_a_map_taken_apart_into_channels_is_read_once_per_channel(written, read):
    model = written(of_a(lambda s, y: F.pixel_unshuffle(y, 2)), a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(16, 3, 1))
    assert read(model) == [((1, 0, 4),)]


def test_patches_of_the_input_are_its_channels(written, read):
    model = written(lambda s, x: s.b(torch.cat([x[..., ::2], x[..., 1::2]], 1)), b=nn.Conv2d(8, 3, 1))
    assert read(model) == [((0, 0, 4), (0, 0, 4))]


def test_flattened_maps_are_read_by_channel(written, read):
    model = written(of_a(lambda s, y: y.flatten(1)), a=nn.Conv2d(4, 5, 1), b=nn.Linear(5 * 64, 3))
    assert read(model) == [((1, 0, 5),)]


def test_the_only_channel_is_padded_like_others(written, read):
    pad = (0, 0, 0, 0, 1, 2)
    model = written(of_a(lambda s, y: F.pad(y, pad)), a=nn.Conv2d(4, 1, 1), b=nn.Conv2d(4, 3, 1))
    assert read(model) == [((-1, 0, 1), (1, 0, 1), (-1, 0, 2))]


def test_the_only_channel_is_taken_twice(written, read):
    model = written(of_a(lambda s, y: y[:, [0, 0]]), a=nn.Conv2d(4, 1, 1), b=nn.Conv2d(2, 3, 1))
    assert read(model) == [((1, 0, 1), (1, 0, 1))]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_number_of_samples_changes_no_channel(batch, written, read):
    shuffle = of_a(lambda s, y: y.view(batch, 2, 2, 8, 8).transpose(1, 2).reshape(batch, 4, 8, 8)[:, :2])
    model = written(shuffle, a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(2, 3, 1))
    assert read(model, (batch, 4, 8, 8)) == [EVERY_OTHER]


CHOSEN_BY_DATA = {
    "the largest channel": lambda s, y: y[:, y.mean((0, 2, 3)).argmax()].unsqueeze(1),
    "where data is positive": lambda s, y: y[:, y.mean((0, 2, 3)) > 0],
    "the largest numbers": lambda s, y: y.topk(2, 1)[0],
    "sorted channels": lambda s, y: y.sort(1)[0],
    "gathered channels": lambda s, y: y.gather(1, y.argmax(1, keepdim=True)),
    "positions of the largest": lambda s, y: F.max_pool2d(y, 2, return_indices=True)[1].float(),
    "half of a sum of exponents": lambda s, y: torch.frexp(y)[0],
}


@pytest.mark.parametrize("kind", CHOSEN_BY_DATA)
def test_channels_chosen_by_data_are_refused(kind, written):
    model = written(of_a(CHOSEN_BY_DATA[kind]), a=nn.Conv2d(4, 4, 1), b=nn.LazyConv2d(2, 1))
    with torch.no_grad():
        model.b = nn.Conv2d(CHOSEN_BY_DATA[kind](model, torch.ones(1, 4, 8, 8)).shape[1], 2, 1)
    with pytest.raises(RefusedError):
        trace(model, (1, 4, 8, 8))
