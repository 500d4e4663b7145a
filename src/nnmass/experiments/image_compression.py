"""Large convolutional networks against ones of equal NN-Mass, trained alike (arXiv:1910.00780, section 5.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnmass.architectures import Specification
from nnmass.data import Data
from nnmass.designing import Compression, compress
from nnmass.representation import brief
from nnmass.sweeps import RunStore, run_sweep
from nnmass.training import TrainingConfig
from nnmass.verification import Bar, CompressionOutcome, measure_compression, measured_verdict


@dataclass(frozen=True)
class ImageCompression:
    """The outcome: each reference beside the network of its mass at a share of its MACs.

    Attributes:
        outcomes: with the measured differences.
        keep_macs: largest share of the reference's MACs that was allowed.
        config: how both were trained.
    """

    __repr__ = brief

    outcomes: tuple[CompressionOutcome, ...]
    keep_macs: float
    config: TrainingConfig

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "keep_macs": self.keep_macs,
            "compressions": [outcome.to_dict() for outcome in self.outcomes],
            "verdict": self.verdict(),
        }

    def verdict(self) -> list[str]:
        """Say in plain sentences what is shown, and what is not."""
        return [_sentence(outcome) for outcome in self.outcomes]


def image_compression(
    references: Sequence[Specification],
    data: Data,
    store: RunStore,
    config: TrainingConfig,
    bar: Bar,
    *,
    keep_macs: float,
    seeds: int = 3,
    workers: int | None = None,
) -> ImageCompression:
    """Compress each reference at equal mass, and train both with several seeds.

    Args:
        references: the large networks.
        data: what to learn.
        store: takes the runs, and has those of an interrupted call.
        config: how to train.
        bar: shows progress.
        keep_macs: share of the reference's MACs that may be used.
        seeds: of each network.
        workers: processes.

    Raises:
        InfeasibleError: no network of a reference's mass is as cheap.
    """
    found: list[Compression] = [compress(spec, max_macs=int(keep_macs * spec.macs)) for spec in references]
    both = [spec for one in found for spec in (one.reference, one.spec)]
    with bar("references and designed networks") as progress:
        run_sweep(both, data, store, config, seeds=range(seeds), workers=workers, progress=progress)
    outcomes = (
        measure_compression(one, data, store, config, bar, calibrate=False, verify=True, seeds=seeds, workers=workers)
        for one in found
    )
    return ImageCompression(tuple(outcomes), keep_macs, config)


def _sentence(outcome: CompressionOutcome) -> str:
    reference, small, measured = outcome.compression.reference, outcome.compression.spec, outcome.verification
    assert measured is not None
    return (
        f"At {small.nn_mass / reference.nn_mass:.3f} × the mass, {small.macs / reference.macs:.2f} × the MACs and "
        f"{small.params / reference.params:.2f} × the parameters {measured_verdict(measured, 'designed network')}"
    )
