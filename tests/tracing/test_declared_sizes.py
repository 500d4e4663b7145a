import pytest

from nnmass.errors import ModelError
from nnmass.tracing.declared_sizes import closed_sizes


@pytest.mark.parametrize(
    ("declared", "image_size", "closed"),
    [
        ([[2, 3, 8, 8]], None, ((2, 3, 8, 8),)),
        ([[None, 3, 8, 8], [None, 5]], None, ((1, 3, 8, 8), (1, 5))),
        ([[None, 3, None, None]], 32, ((1, 3, 32, 32),)),
        ([[None, 3, None, 32], [4]], 32, ((1, 3, 32, 32), (4,))),
        ([[None, 3, None, None]], None, None),
        ([[None, None, 8, 8]], 8, None),
        ([[], [None]], None, ((), (1,))),
        ([], None, ()),
    ],
)
def test_open_sizes_are_closed(declared, image_size, closed):
    assert closed_sizes("net.onnx", declared, image_size=image_size) == closed


@pytest.mark.parametrize(("size", "held"), [((8, 8), "8 × 8"), ((None, 8), "any × 8")])
def test_images_of_another_size_are_refused(size, held):
    with pytest.raises(ModelError, match=f"^net.onnx is a graph for images of {held}, not 9 × 9$"):
        closed_sizes("net.onnx", [[None, 3, *size]], image_size=9)
