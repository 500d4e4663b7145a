"""The expected singular values of a network's layers at initialisation, from its specification alone."""

import math

from nnmass.architectures import DenseCNN, DenseMLP, Specification, require_specification
from nnmass.errors import InvalidValueError
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.theory.activations import ACTIVATIONS
from nnmass.propagation.theory.dense_cnn import cnn_layers, cnn_short_form
from nnmass.propagation.theory.dense_mlp import mlp_layers, mlp_short_form
from nnmass.propagation.theory.expectation import ExpectedIsometry


def expected_isometry(
    spec: Specification,
    init: str | Initialisation = "default",
    activation: str | None = None,
    *,
    input_mean_square: float = 1.0,
    seed: int = 0,
) -> ExpectedIsometry:
    """Expect the singular values of J_i = W_i·diag(φ′) of every weighted layer, without weights and without data.

    Layer by layer the mean singular value is f(H, W_eff) · √(q · Σg⁴/Σg²), with f = `mean_singular_value`, H rows,
    W_eff = (Σg²)² / Σg⁴ effective columns, q the weights' variance and g the columns' scales: φ′ at the inputs and, in
    a convolutional network, the batch norm's 1/σ; times a correction for unequal columns (`expected_layer`).  See
    `mlp_layers` and `cnn_layers` for where the g come from, and for what is accurate to what.

    Source: arXiv:1910.00780, section 3 and Prop. 2, for linear layers of the average width; here with the layers' own
    widths, activation and batch norm.

    Args:
        spec: a `DenseMLP`, or a `DenseCNN` with regular convolutions; its links are averaged over, also where given.
        init: how weights are drawn; a string as `Initialisation.parse` reads it.
        activation: None for the specification's own (ReLU in a `DenseCNN`), ``"linear"`` for none; a `DenseMLP` may
            be given any other too.
        input_mean_square: of the inputs' values, > 0.
        seed: of the draw of the φ′ in a `DenseMLP`.

    Returns:
        The layers, and figures pooled over them.

    Raises:
        InvalidValueError: another family or separable convolutions; an unknown initialisation or activation;
            ``input_mean_square`` is not positive; a negative seed; activations that leave double precision.

    Examples:
        >>> from nnmass import DenseMLP
        >>> theory = expected_isometry(DenseMLP(width=8, depth=16, max_skips=20), "gaussian:0.35", "linear")
        >>> round(theory.mean, 4), round(theory.short_form, 4)
        (1.6627, 1.7789)
    """
    rule = Initialisation.parse(init)
    if not 0 < input_mean_square < math.inf:
        raise InvalidValueError(f"input_mean_square must be positive and finite, got {input_mean_square!r}")
    if seed < 0:
        raise InvalidValueError(f"seed must be at least 0, got {seed}")
    if isinstance(spec, DenseMLP):
        name = _allowed(activation or spec.activation, tuple(ACTIVATIONS))
        layers = tuple(mlp_layers(spec, rule, name, input_mean_square=input_mean_square, seed=seed))
        return ExpectedIsometry(layers, mlp_short_form(spec, rule), str(rule), name)
    if isinstance(spec, DenseCNN):
        name = _allowed(activation or "relu", ("linear", "relu"))
        layers = tuple(cnn_layers(spec, rule, name, input_mean_square=input_mean_square))
        return ExpectedIsometry(layers, cnn_short_form(spec, rule), str(rule), name)
    require_specification(spec)
    raise InvalidValueError(f"the theory covers DenseMLP and DenseCNN, got {spec.family}")


def _allowed(activation: str, names: tuple[str, ...]) -> str:
    if activation not in names:
        raise InvalidValueError(f"activation must be one of {', '.join(names)}, got {activation!r}")
    return activation
