"""Measuring layerwise dynamical isometry."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnmass.architectures import DenseMLP, Specification
from nnmass.architectures.specification import check_seed
from nnmass.errors import InvalidValueError, ModelError, first_line
from nnmass.memory import require_memory
from nnmass.networks import Network, build
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.measurement.budget import require, require_day
from nnmass.propagation.measurement.linear_maps import LayerJacobian
from nnmass.propagation.measurement.loan import check_runs, unwrapped
from nnmass.propagation.measurement.recorder import is_finite
from nnmass.propagation.measurement.recording import Skipped, record
from nnmass.propagation.measurement.result import Isometry, LayerIsometry
from nnmass.propagation.measurement.roles import norms_that_belong, whole_layers
from nnmass.propagation.measurement.spectrum import Estimation, Spectrum, method_of, probed_inputs, spectrum
from nnmass.propagation.measurement.weights import initialise

Inputs: TypeAlias = Tensor | npt.NDArray[Any] | int
MeasureProgress: TypeAlias = Callable[[int, int], None]
"""Called with networks done and networks in all."""

INITIALISATIONS = 16
INPUTS = 64
DENSE_LIMIT = 256
PROBES = 16
STEPS = 20
_REHEARSED = 1_000  # with more inputs two of them tell first what the others need


def isometry(
    model: nn.Module | Specification,
    inputs: Inputs = INPUTS,
    *,
    initialisations: int | None = None,
    init: str | Initialisation = "default",
    seed: int = 0,
    probes: int | None = None,
    steps: int = STEPS,
    dense_limit: int = DENSE_LIMIT,
    progress: MeasureProgress | None = None,
) -> Isometry:
    """Measure the singular values of every layer's Jacobian J = W·diag(φ′) (arXiv:1910.00780, section 3.3).

    Layerwise dynamical isometry means that they are close to 1: then gradients keep their size on their way back.

    A model is measured as it is, at every input.  A specification is built anew for each initialisation, with links
    and weights of its own, so that the figures come with a standard error.  Linear layers are exact up to 1,024
    singular values, and so are periodic convolutions and those with at most ``dense_limit`` singular values; everything
    else is estimated by Lanczos quadrature at ``probes`` of the inputs, evenly spaced, others in each network, with a
    95 % interval.  Of a specification's networks all convolutions are measured at these inputs only.  Norms are held at
    the statistics of the batch of all inputs; dropout is off.

    The layers of a `DenseCNN` are whole: norm, ReLU and convolutions.  Of any other model a layer is a convolution or
    linear layer, with whatever lies between it and the last nodes, and with the norm that directly follows it.  Nodes
    are the inputs, the outputs of layers, sums of different nodes (the identity of a shortcut is not counted), and
    pooled or resized maps, which are listed as skipped because they belong to no layer.  The derivative of what lies
    between comes from autograd, and it is checked that each number follows from one number before; a layer where that
    is not so (softmax, gates, products of two layers) is skipped with the reason.  Parts that are laid side by side
    count as different inputs, also where they repeat numbers.

    The model, what it holds, its modes and all random states are as they were afterwards.

    Args:
        model: any `torch.nn.Module` that takes one tensor, or a specification.
        inputs: (inputs, ...) tensor or array; for a specification also a number: so many standard normal inputs.
        initialisations: networks of a specification; default 16.
        init: initialisation of a specification's weights: ``"default"`` (PyTorch's), ``"he"``, ``"glorot"``,
            ``"orthogonal"`` or ``"gaussian:STD"``.
        seed: draws links, weights, probes, and inputs where a number is given.
        probes: random vectors per network and layer where Lanczos is used, and at least 2 in all; of fewer inputs as
            many at each, rounded up; default: 16 over all networks, at least one each.
        steps: of Lanczos; no more are made than a layer has singular values.
        dense_limit: see above.
        progress: told of finished networks.

    Raises:
        InvalidValueError: inputs of the wrong shape, NaN or infinity in inputs or weights (with the layer), a forward
            pass that fails, no layer that can be measured, an argument out of range.
        ModelError: no module, or one whose layers cannot be seen: compiled by torch.jit, lazy, on the meta device.
        ResourceError: the measurement needs more memory than this machine has, or more than a day.

    Examples:
        >>> layer = torch.nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
        >>> isometry(layer, torch.ones(1, 2)).layers[0].singular_values
        array([[4., 3.]])
    """
    _check_numbers(
        {"initialisations": (initialisations, 1), "probes": (probes, 1), "steps": (steps, 2)}
        | {"dense_limit": (dense_limit, 0), "seed": (seed, 0)}
    )
    seed = int(seed)
    check_seed(seed)
    if not isinstance(model, nn.Module | Specification):
        raise ModelError(f"a PyTorch module or a specification is measured, got {type(model).__name__}")
    one = not isinstance(model, Specification)
    if one and (initialisations is not None or str(init) != "default"):
        raise InvalidValueError("a model is measured as it is: give its specification for other initialisations")
    networks = 1 if one else initialisations or INITIALISATIONS
    estimation = Estimation(dense_limit, probes or max(PROBES // networks, 1), steps, every_input=one)
    with torch.inference_mode(False):  # derivatives are taken, whatever the caller has switched off
        if isinstance(model, Specification):
            measured = _measured_anew(model, inputs, networks, Initialisation.parse(init), estimation, seed, progress)
        else:
            module = unwrapped(model)
            check_runs(module)
            measured = [_measure(module, _inputs_for(module, inputs), estimation, seed)]
    return _gathered(measured, "as given" if one else str(init))


def _check_numbers(options: dict[str, tuple[Any, int]]) -> None:
    """Refuse what is no whole number, or lies below the least that is allowed."""
    for name, (value, least) in options.items():
        if value is not None and not isinstance(value, Integral):
            raise InvalidValueError(f"{name} must be a whole number, got {value!r}")
        if value is not None and value < least:
            raise InvalidValueError(f"{name} must be at least {least}, got {value!r}")


@dataclass(frozen=True)
class _Measured:
    """One network."""

    layers: Sequence[tuple[LayerJacobian, bool]]
    spectra: Sequence[Spectrum]
    skipped: tuple[Skipped, ...]
    inputs: int


def _measured_anew(
    spec: Specification,
    inputs: Inputs,
    networks: int,
    init: Initialisation,
    estimation: Estimation,
    seed: int,
    progress: MeasureProgress | None,
) -> list[_Measured]:
    """Measure networks with links and weights of their own."""
    drawn = _inputs_of(spec, inputs, seed)
    measured = []
    for k in range(networks):
        start = time.perf_counter()
        network = build(spec, seed=seed + k)
        initialise(network, init, seed + k)
        measured.append(_measure(network, drawn, estimation, seed + k, (k, networks)))
        if k == 1:  # the first one also warms up
            require_day(networks * (time.perf_counter() - start), f"{networks:,} networks at the pace of the second")
        if progress:
            progress(k + 1, networks)
    return measured


def _measure(
    model: nn.Module, inputs: Tensor, estimation: Estimation, seed: int, place: tuple[int, int] = (0, 1)
) -> _Measured:
    """Measure one network, the k-th of several: what is probed at some inputs, is so at others in each of them."""
    count, belongs, (k, networks) = len(inputs), norms_that_belong(model), place
    kept = probed_inputs(count, estimation.probes)
    estimation = replace(estimation, probes=kept * -(-estimation.probes // kept))  # as many at every input
    positions = (np.arange(kept) * networks + k) * count // (kept * networks)
    probed = torch.as_tensor(positions, device=inputs.device)
    if count > _REHEARSED:
        rehearsal = record(model, inputs[:2], probed[:2].clamp(max=1), every_input=False, belongs=belongs)
        numbers = sum(layer.rows + 2 * layer.columns for layer in rehearsal.layers)
        require_memory(4.0 * numbers * count, f"the layers' inputs and outputs at {count:,} inputs")
    recording = record(model, inputs, probed, every_input=estimation.every_input, belongs=belongs)
    if not recording.layers:
        reasons = "; ".join(f"{skipped.name}: {skipped.reason}" for skipped in recording.skipped)
        raise InvalidValueError(f"{type(model).__name__} has no layer that can be measured ({reasons or 'no weights'})")
    layers = whole_layers(model, recording.layers, recording.order)
    require([layer for layer, _ in layers], networks, count, estimation)
    estimated = _estimated(layers, estimation)
    if estimated and networks * estimation.probes < 2:
        least = f"{estimated[0]} is estimated, and one probe tells nothing of the error"
        raise InvalidValueError(f"probes must be at least 2 for a single network: {least}")
    generator = torch.Generator().manual_seed(seed)
    spectra = [spectrum(jacobian, count, estimation, generator, probed) for jacobian, _ in layers]
    return _Measured(layers, spectra, recording.skipped, count)


def estimated_layers(model: nn.Module | Specification, inputs: Inputs) -> list[str]:
    """Say which layers `isometry` estimates, with probes and steps, without measuring.

    Args:
        model: as for `isometry`.
        inputs: as for `isometry`; two of them are run.

    Raises:
        InvalidValueError: inputs of the wrong shape, or a forward pass that fails.
    """
    with torch.inference_mode(False):
        network: nn.Module
        if isinstance(model, Specification):
            network, drawn = build(model, seed=0), _inputs_of(model, inputs, 0)
        else:
            network, drawn = unwrapped(model), _inputs_for(model, inputs)
            check_runs(network)
        some, belongs = drawn[:2], norms_that_belong(network)
        probed = torch.arange(len(some), device=some.device)
        found = record(network, some, probed, every_input=False, belongs=belongs)
    return _estimated(
        whole_layers(network, found.layers, found.order), Estimation(DENSE_LIMIT, 1, STEPS, every_input=False)
    )


def _estimated(layers: Sequence[tuple[LayerJacobian, bool]], estimation: Estimation) -> list[str]:
    return [layer.name for layer, _ in layers if method_of(layer, estimation) == "lanczos"]


def _gathered(measured: Sequence[_Measured], init: str) -> Isometry:
    """Join the networks' spectra layer by layer; of a single model there is no axis of networks."""
    first = measured[0]
    layers = [
        _layer(jacobian, hidden, [network.spectra[i] for network in measured], as_given=init == "as given")
        for i, (jacobian, hidden) in enumerate(first.layers)
    ]
    return Isometry(tuple(layers), first.skipped, first.inputs, len(measured), init)


def _layer(jacobian: LayerJacobian, hidden: bool, spectra: Sequence[Spectrum], *, as_given: bool) -> LayerIsometry:
    values = np.stack([found.values for found in spectra])
    weights = None if spectra[0].weights is None else np.stack([s.weights for s in spectra if s.weights is not None])
    return LayerIsometry(
        name=jacobian.name,
        hidden=hidden,
        rows=jacobian.rows,
        columns=jacobian.columns,
        reads=jacobian.reads,
        method=spectra[0].method,
        singular_values=values[0] if as_given else values,
        weights=weights if weights is None or not as_given else weights[0],
        gap=float(np.mean([s.gap for s in spectra if s.gap is not None])) if weights is not None else 0.0,
        dead_bounds=np.stack([s.dead for s in spectra if s.dead is not None]) if weights is not None else None,
        forwards=spectra[0].forwards,
    )


def normal_inputs(spec: Specification, count: int, seed: int = 0) -> Tensor:
    """Draw standard normal inputs of a specification.

    Args:
        spec: says their shape.
        count: how many.
        seed: of a generator of its own.

    Raises:
        InvalidValueError: none are asked for.
        ResourceError: they need more memory than this machine has.
    """
    if count < 1:
        raise InvalidValueError(f"inputs must be at least 1, got {count}")
    require_memory(4.0 * count * math.prod(spec.input_shape), f"{count:,} inputs of {spec.family}")
    return torch.randn(count, *spec.input_shape, generator=torch.Generator().manual_seed(seed))


def _inputs_of(spec: Specification, inputs: Inputs, seed: int) -> Tensor:
    """Inputs for a specification, checked against its shape."""
    if isinstance(inputs, Integral) and not isinstance(inputs, bool):
        return normal_inputs(spec, int(inputs), seed)
    given = _finite(inputs)
    _check_shape(spec, given)
    return _converted(given, torch.float32, given.device)


def _inputs_for(model: nn.Module, inputs: Inputs) -> Tensor:
    """Inputs for a model, on its device and in its precision."""
    if isinstance(inputs, int):
        raise InvalidValueError(f"a model needs a tensor of inputs, got the number {inputs}")
    given = _finite(inputs)
    if isinstance(model, Network):
        _check_shape(model.spec, given)
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    return _converted(given, weight.dtype if given.is_floating_point() else given.dtype, weight.device)


def _converted(inputs: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    changed = inputs.to(device, dtype)
    if not is_finite(changed):
        raise InvalidValueError(f"the inputs must be finite in the network's precision ({dtype}), got infinity")
    return changed


def _finite(inputs: Tensor | npt.NDArray[Any] | Any) -> Tensor:
    try:
        given = torch.as_tensor(inputs).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(inputs).__name__
        raise InvalidValueError(f"inputs must be a tensor or an array, got {kind} ({first_line(error)})") from None
    if given.is_inference():
        given = given.clone()  # derivatives of what is made of it are taken
    if given.is_complex() or given.is_meta or given.layout != torch.strided:
        kind = "complex numbers" if given.is_complex() else f"a tensor on {given.device} of layout {given.layout}"
        raise InvalidValueError(f"inputs must be real numbers, got {kind}")
    if given.dim() < 2 or len(given) == 0:
        raise InvalidValueError(f"inputs must be a batch of at least one input, got shape {tuple(given.shape)}")
    if not is_finite(given):
        raise InvalidValueError("the inputs must be finite, got NaN or infinity")
    return given


def _check_shape(spec: Specification, inputs: Tensor) -> None:
    shape = tuple(inputs.shape[1:])
    if shape != spec.input_shape and not (isinstance(spec, DenseMLP) and math.prod(shape) == spec.in_features):
        expected = ", ".join(map(str, ("inputs", *spec.input_shape)))
        raise InvalidValueError(f"{spec.family} reads inputs of shape ({expected}), got {tuple(inputs.shape)}")
