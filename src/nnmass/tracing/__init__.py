"""Any PyTorch model: obtained, run once on tensors without memory, and read as a layer graph with cells and NN-Mass."""

from nnmass.tracing.analysis import analyze
from nnmass.tracing.loaded_model import LoadedModel
from nnmass.tracing.report import Outside, Report, Skipped
from nnmass.tracing.sources import load_model, model_names
from nnmass.tracing.trace import Trace, trace

__all__ = ["LoadedModel", "Outside", "Report", "Skipped", "Trace", "analyze", "load_model", "model_names", "trace"]
