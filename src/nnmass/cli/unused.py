"""Which options a call does not use: one table per command, row by row refused."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import typer

from nnmass.cli.options import refuse

Given: TypeAlias = Mapping[str, Any]
"""Parameters of a call by name, and whatever else decides what it uses."""


class Unused(NamedTuple):
    """Options that some calls do not use.

    Attributes:
        when: says of a call that it does not.
        options: names of the parameters.
        because: follows an option's name: "needs --data".
    """

    when: Callable[[Given], bool]
    options: frozenset[str]
    because: str


def refuse_unused(context: typer.Context, table: Sequence[Unused], **known: Any) -> None:
    """Refuse what was given on the command line, but is not used by this call.

    Args:
        context: of the command.
        table: of its options.
        known: what decides besides the parameters.

    Raises:
        BadParameter: names the option and the reason.
    """
    given = context.params | known
    for row in table:
        if row.when(given):
            refuse(context, row.options, because=row.because)
