"""Whether a file holds a network: the same tensors, bit by bit, and the same function of them."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from nnmass.errors import ExportError, InvalidValueError, first_line
from nnmass.export.calibration import calibrated
from nnmass.plain_text import plain
from nnmass.timing.engines import evaluation
from nnmass.timing.inputs import random_inputs
from nnmass.tracing.input_types import InputType

TOLERANCE = 1e-4
"""Largest deviation of an exported network's outputs, relative to how much each output varies with the inputs."""
BATCHES = (3, 5)
"""Numbers of inputs on which networks are compared."""
_ROUNDINGS, _MOST_ROUNDING = 10, 0.1  # deviations allowed in units of rounding, and the largest rounding
_MOST_ALLOWED = 0.5  # deviation; that of other weights is about 1
_SHIFTS = (0.0, 2.0, 5.0)  # of calibrated networks: with the later ones deep networks of ReLUs round less
_LEAST = 1e-30  # outputs below it may be flushed to zero
_LARGE = 5.0  # a factor of some inputs, so that functions are seen where they saturate

Tensors: TypeAlias = Mapping[str, Tensor]
Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Stored:
    """What a file holds, as read back.

    Attributes:
        tensors: its weights by name; None for code, which has none.
        function: of the inputs, with given tensors in place of those of the same name.
        folded: whether a tensor may lack its name because it was folded into others.
    """

    tensors: Tensors | None
    function: Callable[[Tensors], Function]
    folded: bool = False


@dataclass(frozen=True)
class _Probe:
    """A state of a network, and what it puts out for some batches.

    Attributes:
        state: all tensors.
        expected: outputs by batch.
        scales: what deviations of each output are relative to.
        rounding: how far rounding alone moves the outputs, relative to the scales.
    """

    state: Tensors
    expected: list[list[Tensor]]
    scales: list[float]
    rounding: float


@dataclass
class Comparison:
    """Compares files with a network.

    Attributes:
        network: in evaluation mode.
        shapes: of its inputs, without the batch.
        types: of its inputs.
    """

    network: nn.Module
    shapes: Sequence[tuple[int, ...]]
    types: Sequence[InputType | str] = ()
    _probes: dict[frozenset[str] | None, _Probe] = field(default_factory=dict)

    def deviation(self, stored: Stored, where: object) -> float:
        """How far the outputs of a file deviate, relative to how much each of them varies with the inputs.

        The file's tensors have to equal the network's.  Its function is compared twice: with these tensors, and with
        those of a calibrated network, whose outputs depend on every layer.

        Args:
            stored: the file.
            where: its name in messages.

        Raises:
            ExportError: it is another network; or no comparison can tell.
        """
        found = []
        own = self._own()
        missing = frozenset() if stored.tensors is None else self._missing(stored, where)
        for probe in (own, self._calibrated(missing, where)):
            given = {name: tensor for name, tensor in probe.state.items() if name not in missing}
            try:
                found.append(self._deviation(probe, stored.function(given), where))
            except (RuntimeError, ValueError, TypeError, LookupError) as error:
                raise ExportError(f"{where}: what was written does not run: {said(error)}") from error
        return max(found)

    @property
    def outputs(self) -> int:
        """How many tensors the network puts out."""
        return len(self._own().scales)

    def batches(self) -> list[list[Tensor]]:
        """Inputs of the comparison."""
        found = []
        for batch in BATCHES:
            inputs = random_inputs(self.network, self.shapes, batch, self.types)
            for x in inputs:
                if x.is_floating_point():
                    x[-1] *= _LARGE
            found.append(inputs)
        return found

    def require_equal(self, tensors: Tensors, where: object) -> None:
        """Refuse tensors that are not the network's, bit by bit.

        Raises:
            ExportError: names the first one that is another, or is lacking.
        """
        for name, tensor in self.network.state_dict().items():
            if name not in tensors:
                raise ExportError(f"{where}: it lacks {plain(name, limit=80)}")
            if not _equal(tensors[name], tensor):
                raise ExportError(f"{where}: its {plain(name, limit=80)} is not the network's")

    def _missing(self, stored: Stored, where: object) -> frozenset[str]:
        """Tensors of the network that the file has not by name; all others have to be equal."""
        state, tensors = self.network.state_dict(keep_vars=True), stored.tensors or {}
        if stored.folded:
            self.require_equal({name: tensors.get(name, tensor.detach()) for name, tensor in state.items()}, where)
        else:
            self.require_equal(tensors, where)
        held = {tensor.data_ptr() for name, tensor in state.items() if name in tensors}
        lacking = (name for name in state if name not in tensors and state[name].is_floating_point())
        return frozenset(name for name in lacking if state[name].data_ptr() not in held)

    def _own(self) -> _Probe:
        """The network as it is; its outputs may be tiny, or differ from each other in their last digits only."""
        if None not in self._probes:
            for inputs in self.batches():
                evaluation(self.network, inputs)()  # so that what is wrong with the network itself is said as such
            expected = [self._outputs(self.network, inputs) for inputs in self.batches()]
            if not all(bool(torch.isfinite(y).all()) for outputs in expected for y in outputs):
                raise ExportError("the network cannot be checked: its own outputs are not finite")
            scales = [max(size, _LEAST) for size in _largest(expected)]
            self._probes[None] = _probe(self.network, expected, self.batches(), scales)
        return self._probes[None]

    def _calibrated(self, kept: frozenset[str], where: object) -> _Probe:
        """Of some calibrated networks the first that rounding hardly moves."""
        if kept in self._probes:
            return self._probes[kept]
        best: _Probe | None = None
        for shift in _SHIFTS:
            network = calibrated(self.network, self.batches()[-1], shift=shift, kept=kept)
            expected = [self._outputs(network, inputs) for inputs in self.batches()]
            spreads, sizes = _spreads(expected), _largest(expected)
            if not any(spread > 0 for spread in spreads):
                continue
            scales = [spread or size for spread, size in zip(spreads, sizes, strict=True)]
            probe = _probe(network, expected, self.batches(), scales)
            if best is None or probe.rounding < best.rounding:
                best = probe
            if best.rounding * _ROUNDINGS <= TOLERANCE:
                break
        if best is None:
            raise ExportError(f"{where}: cannot be checked: the network's outputs do not depend on its inputs")
        if not best.rounding <= _MOST_ROUNDING:
            raise ExportError(
                f"{where}: cannot be checked: rounding alone moves the network's outputs by {best.rounding:.2g} "
                "of what they vary with the inputs"
            )
        self._probes[kept] = best
        return best

    def _outputs(self, network: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
        found = _run(network, inputs)
        if not found:
            raise InvalidValueError(f"{type(self.network).__name__} puts out no tensor: there is nothing to export")
        return found

    def _deviation(self, probe: _Probe, function: Function, where: object) -> float:
        largest = 0.0
        for inputs, expected in zip(self.batches(), probe.expected, strict=True):
            found = _run(function, inputs)
            if [y.shape for y in found] != [y.shape for y in expected]:
                raise ExportError(f"{where}: the exported network has other outputs, of {_shapes(found)}")
            for k, (y, other, scale) in enumerate(zip(expected, found, probe.scales, strict=True)):
                apart = float((other.double() - y.double()).abs().max()) if y.numel() else 0.0
                relative = 0.0 if apart == 0 else apart / scale if scale else float("inf")
                if not relative <= max(TOLERANCE, min(_ROUNDINGS * probe.rounding, _MOST_ALLOWED)):
                    which = f"output {k + 1} of " if len(expected) > 1 else ""
                    raise ExportError(
                        f"{where}: {which}the exported network deviates by {relative:.2g} of its size, "
                        f"more than {TOLERANCE:g}; not written"
                    )
                largest = max(largest, relative)
        return largest


def _probe(
    network: nn.Module, expected: list[list[Tensor]], batches: list[list[Tensor]], scales: list[float]
) -> _Probe:
    """Measure what rounding does: every parameter is changed by less than its last digit."""
    moved = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in moved.state_dict().values():
            tensor.copy_(_rounded(tensor))
    rounding = 0.0
    for inputs, outputs in zip(batches, expected, strict=True):
        others = tree_leaves(_evaluated(moved, *inputs))
        others = [y for y in others if isinstance(y, Tensor)]
        for y, other, scale in zip(outputs, others, scales, strict=True):
            if y.is_floating_point() and y.numel() and scale:
                rounding = max(rounding, float((other - y).abs().max()) / scale)
    return _Probe(network.state_dict(), expected, scales, rounding)


def _rounded(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    noise = torch.rand(tensor.shape, generator=torch.Generator().manual_seed(tensor.numel())) * 2 - 1
    return tensor * (1 + torch.finfo(tensor.dtype).eps * noise).to(tensor.dtype)


def _run(function: Function, inputs: Sequence[Tensor]) -> list[Tensor]:
    return [y.detach() for y in tree_leaves(_evaluated(function, *inputs)) if isinstance(y, Tensor)]


def _evaluated(function: Function, *arguments: Any) -> Any:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        return function(*arguments)


def _largest(batches: list[list[Tensor]]) -> list[float]:
    return [
        max((float(y.double().abs().max()) for y in ys if y.numel()), default=0.0) for ys in zip(*batches, strict=True)
    ]


def _spreads(batches: list[list[Tensor]]) -> list[float]:
    """How far each output varies between inputs."""
    centred = [[y.double() - y.double().mean(0, keepdim=True) if y.dim() else y * 0 for y in ys] for ys in batches]
    return [
        0.0 if spread <= 8 * torch.finfo(y.dtype if y.is_floating_point() else torch.float32).eps * size else spread
        for spread, size, y in zip(_largest(centred), _largest(batches), batches[0], strict=True)
    ]


def _equal(found: Tensor, own: Tensor) -> bool:
    return found.dtype == own.dtype and found.shape == own.shape and torch.equal(found, own)


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "none"


def said(error: BaseException) -> str:
    """What somebody else's error says, in a line."""
    return plain(f"{type(error).__name__}: {first_line(error)}", limit=300)
