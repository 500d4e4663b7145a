"""Where a signal dies or explodes, and what would mend it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnmass.architectures import DenseMLP, LinkedSpecification
from nnmass.designing.domain import respecified
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.measurement.result import LayerIsometry
from nnmass.propagation.theory.activations import ACTIVATIONS
from nnmass.propagation.theory.columns import Columns
from nnmass.propagation.theory.expected import expected_isometry
from nnmass.propagation.theory.layer import Weights, expected_layer
from nnmass.representation import brief

LOW, HIGH = 0.5, 2.0
"""Mean singular values beyond which a layer is said to shrink or to enlarge gradients."""
MANY_DEAD = 0.25
_OTHERS = ("default", "he", "glorot", "orthogonal")
_SAMPLES = 512


@dataclass(frozen=True)
class Mend:
    """A change that brings the expected mean singular value of the hidden layers closer to 1.

    Attributes:
        change: in words.
        nn_mass: after it.
        params: after it.
        expected: mean singular value after it, by theory.
        spec: the changed specification; None where no specification says it (a norm in a DenseMLP).
        init: the initialisation after it.
    """

    __repr__ = brief

    change: str
    nn_mass: float
    params: int
    expected: float
    spec: LinkedSpecification | None
    init: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        spec = self.spec.without_links().model_dump(mode="json", exclude_none=True) if self.spec else None
        return {
            "change": self.change,
            "nn_mass": self.nn_mass,
            "params": self.params,
            "expected_mean": self.expected,
            "init": self.init,
            "spec": spec,
        }


def flag(layer: LayerIsometry) -> str:
    """What is wrong with a layer, in a word or two; empty where nothing is shown to be.

    ``"shrinks"`` and ``"enlarges"``: a gradient that passes it is on average less than half, or more than twice as
    long; ``"dead directions"``: more than a quarter of the directions hardly pass at all.  What is estimated must show
    it with its whole interval.
    """
    low, high = layer.interval
    if high < LOW:
        return "shrinks"
    if low > HIGH:
        return "enlarges"
    return "dead directions" if layer.dead_interval[0] > MANY_DEAD else ""


def mends(
    spec: LinkedSpecification, init: str | Initialisation = "default", *, input_mean_square: float = 1.0
) -> list[Mend]:
    """Changes after which theory expects the hidden layers' mean singular value closer to 1, the closest first.

    Tried are twice and half the skips, in all cells and in each alone, the other initialisations, and for a `DenseMLP`
    a batch norm before every activation.

    Args:
        spec: a specification that `expected_isometry` takes.
        init: its initialisation.
        input_mean_square: of the inputs' values.

    Raises:
        InvalidValueError: a specification that theory does not cover.
    """
    now = expected_isometry(spec, init, input_mean_square=input_mean_square).mean
    if now is None:
        return []
    found = []
    for change, changed, other in _candidates(spec, Initialisation.parse(init)):
        mean = expected_isometry(changed, other, input_mean_square=input_mean_square).mean
        found.append(Mend(change, changed.nn_mass, changed.params, mean or 0.0, changed, other))
    if isinstance(spec, DenseMLP) and spec.activation != "linear":
        norms = 2 * spec.width * (spec.depth - 1)
        mean = _normalised_mean(spec, Initialisation.parse(init))
        change = "batch norm before every activation"
        found.append(Mend(change, spec.nn_mass, spec.params + norms, mean, None, str(init)))
    better = [mend for mend in found if _distance(mend.expected) < _distance(now)]
    return sorted(better, key=lambda mend: _distance(mend.expected))


def _candidates(spec: LinkedSpecification, init: Initialisation) -> Iterator[tuple[str, LinkedSpecification, str]]:
    cells = spec.cells
    depths = tuple(cell.depth for cell in cells)
    for word, factor in (("twice", 2.0), ("half", 0.5)):
        changed = [_skips(cell.max_skips, cell.width * max(cell.depth - 2, 0), factor) for cell in cells]
        before = [cell.max_skips for cell in cells]
        if changed != before:
            yield f"{word} the skips", respecified(spec, depths, tuple(changed)), str(init)
        for k in range(len(cells) if len(cells) > 1 else 0):
            alone = (*before[:k], changed[k], *before[k + 1 :])
            if changed[k] != before[k]:
                yield f"{word} the skips of cell {k + 1}", respecified(spec, depths, alone), str(init)
    for other in _OTHERS:
        if other != str(init):
            yield f"{other} initialisation", spec.without_links(), other


def _skips(now: int, most: int, factor: float) -> int:
    """Return the changed number; from none the first step is one skip per layer, and none beyond what the cell has."""
    return min(max(round(factor * now), 1 if factor > 1 else 0), max(most, now))


def _normalised_mean(spec: DenseMLP, init: Initialisation) -> float:
    """Expected mean over the hidden layers if a norm made every pre-activation N(0, 1).

    Every neuron is given the same scale; really they differ, so that the mean comes out too low.
    """
    function, generator = ACTIVATIONS[spec.activation], np.random.default_rng(0)
    means = []
    for skips in spec.cells[0].layer_skips[1:-1]:
        number = spec.width + skips
        z = generator.standard_normal((_SAMPLES, number))
        weights = Weights.of(init, number, spec.width)
        layer = expected_layer("", spec.width, Columns.sampled(function.slope(z) ** 2), weights, hidden=True)
        means.append(layer.mean / math.sqrt(weights.variance * number * float(function.value(z).var())))
    return float(np.mean(means))


def _distance(mean: float) -> float:
    return abs(math.log(mean)) if mean > 0 else math.inf
