"""The application: its commands, and what becomes of errors."""

import io
import os
import sys
import tempfile
import traceback
import warnings
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from nnmass.cli.analyze import analyze
from nnmass.cli.bench import bench
from nnmass.cli.compress import compress
from nnmass.cli.design import design
from nnmass.cli.export import export
from nnmass.cli.fit import fit
from nnmass.cli.interruption import EXIT_CODE, end, interrupted, leave
from nnmass.cli.isometry import isometry
from nnmass.cli.output import note
from nnmass.cli.rank import rank
from nnmass.cli.reproduce import reproduce
from nnmass.cli.sweep import sweep
from nnmass.cli.train import train
from nnmass.errors import NNMassError, RefusedError
from nnmass.plain_text import one_line

app = typer.Typer(
    name="nnmass",
    help="Choose, shrink and explain a deep network from its topology, before anyone trains it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (analyze, rank, isometry, compress, design, bench, export, train, sweep, fit, reproduce):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from nnmass.provenance import versions

        known = versions()
        others = ", ".join(f"{name} {version}" for name, version in known.items() if name != "nnmass")
        typer.echo(f"nnmass {known['nnmass']}, with {others}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _commands(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the versions of nnmass and of what it uses."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run() -> NoReturn:
    """Run a command and end the process; a user's mistake is one line on standard error and exit code 1 or 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show ± gets \xb1, not a traceback
    warnings.showwarning = _show_warning
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
    except TyperException as error:
        _fail(error.format_message().replace("Value error, ", ""), error.exit_code)
    except RefusedError as error:
        _fail(f"{error}; {error.costs}", 1)
    except NNMassError as error:
        _fail(str(error), 1)
    except BrokenPipeError:  # whoever read the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        end(1)
    except MemoryError:
        _fail("this machine has not enough memory for that", 1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except Exception as error:
        if interrupted():  # and somebody else's code made another error of it
            leave()
        _report(error)
    if code == EXIT_CODE:
        leave()
    end(code)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning as one line, without the place in the code that raised it."""
    note(message)


def _report(error: Exception) -> NoReturn:
    """Keep the traceback of a fault of nnmass itself in a file, for a report."""
    with tempfile.NamedTemporaryFile("w", prefix="nnmass-fault-", suffix=".txt", delete=False) as stream:
        stream.write("".join(traceback.format_exception(error)))
    _fail(f"internal fault, {type(error).__name__}: {one_line(error, limit=300)}; please report {stream.name}", 1)


def _fail(message: str, code: int) -> NoReturn:
    print(f"nnmass: {one_line(message)}", file=sys.stderr)
    end(code)
