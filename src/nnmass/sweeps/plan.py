"""What a sweep trains: specifications × seeds, on one data set, in one way."""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nnmass.architectures import Specification, spec_from_dict
from nnmass.errors import InvalidValueError
from nnmass.representation import brief
from nnmass.training import TrainingConfig

_MOST = 100_000


@dataclass(frozen=True)
class Run:
    """One network to train.

    Attributes:
        spec: its specification.
        seed: draws links (where the specification has none), weights and batches.
        data: what it is trained on: the data set's name and source.
        config: how.
    """

    __repr__ = brief

    spec: Specification
    seed: int
    data: str
    config: TrainingConfig

    @cached_property
    def key(self) -> str:
        """Identifies the run: a digest of all of the above."""
        values = [self.spec.model_dump(mode="json"), self.seed, self.data, self.config.recorded()]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def grid(base: Specification, vary: Mapping[str, Sequence[Any]]) -> list[Specification]:
    """All combinations of values in place of the base's.

    Args:
        base: the specification that is varied; its links are left out.
        vary: values per key.

    Raises:
        InvalidValueError: a key without values, a combination that is no specification, or more than 100,000 of them.

    Examples:
        >>> from nnmass.architectures import DenseMLP
        >>> specs = grid(DenseMLP(width=8, depth=4, max_skips=0), {"depth": [4, 5], "max_skips": [0, 8]})
        >>> [(spec.depth, spec.max_skips) for spec in specs]
        [(4, 0), (4, 8), (5, 0), (5, 8)]
    """
    for key, values in vary.items():
        if not len(values):
            raise InvalidValueError(f"{key} is to be varied, but has no values")
    count = math.prod(map(len, vary.values()))
    if count > _MOST:
        raise InvalidValueError(f"a grid may have at most {_MOST:,} specifications, got {count:,}")
    plain = base.without_links().model_dump(mode="json", exclude_none=True)
    combinations = itertools.product(*vary.values())
    return [spec_from_dict(plain | dict(zip(vary, values, strict=True)), where="grid") for values in combinations]


def plan_runs(specs: Sequence[Specification], *, seeds: Sequence[int], data: str, config: TrainingConfig) -> list[Run]:
    """Every specification with every seed; what occurs twice counts once."""
    unique = dict.fromkeys(specs)
    return [Run(spec, seed, data, config) for seed in dict.fromkeys(seeds) for spec in unique]
