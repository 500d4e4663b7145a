"""Input sizes that a graph file declares, some of them open."""

from collections.abc import Sequence

from nnmass.errors import ModelError
from nnmass.tracing.loaded_model import InputSizes


def closed_sizes(
    source: object, declared: Sequence[Sequence[int | None] | None], *, image_size: int | None
) -> InputSizes | None:
    """Close the open dimensions (None): 1 for the batch, ``image_size`` for height and width of images.

    Of an input of which not even the number of dimensions is declared (None), nothing is known.

    Returns:
        the sizes; None where one stays open.

    Raises:
        ModelError: the file is for images of another size.
    """
    if None in declared:
        return None
    closed = [_closed(source, size, image_size) for size in declared if size is not None]
    complete = [tuple(length for length in size if length is not None) for size in closed]
    return tuple(complete) if complete == [tuple(size) for size in closed] else None


def _closed(source: object, size: Sequence[int | None], image_size: int | None) -> list[int | None]:
    closed = list(size)
    if closed and closed[0] is None:
        closed[0] = 1
    if image_size is not None and len(closed) == 4:
        if any(length not in {None, image_size} for length in closed[2:]):
            height, width = (length or "any" for length in closed[2:])
            raise ModelError(f"{source} is a graph for images of {height} × {width}, not {image_size} × {image_size}")
        closed[2:] = [image_size, image_size]
    return closed
