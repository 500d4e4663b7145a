"""Arguments and options of all commands as data, read from the functions behind them."""

import inspect
import typing
from dataclasses import dataclass
from typing import Any

from typer.models import ArgumentInfo, OptionInfo

from nnmass.cli.app import app


@dataclass(frozen=True)
class Parameter:
    """An option or argument of a command.

    Attributes:
        command: the command's name.
        name: of the function's parameter.
        kind: its type.
        info: what Typer knows of it: names, parser, help.
        default: what it is where it is not given.
    """

    command: str
    name: str
    kind: Any
    info: OptionInfo | ArgumentInfo
    default: Any

    @property
    def flag(self) -> str:
        """The option's first name."""
        first = self.info.default  # where Typer keeps the first name of an annotated option
        named = (*([first] if isinstance(first, str) else []), *(self.info.param_decls or ()))
        return named[0] if named else "--" + self.name.replace("_", "-")

    def __str__(self) -> str:
        return f"{self.command} {self.flag}"


def all_parameters() -> list[Parameter]:
    """Arguments and options of all commands."""
    found = []
    functions = [command.callback for command in app.registered_commands if command.callback is not None]
    for function in functions:
        hints = typing.get_type_hints(function, include_extras=True)
        for name, parameter in inspect.signature(function).parameters.items():
            infos = [i for i in getattr(hints[name], "__metadata__", ()) if isinstance(i, OptionInfo | ArgumentInfo)]
            if infos:
                kind = typing.get_args(hints[name])[0]
                found.append(Parameter(function.__name__, name, kind, infos[0], parameter.default))
    return found
