"""What training costs, before it starts."""

from collections.abc import Iterable

from nnmass.architectures import Specification


def training_macs(specs: Iterable[Specification], *, samples: int, epochs: int, seeds: int = 1) -> float:
    """Multiply-accumulates of training networks: three times those of the forward passes of all samples.

    Args:
        specs: the networks.
        samples: of an epoch.
        epochs: of each run.
        seeds: runs of each network.
    """
    return 3.0 * samples * epochs * seeds * sum(spec.macs for spec in specs)
