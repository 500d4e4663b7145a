"""Channels that reach a layer in the traced graph, beside those that change what it reads when they are changed.

Random programs of layers, merges, movements and writes are run on numbers, with the output of every layer held fixed:
then one channel after the other is changed, and every layer whose input changes is reached by it.
"""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnmass.errors import RefusedError
from nnmass.topology.graph import CONSTANT
from nnmass.tracing import trace

SIZE = 4


class Program(nn.Module):
    """A random program: every step makes a value, of 1 to 8 channels in a square map, from earlier ones."""

    def __init__(self, seed):
        super().__init__()
        self.rng = random.Random(seed)
        self.layers = nn.ModuleList()
        self.steps = []
        widths = [self.rng.randint(2, 4)]
        self.width = widths[0]
        for _ in range(self.rng.randint(3, 9)):
            step, width = self.draw(widths)
            if step is not None:
                self.steps.append(step)
                widths.append(width)
        total = widths[-1] + widths[len(widths) // 2]
        self.layers.append(nn.Conv2d(total, 2, 1))

    def draw(self, widths):
        i = self.rng.choice([len(widths) - 1, self.rng.randrange(len(widths))])
        j = self.rng.randrange(len(widths))
        kind = self.rng.choice(sorted(STEPS))
        return STEPS[kind](self, i, j, widths)

    def layer(self, layer):
        self.layers.append(layer.double())
        return self.layers[-1]

    def indices(self, width):
        return [self.rng.randrange(width) for _ in range(self.rng.randint(1, min(width, 4)))]

    def forward(self, x):
        values = [x]
        for step in self.steps:
            values.append(step(values))
        return self.layers[-1](torch.cat([values[-1], values[len(values) // 2]], 1))


STEPS = {}


def step(function):
    """Register a step; it returns a function of the values so far, and the number of channels that this makes."""
    STEPS[function.__name__] = function
    return function


@step
def convolution(p, i, j, widths):
    out = p.rng.randint(1, 4)
    layer = p.layer(nn.Conv2d(widths[i], out, 3, padding=1))
    return lambda v: F.leaky_relu(layer(v[i])), out


@step
def separable(p, i, j, widths):
    layer = p.layer(nn.Conv2d(widths[i], widths[i], 3, padding=1, groups=widths[i]))
    return lambda v: layer(v[i]), widths[i]


@step
def linear(p, i, j, widths):
    out = p.rng.randint(1, 4)
    layer = p.layer(nn.Linear(widths[i], out))
    return lambda v: layer(v[i].permute(0, 2, 3, 1)).permute(0, 3, 1, 2), out


@step
def filled(p, i, j, widths):
    """A sum, the narrower term filled with zeros at the front or the back."""
    a, b = (i, j) if widths[i] >= widths[j] else (j, i)
    missing, front = widths[a] - widths[b], p.rng.random() < 0.5
    pad = (0, 0, 0, 0, missing, 0) if front else (0, 0, 0, 0, 0, missing)
    return lambda v: v[a] + F.pad(v[b], pad), widths[a]


@step
def difference(p, i, j, widths):
    k = min(widths[i], widths[j])
    return lambda v: v[i][:, :k] - 0.3 * v[j][:, -k:], k


@step
def largest(p, i, j, widths):
    k = min(widths[i], widths[j])
    return lambda v: torch.maximum(v[i][:, :k], v[j].narrow(1, 0, k)), k


@step
def concatenated(p, i, j, widths):
    if widths[i] + widths[j] > 8:
        return None, 0
    return lambda v: torch.cat([v[i], v[j]], 1), widths[i] + widths[j]


@step
def listed(p, i, j, widths):
    chosen = p.indices(widths[i])
    return lambda v: v[i][:, chosen], len(chosen)


@step
def buffered(p, i, j, widths):
    chosen = torch.tensor(p.indices(widths[i]))
    return lambda v: v[i].index_select(1, chosen), len(chosen)


@step
def placed(p, i, j, widths):
    return lambda v: v[i][:, torch.arange(0, widths[i], 2, device=v[i].device)], (widths[i] + 1) // 2


@step
def true(p, i, j, widths):
    mask = [k == 0 or p.rng.random() < 0.5 for k in range(widths[i])]
    return lambda v: v[i][:, torch.tensor(mask)], sum(mask)


@step
def stepped(p, i, j, widths):
    return (lambda v: v[i][:, 1::2], widths[i] // 2) if widths[i] > 1 else (None, 0)


@step
def single(p, i, j, widths):
    k = p.rng.randrange(widths[i])
    return lambda v: v[i].select(1, k).unsqueeze(1), 1


@step
def reversed_(p, i, j, widths):
    return lambda v: v[i].flip(1).roll(1, 1), widths[i]


@step
def shuffled(p, i, j, widths):
    if widths[i] % 2:
        return None, 0
    return lambda v: v[i].view(1, 2, -1, SIZE, SIZE).transpose(1, 2).reshape(v[i].shape), widths[i]


@step
def shuffled_by_module(p, i, j, widths):
    return (lambda v: nn.ChannelShuffle(2)(v[i]), widths[i]) if widths[i] % 2 == 0 else (None, 0)


@step
def halves_added(p, i, j, widths):
    if widths[i] % 2 or widths[i] == 2:
        return None, 0
    return lambda v: v[i].view(1, 2, -1, SIZE, SIZE).sum(1), widths[i] // 2


@step
def halves_compared(p, i, j, widths):
    if widths[i] % 2 or widths[i] == 2:
        return None, 0
    return lambda v: v[i].unflatten(1, (-1, 2)).amax(2), widths[i] // 2


@step
def stacked(p, i, j, widths):
    k = min(widths[i], widths[j])
    return lambda v: torch.stack([v[i][:, :k], v[j][:, :k]]).mean(0), k


@step
def repeated(p, i, j, widths):
    if widths[i] > 4:
        return None, 0
    return lambda v: v[i].repeat(1, 2, 1, 1), 2 * widths[i]


@step
def masked(p, i, j, widths):
    mask = torch.tensor([float(p.rng.random() < 0.5) for _ in range(widths[i])]).double()
    form = p.rng.choice([(-1, 1, 1), (1, -1, 1, 1)])
    return lambda v: v[i] * mask.view(form), widths[i]


@step
def chosen(p, i, j, widths):
    mask = torch.tensor([p.rng.random() < 0.5 for _ in range(widths[i])]).view(-1, 1, 1)
    return lambda v: torch.where(mask, v[i], 0.5), widths[i]


@step
def blanked(p, i, j, widths):
    mask = torch.tensor([p.rng.random() < 0.5 for _ in range(widths[i])]).view(-1, 1, 1)
    return lambda v: v[i].masked_fill(mask, 0.5), widths[i]


@step
def gated(p, i, j, widths):
    layer = p.layer(nn.Linear(widths[i], widths[i]))
    return lambda v: v[i] * layer(v[i].mean((2, 3))).sigmoid()[:, :, None, None], widths[i]


@step
def pooled(p, i, j, widths):
    return lambda v: F.interpolate(F.avg_pool2d(v[i], 2), scale_factor=2), widths[i]


@step
def added_in_place(p, i, j, widths):
    def run(v):
        copy = v[i].clone()
        copy += v[j][:, :1]
        return F.leaky_relu(copy, 0.3, inplace=True)

    return run, widths[i]


@step
def added_to_a_view(p, i, j, widths):
    def run(v):
        copy = v[i].clone()
        flat = copy.view(1, widths[i], SIZE * SIZE)
        flat.add_(v[j][:, :1].flatten(2))
        return copy

    return run, widths[i]


@step
def view_of_what_changes(p, i, j, widths):
    def run(v):
        copy = v[i].clone()
        view = copy.flatten(2)
        copy.sub_(v[j][:, :1], alpha=0.7)
        return view.view(copy.shape)

    return run, widths[i]


@step
def part_of_what_changes(p, i, j, widths):
    def run(v):
        copy = v[i].clone()
        first, last = copy[:, :1], copy[:, -1:]
        first += v[j][:, :1]
        return torch.cat([last, first], 1)

    return run, 2


@step
def partly_written(p, i, j, widths):
    def run(v):
        copy = v[i].clone()
        copy[:, :1] = v[j][:, :1]
        return copy

    return run, widths[i]


@step
def gathered_into(p, i, j, widths):
    if widths[i] + widths[j] > 8:
        return None, 0
    return lambda v: torch.cat([v[i], v[j]], 1, out=v[i].new_empty(0)), widths[i] + widths[j]


def reached_in_numbers(program):
    """Pairs of source channel and layer that it reaches; layers by their numbers, the input as -1."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, program.width, SIZE, SIZE, generator=generator, dtype=torch.float64)
    outputs, inputs, changes = {}, {}, {}

    def hook(number):
        def run(module, args, output):
            inputs[number] = args[0].detach().clone()
            outputs.setdefault(number, output.detach().clone())
            fixed = outputs[number].clone()
            dim = 1 if isinstance(module, nn.Conv2d) or fixed.ndim == 2 else -1
            if number in changes:
                fixed.select(dim, changes[number]).add_(noise(fixed.select(dim, 0)))
            return fixed

        return run

    def noise(like):
        return 10 * torch.randn(like.shape, generator=generator, dtype=like.dtype)

    handles = [layer.register_forward_hook(hook(k)) for k, layer in enumerate(program.layers)]
    try:
        with torch.no_grad():
            program(x)
            before = dict(inputs)
            sources = [(-1, x.shape[1])] + [(k, weight_of(layer)) for k, layer in enumerate(program.layers[:-1])]
            found = set()
            for source, width in sources:
                for channel in range(width):
                    changed = x.clone()
                    if source < 0:
                        changed[:, channel] += noise(changed[:, 0])
                    changes.clear()
                    changes[source] = channel
                    program(changed)
                    found |= {((source, channel), k) for k in before if not torch.equal(before[k], inputs[k])}
    finally:
        for handle in handles:
            handle.remove()
    return found


def weight_of(layer):
    return layer.weight.shape[0]


def reached_in_graph(graph):
    """The same, for the layers that lead to the output."""
    nodes = graph.nodes
    number = {i: int(node.name.split(".")[1]) for i, node in enumerate(nodes) if node.is_layer}
    number |= {i: -1 for i, node in enumerate(nodes) if node.kind == "input"}

    def behind(code):
        if code == CONSTANT:
            return set()
        node, channel = code >> 32, code & (2**32 - 1)
        if node in number:
            return {(number[node], channel)}
        return set().union(*(behind(o.channels.codes.tolist()[channel]) for o in nodes[node].operands))

    read = {i: nodes[i].operands[0].channels.codes.tolist() for i in number if nodes[i].is_layer}
    return {(source, number[i]) for i, codes in read.items() for code in codes for source in behind(code)}


def outcome(seed):
    program = Program(seed).double().eval()
    try:
        graph = trace(program, (1, program.width, SIZE, SIZE)).graph
    except RefusedError as error:
        return program, str(error)
    found = reached_in_graph(graph)
    layers = {-1, *(int(node.name.split(".")[1]) for node in graph.layers)}  # the others scale a tensor, if anything
    numbers = reached_in_numbers(program)
    expected = {(source, layer) for source, layer in numbers if source[0] in layers and layer in layers}
    assert found == expected, f"seed {seed}: too many {found - expected}, missing {expected - found}"
    return program, None


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_random_programs_reach_what_their_graph_says(start):
    refused = [reason for seed in range(start, start + 100) if (reason := outcome(seed)[1])]
    assert len(refused) < 50
