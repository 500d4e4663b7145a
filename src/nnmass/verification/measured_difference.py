"""The measured difference of two networks trained alike, with what seeds and test samples leave open."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from nnmass.errors import InvalidValueError
from nnmass.representation import brief

BoolArray: TypeAlias = npt.NDArray[np.bool_]
Interval: TypeAlias = tuple[float, float]

FEWEST_SEEDS = 3
"""Seeds below which there is no interval and no verdict.

Of two seeds the scatter rests on one number, which may be zero by chance, and Student's quantile is 12.7."""

_TAIL = 0.975


@dataclass(frozen=True)
class Measured:
    """Test accuracies of one specification over seeds, in [0, 1].

    Attributes:
        accuracies: one per seed.
        test_samples: how many samples each was measured on.
        chance: the accuracy of a network that names the test part's largest class throughout.
    """

    __repr__ = brief

    accuracies: tuple[float, ...]
    test_samples: int
    chance: float

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.accuracies))

    @property
    def std(self) -> float | None:
        """Standard deviation over the seeds, with n-1 degrees of freedom; None for one seed."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the mean; see `accuracy_interval`."""
        return accuracy_interval(self.mean, self.std, len(self.accuracies), self.test_samples)

    @property
    def above_chance(self) -> bool | None:
        """Whether the interval lies above chance; None where there is none."""
        return None if self.interval is None else self.interval[0] > self.chance

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "mean": self.mean,
            "std": self.std,
            "accuracies": list(self.accuracies),
            "interval_95": self.interval and list(self.interval),
            "above_chance": self.above_chance,
        }


@dataclass(frozen=True)
class MeasuredDifference:
    """What training two networks with the same seeds showed.

    The mean difference scatters with the seeds and with the test samples, S and n of them.  Its 95 % interval is

        difference ± sqrt(t² s² / S + z² v / n)

    with s² the variance of the differences over seeds, t Student's quantile of S-1 degrees of freedom, v the variance
    over test samples and z the normal quantile.  For two independent estimates of variance this covers at least 95 %,
    whatever their shares (S. K. Banerjee, Sankhyā 22 (1960) 357); what seeds and samples make together is in both,
    which widens it.  It is cut to what accuracies allow, [-1, 1].

    With `answers` v is that of the difference of both networks' correctness, averaged over seeds, with one more sample
    that speaks for and one against (A. Agresti, Y. Min, Stat. Med. 24 (2005) 729).  Without, the networks count as
    independent, v = Σ p(1-p), with two more samples, one of them right (A. Agresti, B. Caffo, Am. Stat. 54 (2000) 280);
    that is too wide where both fail on the same samples, as networks do.  So v is never 0.

    Attributes:
        reference: accuracies, one per seed.
        compressed: likewise, in the same order of seeds.
        answers: of reference and compressed, (seeds, test samples) whether a sample is classified rightly; None where
            that was not kept of each run.
        left_out: seeds with which one of both diverged.

    Raises:
        InvalidValueError: other numbers of seeds or test samples, or none.
    """

    __repr__ = brief

    reference: Measured
    compressed: Measured
    answers: tuple[BoolArray, BoolArray] | None = field(default=None, repr=False, compare=False)
    left_out: int = 0

    def __post_init__(self) -> None:
        shape = (self.seeds, self.test_samples)
        shapes = {(len(one.accuracies), one.test_samples) for one in (self.reference, self.compressed)}
        shapes |= {answers.shape for answers in self.answers or ()}
        if shapes != {shape} or min(shape) < 1:
            raise InvalidValueError(f"a difference needs both networks on the same seeds and samples, got {shapes}")

    @property
    def seeds(self) -> int:
        """How many there are of each network."""
        return len(self.reference.accuracies)

    @property
    def test_samples(self) -> int:
        """How many the accuracies were measured on."""
        return self.reference.test_samples

    @property
    def paired(self) -> bool:
        """Whether the interval compares both networks sample by sample."""
        return self.answers is not None

    @property
    def difference(self) -> float:
        """Mean of compressed minus reference, seed by seed."""
        return float(np.mean(self._by_seed))

    @cached_property
    def interval(self) -> Interval | None:
        """95 % interval of the difference; None with fewer than `FEWEST_SEEDS`."""
        if self.seeds < FEWEST_SEEDS:
            return None
        half = _half_width(self._seed_error, self.seeds, self._sample_error)
        return max(self.difference - half, -1.0), min(self.difference + half, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "seeds": self.seeds,
            "left_out_seeds": self.left_out,
            "test_samples": self.test_samples,
            "chance": self.reference.chance,
            "reference": self.reference.to_dict(),
            "compressed": self.compressed.to_dict(),
            "difference": {
                "mean": self.difference,
                "interval_95": self.interval and list(self.interval),
                "standard_error_of_seeds": self._seed_error if self.seeds > 1 else None,
                "standard_error_of_test_samples": self._sample_error,
                "test_samples": "paired" if self.paired else "unpaired",
            },
        }

    @property
    def _by_seed(self) -> npt.NDArray[np.float64]:
        return np.subtract(self.compressed.accuracies, self.reference.accuracies)

    @property
    def _seed_error(self) -> float:
        """Standard error that the seeds leave."""
        return float(np.std(self._by_seed, ddof=1) / np.sqrt(self.seeds))

    @property
    def _sample_error(self) -> float:
        """Standard error that the test samples leave."""
        if self.answers is None:
            shares = (_more_samples(one.mean, self.test_samples, 2) for one in (self.reference, self.compressed))
            return float(np.sqrt(sum(share * (1 - share) for share in shares) / (self.test_samples + 2)))
        by_sample = np.mean(self.answers[1], axis=0) - np.mean(self.answers[0], axis=0)
        squares = float(((by_sample - by_sample.mean()) ** 2).sum()) + 2 * 0.5**2
        return float(np.sqrt(squares)) / (self.test_samples + 2)


def accuracy_interval(mean: float, std: float | None, seeds: int, test_samples: int) -> Interval | None:
    """95 % interval of a mean accuracy over seeds, of seeds and samples like these.

    As that of `MeasuredDifference`, with four more samples, two of them right (A. Agresti, B. Coull, Am. Stat. 52
    (1998) 119).

    Args:
        mean: over the seeds.
        std: over the seeds.
        seeds: how many.
        test_samples: how many.

    Returns:
        The interval, within [0, 1]; None with fewer than `FEWEST_SEEDS`.

    Examples:
        >>> low, high = accuracy_interval(1.0, 0.0, 5, 96)  # sqrt(0.98 · 0.02 / 100) = 0.014
        >>> round(low, 4), high
        (0.9726, 1.0)
        >>> accuracy_interval(0.5, 0.1, 2, 96)
    """
    if seeds < FEWEST_SEEDS or std is None:
        return None
    share = _more_samples(mean, test_samples, 4)
    sample_error = float(np.sqrt(share * (1 - share) / (test_samples + 4)))
    half = _half_width(std / float(np.sqrt(seeds)), seeds, sample_error)
    return max(mean - half, 0.0), min(mean + half, 1.0)


def _half_width(seed_error: float, seeds: int, sample_error: float) -> float:
    return float(np.hypot(stdtrit(seeds - 1, _TAIL) * seed_error, ndtri(_TAIL) * sample_error))


def _more_samples(share: float, count: int, more: int) -> float:
    """The share of right answers with some more samples, half of them right."""
    return (count * share + more / 2) / (count + more)
