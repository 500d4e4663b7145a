"""Any PyTorch model: obtained, run once on tensors without memory, and read as a layer graph with cells and NN-Mass."""

from nnmass.tracing.analysis import analyze
from nnmass.tracing.from_source import analyze_source, specification_of
from nnmass.tracing.loaded_model import LoadedModel
from nnmass.tracing.published import Published, PublishedAccuracies
from nnmass.tracing.ranking import (
    CAVEAT,
    RankedModel,
    measure,
    measure_all,
    of_unknown_cost,
    ranked,
    with_published,
    within,
)
from nnmass.tracing.recognition import recognise
from nnmass.tracing.report import Outside, Report, Skipped
from nnmass.tracing.sources import load_model, model_names
from nnmass.tracing.trace import Trace, trace

__all__ = [
    "CAVEAT",
    "LoadedModel",
    "Outside",
    "Published",
    "PublishedAccuracies",
    "RankedModel",
    "Report",
    "Skipped",
    "Trace",
    "analyze",
    "analyze_source",
    "load_model",
    "measure",
    "measure_all",
    "model_names",
    "of_unknown_cost",
    "ranked",
    "recognise",
    "specification_of",
    "trace",
    "with_published",
    "within",
]
