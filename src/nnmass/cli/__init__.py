"""The command line: ``nnmass COMMAND``."""

from typing import NoReturn

from nnmass.cli.interruption import leave, listen

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and end the process; Ctrl-C is one line on standard error and exit code 130 at any time."""
    listen()
    try:
        from nnmass.cli.app import run

        run()
    except KeyboardInterrupt:
        leave()
