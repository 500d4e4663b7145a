"""Latency and memory of networks on this machine, measured."""

from nnmass.timing.bench import Bench, bench_source, peak_activations
from nnmass.timing.engines import Engine, conditions, threads_set
from nnmass.timing.measure import fill_table, inputs_grid, measure_latency, yardstick_of
from nnmass.timing.memory import peak_bytes
from nnmass.timing.modules import module_of
from nnmass.timing.norms import settled
from nnmass.timing.yardstick import Yardstick

__all__ = [
    "Bench",
    "Engine",
    "Yardstick",
    "bench_source",
    "conditions",
    "fill_table",
    "inputs_grid",
    "measure_latency",
    "module_of",
    "peak_activations",
    "peak_bytes",
    "settled",
    "threads_set",
    "yardstick_of",
]
