"""Text from outside (names in models and files, messages of other libraries) as text that is safe to show."""

import unicodedata

_ESCAPED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode categories that are invisible or move the cursor: control, format (bidirectional overrides), surrogate,
private, unassigned, line and paragraph separator."""
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def plain(text: object, *, limit: int | None = None) -> str:
    r"""Return one printable line: what cannot be seen, or moves the cursor, becomes a visible escape.

    Line breaks, terminal escape sequences, bidirectional overrides and lone surrogates cannot rewrite what stands
    around them, and the result can be encoded as UTF-8.

    Args:
        text: anything; its ``str`` is taken.
        limit: most characters of the result; a longer one ends in ``…``.

    Examples:
        >>> print(plain("conv1\n\x1b[2Kerror: none"))
        conv1\n\x1b[2Kerror: none
        >>> plain("a" * 100, limit=5)
        'aaaa…'
    """
    whole = str(text)
    read = whole if limit is None else whole[: limit + 1]  # no more work than is shown
    shown = "".join(map(_visible, read))
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"


def _visible(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) not in _ESCAPED:
        return character  # isprintable is false of spaces other than " ", which are harmless
    return character.encode("unicode_escape").decode()


def one_line(text: object, *, limit: int = 2000) -> str:
    r"""Return a message as one printable line; its own line breaks become spaces.

    Examples:
        >>> print(one_line("cannot be read:\n  damaged\x07"))
        cannot be read: damaged\x07
    """
    return plain(" ".join(str(text)[: 2 * limit].split()), limit=limit)


def spreadsheet_cell(value: object) -> object:
    """Return a value for a CSV file: text that a spreadsheet would run as a formula is quoted.

    Numbers stay as they are.

    Examples:
        >>> spreadsheet_cell("=1+1"), spreadsheet_cell(-0.5), spreadsheet_cell("-0.5"), spreadsheet_cell("resnet18")
        ("'=1+1", -0.5, '-0.5', 'resnet18')
    """
    if not isinstance(value, str):
        return value
    shown = plain(value)
    return f"'{shown}" if shown.startswith(_FORMULAS) and not _is_number(shown) else shown


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
