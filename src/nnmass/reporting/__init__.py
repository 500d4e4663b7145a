"""Pictures, tables and pages."""

from nnmass.reporting.accuracy import Mark, accuracy_figure, marked_figure
from nnmass.reporting.compression import compression_rows, summary, write_compression
from nnmass.reporting.convergence import convergence_figure, convergence_fit_rows, convergence_rows
from nnmass.reporting.difference import difference_figure
from nnmass.reporting.page import Section, render_page
from nnmass.reporting.style import COLOURS, picture, save
from nnmass.reporting.tables import comparison_rows
from nnmass.reporting.topology import topology_figure

__all__ = [
    "COLOURS",
    "Mark",
    "Section",
    "accuracy_figure",
    "comparison_rows",
    "compression_rows",
    "convergence_figure",
    "convergence_fit_rows",
    "convergence_rows",
    "difference_figure",
    "marked_figure",
    "picture",
    "render_page",
    "save",
    "summary",
    "topology_figure",
    "write_compression",
]
