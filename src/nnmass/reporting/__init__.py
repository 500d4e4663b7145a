"""Pictures, tables and pages."""

from typing import TYPE_CHECKING

from nnmass.faces import on_demand

if TYPE_CHECKING:
    from nnmass.reporting.accuracy import Mark, accuracy_figure, marked_figure
    from nnmass.reporting.bench import Checked, bench_rows, bench_summary, latency_figure
    from nnmass.reporting.compression import (
        compression_rows,
        cost_notes,
        front_between,
        summary,
        write_compression,
    )
    from nnmass.reporting.convergence import convergence_figure, convergence_fit_rows, convergence_rows
    from nnmass.reporting.design import design_rows, design_summary, front_figure, front_rows, write_design, write_front
    from nnmass.reporting.difference import difference_figure
    from nnmass.reporting.imagenet_published import (
        imagenet_figure,
        imagenet_group_rows,
        imagenet_left_out_rows,
        imagenet_pair_rows,
        imagenet_pooled_rows,
    )
    from nnmass.reporting.isometry import isometry_rows, isometry_summary, isometry_values, mend_rows, write_isometry
    from nnmass.reporting.isometry_experiment import isometry_figure, isometry_fit_rows, isometry_gap_rows
    from nnmass.reporting.layer_graph import layer_graph_figure
    from nnmass.reporting.model import cell_rows, layer_rows, model_summary, small_world_line, times
    from nnmass.reporting.page import Section, render_page
    from nnmass.reporting.ranking import outcomes_line, ranking_rows, write_ranking
    from nnmass.reporting.spectrum import spectrum_figure
    from nnmass.reporting.style import COLOURS, picture, save
    from nnmass.reporting.tables import comparison_notes, comparison_rows, equal_mass_rows
    from nnmass.reporting.topology import topology_figure

__all__ = [
    "COLOURS",
    "Checked",
    "Mark",
    "Section",
    "accuracy_figure",
    "bench_rows",
    "bench_summary",
    "cell_rows",
    "comparison_notes",
    "comparison_rows",
    "compression_rows",
    "convergence_figure",
    "convergence_fit_rows",
    "convergence_rows",
    "cost_notes",
    "design_rows",
    "design_summary",
    "difference_figure",
    "equal_mass_rows",
    "front_between",
    "front_figure",
    "front_rows",
    "imagenet_figure",
    "imagenet_group_rows",
    "imagenet_left_out_rows",
    "imagenet_pair_rows",
    "imagenet_pooled_rows",
    "isometry_figure",
    "isometry_fit_rows",
    "isometry_gap_rows",
    "isometry_rows",
    "isometry_summary",
    "isometry_values",
    "latency_figure",
    "layer_graph_figure",
    "layer_rows",
    "marked_figure",
    "mend_rows",
    "model_summary",
    "outcomes_line",
    "picture",
    "ranking_rows",
    "render_page",
    "save",
    "small_world_line",
    "spectrum_figure",
    "summary",
    "times",
    "topology_figure",
    "write_compression",
    "write_design",
    "write_front",
    "write_isometry",
    "write_ranking",
]

__getattr__ = on_demand(__name__)
