"""What was asked of ``nnmass reproduce``."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line; None: as the experiment thinks best."""

    folder: Path
    data: str
    data_root: Path | None
    segments: int
    seeds: int | None
    epochs: int | None
    workers: int | None
    quiet: bool
    smoke: bool = False
