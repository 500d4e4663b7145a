"""The errors that nnmass raises; every message says what, which value, what is allowed and where."""


class NNMassError(Exception):
    """Base of every error raised on purpose by nnmass."""


class InvalidValueError(NNMassError, ValueError):
    """An argument lies outside its allowed range."""


class SpecificationError(InvalidValueError):
    """A specification, or the JSON file that holds one, is not valid."""


class ModelError(NNMassError):
    """A model is unknown, cannot be built or loaded, or is no PyTorch module."""


class DataError(NNMassError):
    """A data set is unknown, missing, or not what its name says."""


class CheckpointError(NNMassError):
    """A checkpoint is damaged or belongs to another run."""


class StoreError(NNMassError):
    """A run store is damaged, or is not a run store."""


class FitError(NNMassError):
    """A fit cannot be made from these networks."""


class ExtrapolationError(FitError):
    """A prediction was asked for far outside the fitted networks."""


class InfeasibleError(NNMassError):
    """No specification satisfies the budget and the domain."""


def first_line(error: BaseException) -> str:
    """Say what an error says, without what follows the first line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
