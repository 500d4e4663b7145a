"""Cells found by `find_cells` in random graphs, beside the definition applied literally (see conftest)."""

import random

import numpy as np
import pytest

from nnmass.topology import Channels, LayerGraph, Node, Operand, find_cells
from nnmass.topology.graph import CONSTANT, encode


class Drawing:
    """A random graph, made of blocks within blocks, with a few links across them."""

    def __init__(self, seed):
        self.rng, self.nodes = random.Random(seed), []
        self.wild = self.rng.choice([0.0, 0.0, 0.05, 0.3])
        self.size = self.rng.randint(3, 12)
        self.resolutions = [(8, 8)] * self.rng.choice([1, 6]) + [(4, 4)]
        values = [self.node("input", self.rng.randint(1, 4), []) for _ in range(self.rng.choice([1, 1, 1, 2]))]
        value = self.concatenate(values)
        while len(self.nodes) < self.size:
            value = self.block(value, depth=0)
        taps = [encode(i, node.width) for i, node in enumerate(self.nodes) if self.rng.random() < self.wild / 2]
        taps = [tap if self.rng.random() < 0.5 else self.block(tap, depth=2) for tap in taps]
        last = self.layer(value) if self.rng.random() < 0.4 else value
        self.node("output", 0, [last, *taps])
        self.graph = LayerGraph(tuple(self.nodes))

    def node(self, kind, width, terms):
        resolution = self.rng.choice(self.resolutions)
        operands = [Operand(Channels.of(term), self.rng.random() < 0.8) for term in terms]
        self.nodes.append(Node(f"n{len(self.nodes)}", kind, width, resolution, tuple(operands)))
        return encode(len(self.nodes) - 1, width)

    def block(self, value, depth):
        kinds = [self.layer, self.layer, self.selection]
        if depth < 3 and len(self.nodes) < self.size:
            kinds += [self.chain, self.residual, self.residual, self.branches, self.dense, self.addition]
        kind = self.rng.choice(kinds)
        value = self.strayed(value)
        return kind(value) if kind in (self.layer, self.selection) else kind(value, depth + 1)

    def strayed(self, value):
        """Now and then something from elsewhere instead, or beside it."""
        if self.rng.random() >= self.wild:
            return value
        i = self.rng.randrange(len(self.nodes))
        other = encode(i, self.nodes[i].width)
        return self.rng.choice([other, np.concatenate([value, other]), self.add([value, other])])

    def layer(self, value):
        return self.node(self.rng.choice(["conv", "linear"]), self.rng.randint(1, 4), [value])

    def chain(self, value, depth):
        for _ in range(self.rng.randint(2, 3)):
            value = self.block(value, depth)
        return value

    def residual(self, value, depth):
        shortcut = self.layer(value) if self.rng.random() < 0.3 else value
        return self.add([self.block(self.layer(value), depth), shortcut])

    def addition(self, value, depth):
        return self.add([self.block(value, depth) for _ in range(self.rng.randint(2, 3))])

    def branches(self, value, depth):
        parts = np.array_split(value, 2) if len(value) > 1 and self.rng.random() < 0.3 else [value, value]
        return self.concatenate(
            [parts[0] if self.rng.random() < 0.4 else self.block(parts[0], depth), self.block(parts[1], depth)]
        )

    def dense(self, value, depth):
        for _ in range(self.rng.randint(1, 3)):
            value = np.concatenate([value, self.block(value, depth)])
        return value

    def selection(self, value):
        """Some channels, perhaps in another order, perhaps with constants among them."""
        chosen = self.rng.sample(list(value), self.rng.randint(1, len(value)))
        return np.array([CONSTANT if self.rng.random() < 0.1 else code for code in chosen[:-1]] + chosen[-1:])

    def concatenate(self, values):
        return np.concatenate(self.rng.sample(values, len(values)))

    def add(self, terms):
        """A sum; shorter terms are filled with constants, or longer ones cut."""
        lengths = [len(term) for term in terms]
        width = max(lengths) if self.rng.random() < 0.7 else min(lengths)
        full = [np.append(term, np.full(max(lengths), CONSTANT))[:width] for term in terms]
        return self.node("add", width, self.rng.sample(full, len(full)))


NAMES = ("entry", "exit", "kind", "widths", "skips", "direct", "counted", "layers", "every_layer", "nn_mass")


def found_in(graph, projection):
    """What `find_cells` finds, as dictionaries."""
    cells = find_cells(graph, projection=projection)
    rows = [{name: getattr(cell, name) for name in NAMES} for cell in cells]
    for row, cell in zip(rows, cells, strict=True):
        row["inside"] = None if cell.inside is None else rows[cell.inside]
    return rows


def comparable(cells):
    """Text, regardless of the order of cells and layers and of the last digits."""
    rows = []
    for cell in cells:
        around = cell["inside"] or dict.fromkeys(NAMES)
        rows.append(str([_plain(name, values[name]) for values in (cell, around) for name in NAMES]))
    return sorted(rows)


def _plain(name, value):
    if name == "layers" and value is not None:
        return sorted(value)
    return round(value, 9) if isinstance(value, float) else value


@pytest.mark.parametrize("start", range(0, 1200, 200))
def test_random_graphs_have_the_cells_of_the_definition(start, cells_by_definition):
    for seed in range(start, start + 200):
        graph, projection = Drawing(seed).graph, ("count", "zero")[seed % 2]
        expected = comparable(cells_by_definition(graph, projection))
        assert comparable(found_in(graph, projection)) == expected, f"seed {seed}"
