"""The layer graph of any PyTorch model, its cells and NN-Mass."""

from nnmass.tracing.analysis import analyze
from nnmass.tracing.report import Outside, Report, Skipped
from nnmass.tracing.trace import Trace, trace

__all__ = ["Outside", "Report", "Skipped", "Trace", "analyze", "trace"]
