"""Whether a checkpoint is part of a run, which may have become longer or shorter since."""

import os
from itertools import islice
from typing import Any

from nnmass.errors import CheckpointError
from nnmass.plain_text import plain
from nnmass.training.checkpoint import Checkpoint
from nnmass.training.config import TrainingConfig
from nnmass.training.optimizers import learning_rates


def require_part_of(
    saved: Checkpoint, run: dict[str, Any], config: TrainingConfig, *, steps: int, where: str | os.PathLike[str] | None
) -> None:
    """Refuse a checkpoint that an uninterrupted run would not have passed through.

    A run of another number of epochs passes through it where it is long enough, and where the learning rates of all
    steps that are done are the same: with a schedule such as cosine they depend on the number of epochs.

    Args:
        saved: the checkpoint.
        run: describes the run.
        config: of the run.
        steps: of an epoch.
        where: names the file in messages.

    Raises:
        CheckpointError: it belongs to another run, or lies beyond this one.
        ValueError: it holds no run.
    """
    if different := _differences(saved.run, run):
        raise CheckpointError(
            f"{where}: belongs to a run with other {', '.join(different)}; remove it to start afresh, or keep this run "
            "elsewhere"
        )
    epochs = counted(saved.run["training"]["epochs"], 2**53)
    if epochs == config.epochs:
        return
    before = TrainingConfig(**(config.model_dump() | {"epochs": epochs}))
    done, step = counted(saved.values["epoch"], before.epochs), counted(saved.values["step"], steps - 1)
    if (done, step) > (config.epochs, 0):
        raise CheckpointError(
            f"{where}: is in epoch {done + bool(step)}, beyond the {config.epochs} that are asked for; remove it to "
            "start afresh, or keep this run elsewhere"
        )
    taken = done * steps + step
    rates = (islice(learning_rates(one, steps=steps), taken) for one in (before, config))
    if any(earlier != now for earlier, now in zip(*rates, strict=True)):
        raise CheckpointError(
            f"{where}: belongs to a run of {_epochs(before)}, which the schedule {config.schedule} trains at "
            f"other learning rates than one of {_epochs(config)}; remove it to start afresh, or keep this run "
            "elsewhere (with the schedule constant a run can be extended)"
        )


def _epochs(config: TrainingConfig) -> str:
    return f"{config.epochs} epoch{'s' if config.epochs > 1 else ''}"


def counted(value: Any, most: int) -> int:
    """A whole number from 0 to ``most`` that a file holds.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"it counts {plain(value, limit=40)} of at most {most}")
    return value


def _differences(found: dict[str, Any], run: dict[str, Any]) -> list[str]:
    """What of two runs differs, besides the number of epochs."""
    names = sorted(name for name in {*found, *run} if found.get(name) != run.get(name) and name != "training")
    theirs, own = found.get("training"), run.get("training")
    if not isinstance(theirs, dict) or not isinstance(own, dict):
        return names if theirs == own else [*names, "training"]
    changed = sorted(key for key in {*theirs, *own} - {"epochs"} if theirs.get(key) != own.get(key))
    shown = [f"{key} ({plain(theirs.get(key), limit=40)}, now {plain(own.get(key), limit=40)})" for key in changed]
    return [*names, *shown]
