"""The command line: ``nnmass COMMAND``."""

from nnmass.cli.app import app, main

__all__ = ["app", "main"]
