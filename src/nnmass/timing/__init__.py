"""Latency and memory of networks on this machine, measured."""

from nnmass.timing.engines import Engine, conditions, threads_set
from nnmass.timing.measure import calibrate_table, fill_table, inputs_grid, measure_latency
from nnmass.timing.memory import peak_bytes
from nnmass.timing.modules import module_of

__all__ = [
    "Engine",
    "calibrate_table",
    "conditions",
    "fill_table",
    "inputs_grid",
    "measure_latency",
    "module_of",
    "peak_bytes",
    "threads_set",
]
