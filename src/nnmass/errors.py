"""The errors that nnmass raises; every message says what, which value, what is allowed and where."""

import numbers
import os
import typing

_SHOWN = 80  # characters of a value in a message


class NNMassError(Exception):
    """Base of every error raised on purpose by nnmass."""


class InvalidValueError(NNMassError, ValueError):
    """An argument lies outside its allowed range."""


class WrongTypeError(InvalidValueError, TypeError):
    """An argument is of another type than is needed."""


class SpecificationError(InvalidValueError):
    """A specification, or the JSON file that holds one, is not valid."""


class SpaceError(InvalidValueError):
    """A design space, or the JSON file that holds one, is not valid."""


class ResourceError(NNMassError):
    """What is asked needs more memory, or more time, than there is or than is allowed."""


class DataError(NNMassError):
    """A data set is unknown, missing, or not what its name says."""


class ImageError(DataError):
    """One image cannot be read: damaged, cut off, too large, or of a kind that is not read."""


class DestinationError(NNMassError):
    """Nothing can be written where results are to go."""


class CheckpointError(NNMassError):
    """A checkpoint is damaged or belongs to another run."""


class StoreError(NNMassError):
    """A store of runs or latencies is damaged, or is no such store."""


class ClusterError(NNMassError):
    """A cluster does not answer, has not what is asked of it, or loses what it was given."""


class WorkerError(NNMassError):
    """A process that worked for this one ended before its work was done."""


class LatencyError(NNMassError):
    """A latency table lacks what is asked of it, or is of another device."""


class FitError(NNMassError):
    """A fit cannot be made from these networks."""


class ExtrapolationError(FitError):
    """A prediction was asked for far outside the fitted networks."""


class DomainError(NNMassError):
    """A design was asked for beyond where the theory or a fit speaks."""


class InfeasibleError(NNMassError):
    """No specification satisfies the budget and the domain."""


class ExportError(NNMassError):
    """An exported network does not compute what the network does."""


class ModelError(NNMassError):
    """A model is unknown, cannot be built or loaded, is no PyTorch module, or its forward pass fails."""


class RefusedError(ModelError):
    """A model that NN-Mass is not defined for; it carries what is known all the same.

    Attributes:
        module: path of the module that does what cannot be described.
        reason: what that is.
        params: parameters of the model.
        macs: multiply-accumulates of its forward pass; None where that was not run to its end, or holds an operator
            whose cost is not known.
        uncounted: why ``macs`` is None; else empty.
    """

    def __init__(self, module: str, reason: str, *, params: int, macs: int | None, uncounted: str = "") -> None:
        super().__init__(f"NN-Mass is not defined for this model: {module}: {reason}")
        self.module, self.reason, self.params, self.macs = module, reason, params, macs
        self.uncounted = uncounted

    @property
    def costs(self) -> str:
        """What the model costs, for people."""
        macs = f"MACs unknown: {self.uncounted}" if self.macs is None else f"{self.macs:,} MACs"
        return f"{self.params:,} params, {macs}"


def require_type(value: object, kind: type[typing.Any] | tuple[type[typing.Any], ...], name: str, wanted: str) -> None:
    """Refuse an argument of another type.

    Args:
        value: the argument.
        kind: what it may be.
        name: of the argument.
        wanted: what is needed, for the message.

    Raises:
        WrongTypeError: it is something else.

    Examples:
        >>> require_type("MobileNetV2", int, "depth", "a whole number")
        Traceback (most recent call last):
        nnmass.errors.WrongTypeError: depth must be a whole number, got the str 'MobileNetV2'
    """
    if isinstance(value, kind):
        return
    if isinstance(value, type):
        got = f"the class {value.__name__}"
    else:
        text = isinstance(value, str | int | float | os.PathLike) and value is not True and value is not False
        got = type(value).__name__ if not text else f"the {type(value).__name__} {str(value)[:_SHOWN]!r}"
    raise WrongTypeError(f"{name} must be {wanted}, got {got}")


def require_number(value: object, name: str) -> None:
    """Refuse what is neither a number nor None.

    Raises:
        WrongTypeError: it is something else.
    """
    require_type(value, (numbers.Real, type(None)), name, "a number")


def require_path(value: object, name: str = "path") -> None:
    """Refuse what names no file.

    Raises:
        WrongTypeError: neither text nor a path.
    """
    require_type(value, (str, os.PathLike), name, "text or a path")


def first_line(error: BaseException) -> str:
    """Say what an error says, without what follows the first line."""
    try:
        said = str(error).strip()
    except Exception:  # somebody else's error may fail to say what it is
        said = ""
    return (said or type(error).__name__).splitlines()[0]


def reason(error: BaseException) -> str:
    """Say why something failed, in a line: of an `OSError` without its number and path, which messages name already."""
    return getattr(error, "strerror", None) or first_line(error)
