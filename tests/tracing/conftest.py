from collections.abc import Callable

import pytest

import nnmass
from nnmass.tracing import load_model
from nnmass.tracing.report import Report


@pytest.fixture
def analysed() -> Callable[..., Report]:
    """A model of a library, analysed as it is delivered."""

    def analysed(source: str, **options: int) -> Report:
        model = load_model(source, **options)
        return nnmass.analyze(model.module, model.input_sizes[0])

    return analysed
