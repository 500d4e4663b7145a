"""Tables in Markdown."""

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are to the right."""
    rule = ("---", *("---:" for _ in columns[1:]))
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, rule, *rows))
