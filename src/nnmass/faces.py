"""Faces of packages whose parts are loaded when they are used."""

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module


def on_demand(package: str) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package whose ``__init__`` imports its parts below ``if TYPE_CHECKING:`` only.

    Some parts of a package need PyTorch or Matplotlib, and others do not: whoever uses these does not load those.

    Args:
        package: its name.
    """

    @cache
    def parts() -> dict[str, str]:
        """Modules of the names in the face, as its source says."""
        import ast

        source = import_module(package).__spec__.loader.get_source(package)  # type: ignore[union-attr]
        imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
        below = [node for node in imports if node.module and node.module.startswith(f"{package}.")]
        return {alias.name: node.module for node in below for alias in node.names if node.module}

    def load(name: str) -> object:
        if name.startswith("__") or name not in parts():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(parts()[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
