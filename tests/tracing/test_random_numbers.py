"""Models that draw random numbers in their forward pass: one answer or one refusal, whatever the random state."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nnmass
from nnmass.errors import RefusedError
from nnmass.tracing import reasons

SEEDS = range(6)


class Block(nn.Module):
    """A residual block of two layers, whose last is masked in some way."""

    def __init__(self, mask):
        super().__init__()
        self.stem, self.first, self.second, self.out = (
            nn.Conv2d(i, o, 3, padding=1)
            for i, o in (
                (3, 4),
                (4, 4),
                (4, 4),
                (4, 2),
            )
        )
        self.register_buffer("ones", torch.ones(1, 4, 1, 1))
        self.mask, self.generator = mask, torch.Generator()

    def forward(self, x):
        y = self.stem(x)
        return self.out(self.mask(self, self.second(F.relu(self.first(y)))) + y)


def outcomes(mask):
    """The answers, or where and why it is refused, for several random states, each of which is left as it was."""
    found = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        model = Block(mask)
        before = states(model)
        try:
            found.append(nnmass.analyze(model, (1, 3, 8, 8)).nn_mass)
        except RefusedError as error:
            found.append((error.module, error.reason))
        assert states(model) == before
        assert torch.equal(model.ones, torch.ones(1, 4, 1, 1))
    return found


def states(model):
    kind, key, *rest = np.random.get_state()  # noqa: NPY002
    torchs = torch.get_rng_state(), model.generator.get_state()
    return random.getstate(), (kind, key.tolist(), *rest), [state.tolist() for state in torchs]


def in_place(s, z):
    mask = torch.empty(len(z), 1, 1, 1)
    mask.bernoulli_(0.5)
    return z * mask


def in_a_view(s, z):
    mask = torch.zeros(4)
    mask[:2].bernoulli_(0.5)
    return z * mask.view(1, 4, 1, 1)


def at_drawn_places(s, z):
    mask = torch.zeros(1, 4, 1, 1)
    mask[:, torch.randperm(4)[:2]] = 1
    return z * mask


def written_into_a_constant(s, z):
    mask = torch.zeros(4)
    mask[1] = torch.rand(())
    return z * mask.view(1, 4, 1, 1)


def in_a_buffer(s, z):
    s.ones.bernoulli_(0.5)
    return z * s.ones


SCALED = {
    "a comparison": lambda s, z: z * (torch.rand(len(z), 1, 1, 1) < 0.5).to(z.dtype) / 0.5,
    "a generator": lambda s, z: z * (torch.rand(len(z), 1, 1, 1, generator=s.generator) < 0.5),
    "a generator, in place": lambda s, z: z * z.new_empty(1, 4, 1, 1).bernoulli_(0.5, generator=s.generator),
    "probabilities": lambda s, z: z * torch.bernoulli(s.ones * 0.5),
    "whole numbers": lambda s, z: z * torch.randint(0, 2, (1, 4, 1, 1)),
    "dropout": lambda s, z: F.dropout(z, 0.5, training=True),
    "dropout of channels": lambda s, z: F.dropout2d(z, 0.5, training=True),
    "dropout of ones": lambda s, z: z * F.dropout(s.ones, 0.5, training=True),
    "alpha dropout": lambda s, z: F.alpha_dropout(z, 0.5, training=True),
    "noise": lambda s, z: z + torch.randn_like(z),
    "noise of a distribution": lambda s, z: z * torch.distributions.Bernoulli(0.5).sample((1, 4, 1, 1)),
    "a choice": lambda s, z: torch.where(torch.rand(1, 4, 1, 1) < 0.5, z, 0.0),
    "filling": lambda s, z: z.masked_fill(torch.rand(1, 4, 1, 1) < 0.5, 0.0),
    "a hard choice": lambda s, z: z * F.gumbel_softmax(torch.zeros(1, 4, 1, 1), dim=1, hard=True),
    "an initialisation": lambda s, z: z * nn.init.uniform_(torch.empty(1, 4, 1, 1)),
    "random slopes": lambda s, z: F.rrelu(z, training=True),
    "in place": in_place,
    "in a view": in_a_view,
    "in a buffer": in_a_buffer,
    "at drawn places": at_drawn_places,
    "written into a constant": written_into_a_constant,
}


@pytest.mark.parametrize("kind", SCALED)
def test_a_drawn_mask_scales_and_removes_nothing(kind):
    assert outcomes(SCALED[kind]) == [8.0] * len(SEEDS)


CHOSEN = "chooses channels by numbers that are not known"
REFUSED = {
    "a condition": (
        lambda s, z: z if torch.rand(1) < 0.5 else z * 0,
        "a number or condition depends on random numbers",
    ),
    "a number": (lambda s, z: z * torch.rand(()).item(), "a number or condition depends on random numbers"),
    "a permutation": (lambda s, z: z[:, torch.randperm(4)], f"operator index {CHOSEN}"),
    "a permutation there": (lambda s, z: z[:, torch.randperm(4, device=z.device)], f"operator index {CHOSEN}"),
    "a selection": (lambda s, z: z.index_select(1, torch.randperm(4)), f"operator index_select {CHOSEN}"),
    "a sample": (lambda s, z: z[:, torch.multinomial(torch.ones(4), 4)], f"operator index {CHOSEN}"),
    "a list": (lambda s, z: z[:, torch.randperm(4).tolist()], reasons.NUMBERS),
    "an array": (lambda s, z: z * torch.from_numpy(torch.rand(4).numpy()).view(1, 4, 1, 1), reasons.NUMBERS),
    "NumPy's": (lambda s, z: z * float(np.random.rand() < 0.5), reasons.RANDOM),  # noqa: NPY002
    "Python's": (lambda s, z: z * (random.random() < 0.5), reasons.RANDOM),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_decided_by_chance_is_refused(kind):
    mask, reason = REFUSED[kind]
    assert outcomes(mask) == [("Block", reason)] * len(SEEDS)


def test_the_module_that_draws_is_named():
    class Dropping(nn.Module):
        def forward(self, x):
            return x * float(random.random() < 0.5)

    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), Dropping()), nn.Conv2d(4, 4, 1))
    with pytest.raises(RefusedError, match="Python or NumPy") as refused:
        nnmass.analyze(model, (1, 3, 8, 8))
    assert refused.value.module == "1.1"


def test_numbers_of_parameters_that_are_written_into_a_constant_are_not_known():
    def by_a_parameter(s, z):
        mask = torch.zeros(1, 4, 1, 1)
        mask.copy_(s.first.weight[:1, :, :1, :1] > 0)
        return z * mask

    assert outcomes(by_a_parameter) == [8.0] * len(SEEDS)
