"""What the published accuracies show, in words that follow from the numbers."""

from nnmass.experiments.imagenet_published import ImagenetPublished
from nnmass.prediction import Estimate
from nnmass.verification import TOO_FEW_PAIRS, better, sign, with_interval

_NAMES = {"params": "parameters", "macs": "MACs"}
_MEASURES = {"spearman": "by rank", "r2": "as a line in the logarithm"}


def verdict(outcome: ImagenetPublished) -> list[str]:
    """Say in plain sentences what is shown, and what is not."""
    return [
        *(_against(outcome, rival) for rival in ("macs", "params")),
        _group_by_group(outcome),
        _given_macs(outcome),
        _pairs(outcome),
        _gains(outcome),
    ]


def _against(outcome: ImagenetPublished, rival: str) -> str:
    pooled, name = outcome.pooled, _NAMES[rival]
    lead = {measure: pooled.leads[measure][rival] for measure in _MEASURES}
    (rank, its_rank), (line, its_line) = (
        [pooled.measures[measure][quantity].value for quantity in ("nn_mass", rival)] for measure in _MEASURES
    )
    return (
        f"{_claim(lead, name, pooled.units)}: within {pooled.groups} groups of equal training ({pooled.n} weights, "
        f"{pooled.units} architectures) the rank correlation is {rank:.2f} with mass and {its_rank:.2f} with {name}, a "
        f"difference of {with_interval(lead['spearman'])}; a line in the logarithm explains {line:.0%} and "
        f"{its_line:.0%} of the variance, a difference of {with_interval(lead['r2'])}."
    )


def _claim(lead: dict[str, Estimate], name: str, units: int) -> str:
    ahead, behind, open_ = (
        " and ".join(words for measure, words in _MEASURES.items() if sign(lead[measure].interval, units=units) == kind)
        for kind in ("above", "below", "open")
    )
    if not ahead and not behind:
        return f"NN-Mass is not shown to beat {name}, nor {name} to beat NN-Mass"
    if not ahead:
        return f"NN-Mass does not beat {name}: it is behind {behind}" + (f", and not ahead {open_}" if open_ else "")
    rest = f", but behind {behind}" if behind else f", but not shown to be so {open_}" if open_ else ""
    return f"NN-Mass is ahead of {name} {ahead}{rest}"


def _group_by_group(outcome: ImagenetPublished) -> str:
    rankings = [group.ranking for group in outcome.groups if group.ranking]
    leads = [ranking.leads["spearman"]["macs"] for ranking in rankings]
    higher = sum(lead.value > 0 for lead in leads)
    lower = sum(lead.value < 0 for lead in leads)
    signs = [sign(lead.interval, units=found.units) for lead, found in zip(leads, rankings, strict=True)]
    shown = {kind: signs.count(kind) for kind in ("above", "below")}
    return (
        f"Group by group, mass ranks better than MACs in {higher} of {len(leads)}, worse in {lower} and alike in "
        f"{len(leads) - higher - lower}; the interval of the difference excludes zero in {shown['above']} groups in "
        f"favour of mass and in {shown['below']} in favour of MACs."
    )


def _given_macs(outcome: ImagenetPublished) -> str:
    mass = _added(outcome, "nn_mass given macs", "more mass goes")
    macs = _added(outcome, "macs given nn_mass", "more MACs go")
    return f"Among networks of equal MACs, {mass}; among networks of equal mass, {macs}."


def _added(outcome: ImagenetPublished, name: str, more: str) -> str:
    """What one quantity tells at equal values of the other, by its partial correlations of ranks and of logarithms."""
    words = {
        "above": f"{more} with higher accuracy",
        "below": f"{more} with lower accuracy",
        "open": "nothing is shown",
    }
    said: dict[str, list[str]] = {}
    for kind, of in (("rank", "ranks"), ("linear", "logarithms")):
        found = outcome.pooled.partial[kind][name]
        claim, value = "nothing can be said", "alike"
        if found:
            claim, value = words[sign(found.interval, units=outcome.pooled.units)], with_interval(found)
        said.setdefault(claim, []).append(f"by {of} ({value})")
    return ", and ".join(f"{claim} {' and '.join(values)}" for claim, values in said.items())


def _pairs(outcome: ImagenetPublished) -> str:
    mass, macs = (outcome.pairs.equal[quantity] for quantity in ("nn_mass", "macs"))
    found = (
        f"{len(mass.pairs)} pairs have equal mass (within 5 %) and very different cost (at least 1.5 times the MACs or "
        f"parameters), {len(macs.pairs)} equal MACs and very different mass or parameters"
    )
    lead = outcome.pairs.leads["macs"]
    if mass.difference is None or macs.difference is None or lead is None:
        return f"{found}: {TOO_FEW_PAIRS}."
    claim = {
        "above": "equal mass means less equal accuracy than equal MACs do",
        "below": "equal mass means more equal accuracy than equal MACs do",
        "open": "equal mass is not shown to mean more equal accuracy than equal MACs do",
    }[sign(lead.interval)]
    return (
        f"{found}; their accuracies differ by {mass.difference.value:.2f} and {macs.difference.value:.2f} points on "
        f"average, those of any two models of a group by {outcome.pairs.every.value:.2f}: {claim} "
        f"(difference {with_interval(lead)} points)."
    )


def _gains(outcome: ImagenetPublished) -> str:
    by_macs = outcome.pairs.equal["nn_mass"].gains["macs"]
    by_mass = outcome.pairs.equal["macs"].gains["nn_mass"]
    return (
        f"Of two models of equal mass, the one with at least 1.5 times the MACs is {better(by_macs)}; of two of equal "
        f"MACs, the one with at least 1.5 times the mass is {better(by_mass)}."
    )
