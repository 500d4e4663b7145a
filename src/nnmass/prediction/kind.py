"""Which networks a fit holds for: those of one kind, trained alike on one data set."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from nnmass.errors import ExtrapolationError, FitError
from nnmass.representation import brief


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    """A value in few characters.

    Examples:
        >>> _shown((8, 16)), _shown(0.001), _shown("elu"), _shown({})
        ('8, 16', '0.001', 'elu', '{}')
    """
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) and value else str(value)


class Described(Protocol):
    """A network that says what it is; every specification does.

    Attributes:
        family: of which it is.
        traits: what besides depth and skips makes it the network that it is, by name.
        scaled_traits: names of those in which the networks of one fit may differ.
        nn_mass: NN-Mass.
        params: trainable parameters.
        macs: multiply-accumulates of one input.
    """

    @property
    def family(self) -> str: ...  # noqa: D102
    @property
    def traits(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def scaled_traits(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def nn_mass(self) -> float: ...  # noqa: D102
    @property
    def params(self) -> int: ...  # noqa: D102
    @property
    def macs(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Origin:
    """What was trained to measure an accuracy, on what, and how.

    Attributes:
        spec: the network.
        data: data set and source.
        training: the training configuration, by name.
    """

    spec: Described
    data: str
    training: Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """What the networks of a fit have in common; it holds for networks of which this is true as well.

    Attributes:
        family: of all.
        traits: what is the same in all, by name, as widths, inputs and classes.
        varied: names of what differs among them, besides depth and skips.
        data: data set and source.
        training: the training configuration.
    """

    __repr__ = brief

    family: str
    traits: dict[str, Any]
    varied: tuple[str, ...]
    data: str
    training: dict[str, Any]

    @classmethod
    def of(cls, origins: Iterable[Origin]) -> Self:
        """The kind of some networks.

        Raises:
            FitError: they are of several families, data sets, training configurations, or of traits that make
                accuracies incomparable; says which.
        """
        given = list(origins)
        first, values = given[0], _values(given)
        differ = [name for name, found in values.items() if len(found) > 1]
        varied = first.spec.scaled_traits.intersection(differ)
        if apart := [name for name in differ if name not in varied]:
            listed = ", and ".join(f"{_words(name)} {' or '.join(map(_shown, values[name]))}" for name in apart)
            raise FitError(
                f"these networks are not alike: they have {listed}.  A line holds for one kind of network, trained in "
                f"one way: nnmass fit --only {apart[0]}=… takes some, and so does --fit-only of nnmass design"
            )
        traits = {name: value for name, value in first.spec.traits.items() if name not in varied}
        return cls(first.spec.family, traits, tuple(sorted(varied)), first.data, dict(first.training))

    def differences(
        self,
        family: str,
        traits: Mapping[str, Any],
        has: Callable[[Any, Any], bool] = operator.eq,
        shown: Callable[[Any], str] = _shown,
    ) -> tuple[str, ...]:
        """How a network, or all networks of a space, differ from these; nothing where they may be of this kind.

        Args:
            family: of the other.
            traits: of the other, by name.
            has: whether a trait of the other has, or can have, a value of these.
            shown: a trait of the other, for people.
        """
        if family != self.family:
            listed = ", ".join(f"{_words(name)} {shown(value)}" for name, value in traits.items())
            return (f"family {family} ({listed}), not {self.family}",)
        return tuple(
            f"{_words(name)} {shown(traits[name])}, not {_shown(value)}"
            for name, value in self.traits.items()
            if not has(traits[name], value)
        )

    def require(self, spec: Described) -> None:
        """Refuse a network that is not of this kind.

        Raises:
            ExtrapolationError: names each difference.
        """
        if found := self.differences(spec.family, spec.traits):
            raise ExtrapolationError(f"the fit holds for {self}; this network has {'; '.join(found)}")

    def __str__(self) -> str:
        traits = ", ".join(f"{_words(name)} {_shown(value)}" for name, value in self.traits.items())
        return f"{self.family}s of {traits} on {self.data.partition(' (')[0]}"

    @property
    def trained(self) -> str:
        """How all were trained, for people."""
        return ", ".join(f"{_words(name)} {_shown(value)}" for name, value in self.training.items() if value)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "family": self.family,
            "traits": self.traits,
            "varied": list(self.varied),
            "data": self.data,
            "training": self.training,
        }


def _values(origins: Sequence[Origin]) -> dict[str, list[Any]]:
    """The different values of everything that the fit depends on; of a family's traits only where there is one."""
    found: dict[str, list[Any]] = {}
    rows = [{"family": origin.spec.family, "data": origin.data} | dict(origin.training) for origin in origins]
    if len({row["family"] for row in rows}) == 1:
        rows = [row | origin.spec.traits for row, origin in zip(rows, origins, strict=True)]
    for name in dict.fromkeys(name for row in rows for name in row):
        values = found.setdefault(name, [])
        for row in rows:
            if row.get(name) not in values:
                values.append(row.get(name))
    return found
