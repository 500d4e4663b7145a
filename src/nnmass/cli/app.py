"""The application: its commands, and what becomes of errors."""

import sys

import typer

from nnmass.cli.analyze import analyze
from nnmass.cli.compress import compress
from nnmass.cli.fit import fit
from nnmass.cli.reproduce import reproduce
from nnmass.cli.sweep import sweep
from nnmass.cli.train import train
from nnmass.errors import NNMassError

app = typer.Typer(
    name="nnmass",
    help="Choose, shrink and explain a deep network from its topology, before anyone trains it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (analyze, compress, train, sweep, fit, reproduce):
    app.command()(command)


@app.callback()
def _commands() -> None:
    pass


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 1 or 2."""
    try:
        app()
    except NNMassError as error:
        print(f"nnmass: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(
            "nnmass: interrupted; what was finished is kept, and the same command goes on from there", file=sys.stderr
        )
        sys.exit(130)
