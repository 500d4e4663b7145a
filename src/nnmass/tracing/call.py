"""One operator call, as a dispatch mode sees it."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from nnmass.tracing.constants import written_by


class Call:
    """One operator call.

    Attributes:
        name: name of the operator without overload: ``"aten::add"``.
        args: its positional arguments by name, defaults included.
        out: its result.
    """

    def __init__(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.func = func
        self.name: str = func._schema.name
        self.given = (*args, *kwargs.values())
        self._args, self._kwargs = args, kwargs
        self.out: Any = None

    def __getitem__(self, name: str) -> Any:
        """Argument of that name."""
        for k, argument in enumerate(self.func._schema.arguments):
            if argument.name == name:
                if k < len(self._args):
                    return self._args[k]
                return self._kwargs.get(name, argument.default_value)
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Whether the operator has an argument of that name."""
        return any(argument.name == name for argument in self.func._schema.arguments)

    def written(self) -> list[Tensor]:
        """The tensors that it changes."""
        return written_by(self.func, self._args, self._kwargs)
