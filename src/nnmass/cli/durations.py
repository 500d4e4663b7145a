"""How long training will take, roughly, said before it starts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnmass.cli.output import note

if TYPE_CHECKING:
    from nnmass.architectures import Specification
    from nnmass.data import Data
    from nnmass.training import TrainingConfig

MACS_PER_SECOND = {"two cores": 2e10, "H100 (assumed)": 5e12}
"""Rates of training by which times are estimated: DenseCNNs on two cores, and a guess."""
_DAY = 24 * 3600


def duration(seconds: float) -> str:
    """A time as people say it.

    Examples:
        >>> duration(600), duration(3 * 3600), duration(10 * 24 * 3600)
        ('10 min', '3 h', '240 h')
    """
    minutes = seconds / 60
    return f"{minutes:,.0f} min" if minutes < 120 else f"{minutes / 60:,.0f} h"


def note_long_training(
    specs: "Sequence[Specification]", data: "Data", config: "TrainingConfig", *, seeds: int = 1
) -> None:
    """Say so where two cores would train for more than a day."""
    from nnmass.training import training_macs

    macs = training_macs(specs, samples=len(data.train), epochs=config.epochs, seeds=seeds)
    rate = MACS_PER_SECOND["two cores"]
    if macs > rate * _DAY:
        note(f"training takes {macs:.1e} MACs: {duration(macs / rate)} at {rate:.0e} MACs a second, as two cores reach")
