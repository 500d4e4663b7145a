"""Sizes and types of a model's inputs, as people write them."""

import typer

from nnmass.plain_text import plain

_TYPES = ("float", "int", "bool")


def input_size_and_type(text: str) -> tuple[tuple[int, ...], str | None]:
    """Read the size of an input, and its type where it is said.

    Examples:
        >>> input_size_and_type("1,3,224,224"), input_size_and_type("1,128:int")
        (((1, 3, 224, 224), None), ((1, 128), 'int'))
    """
    written, colon, kind = text.partition(":")
    try:
        size = tuple(int(part) for part in written.split(","))
    except ValueError:  # also of thousands of digits
        size = ()
    if not size or min(size) < 1 or (colon and kind not in _TYPES):
        shown = plain(text, limit=40)
        raise typer.BadParameter(f"{shown!r} is not a size such as 1,3,224,224, or 1,128:int ({', '.join(_TYPES)})")
    return size, kind or None
