"""Any PyTorch model, run once on tensors without memory, and read as a layer graph with cells and NN-Mass."""

from nnmass.tracing.analysis import analyze
from nnmass.tracing.from_source import analyze_source, specification_of
from nnmass.tracing.recognition import recognise
from nnmass.tracing.report import Outside, Report, Skipped
from nnmass.tracing.trace import Trace, trace

__all__ = [
    "Outside",
    "Report",
    "Skipped",
    "Trace",
    "analyze",
    "analyze_source",
    "recognise",
    "specification_of",
    "trace",
]
