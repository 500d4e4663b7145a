"""What a fit says of designs: where it holds, and what it predicts there."""

from dataclasses import replace
from functools import partial
from typing import Any

from nnmass.architectures import Specification
from nnmass.designing.solver import Budgets, Objective
from nnmass.designing.spaces import Space
from nnmass.designing.spaces.space import span
from nnmass.errors import DomainError, FitError, InvalidValueError
from nnmass.prediction import Comparison
from nnmass.prediction import Prediction as AccuracyPrediction


def require_kind(space: Space, fit: Comparison, *, every: bool) -> None:
    """Refuse a space whose networks are not of the kind that was fitted.

    Args:
        space: of designs.
        fit: accuracies of networks trained alike.
        every: whether all its networks must be of that kind; else some.

    Raises:
        DomainError: names each difference.
        FitError: nothing is known of the fitted networks.
    """
    kind = fit.known_kind()
    if found := kind.differences(space.family, space.traits, partial(_offered, only=every), _shown):
        raise DomainError(f"the fit holds for {kind}; this space has {'; '.join(found)}")


def by_accuracy(fit: Comparison | None) -> Objective:
    """The largest predicted accuracy is that of the largest mass, where a fit says that it grows.

    Raises:
        InvalidValueError: no fit, or one that says otherwise.
    """
    if fit is None:
        raise InvalidValueError("objective 'accuracy' needs a fit: --fit takes the runs of nnmass sweep")
    if fit.mass.slope <= 0:
        raise InvalidValueError(f"the fit predicts no more accuracy from more mass (slope {fit.mass.slope:.3g})")
    return "mass"


def within(budgets: Budgets, fit: Comparison) -> Budgets:
    """Budgets narrowed to what the fitted networks speak of: masses within reach, no dearer than the dearest."""
    low, high = fit.mass.reach()
    params, macs = (max(getattr(network, name) for network in fit.networks) for name in ("params", "macs"))
    return replace(
        budgets,
        min_mass=max(low, budgets.min_mass or 0.0),
        max_mass=high if budgets.max_mass is None else min(high, budgets.max_mass),
        max_params=params if budgets.max_params is None else min(params, budgets.max_params),
        max_macs=macs if budgets.max_macs is None else min(macs, budgets.max_macs),
    )


def predictions(spec: Specification, fit: Comparison) -> tuple[dict[str, AccuracyPrediction], tuple[str, ...]]:
    """Accuracies by quantity, and why there are none, or how the network lies beyond what was fitted."""
    found, reasons = {}, []
    for name in fit.fits:
        try:
            found[name] = fit.predict(spec, quantity=name)
        except FitError as error:
            if name == "nn_mass":
                reasons.append(str(error))
    for name in ("params", "macs"):
        costs = [getattr(network, name) for network in fit.networks]
        if not min(costs) <= getattr(spec, name) <= max(costs):
            reasons.append(f"{getattr(spec, name):,} {name}: fitted were {min(costs):,} to {max(costs):,}")
    return found, tuple(reasons)


def _offered(choices: Any, value: Any, *, only: bool) -> bool:
    """Whether a trait that has these choices, or one for each of its parts, may have a value, or has it in any case.

    Examples:
        >>> [_offered((8, 16), 8, only=only) for only in (False, True)], _offered(((4, 8), (16,)), (8, 16), only=False)
        ([True, False], True)
    """
    options = choices if isinstance(choices, tuple) else (choices,)
    if isinstance(value, tuple):
        parts = zip(options, value, strict=False)
        return len(options) == len(value) and all(_offered(part, own, only=only) for part, own in parts)
    return value in options and not (only and len(options) > 1)


def _shown(choices: Any) -> str:
    """Choices in few characters.

    Examples:
        >>> _shown((8, 16)), _shown(((4, 8), (16,))), _shown("elu")
        ('8 … 16', '4 … 8, 16', 'elu')
    """
    if not isinstance(choices, tuple):
        return str(choices)
    if all(isinstance(choice, int | float) for choice in choices):
        return span(choices)
    return ", ".join(map(_shown, choices))
