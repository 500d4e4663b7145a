import copy
import json
import re
from dataclasses import replace

import pytest
from scipy import stats

from nnmass.errors import FitError
from nnmass.experiments import ImagenetPublished, PublishedGroup, verdict
from nnmass.prediction import Estimate
from nnmass.verification import sign


def with_changed(outcome, **changes):
    changed = copy.copy(outcome)
    for name, value in changes.items():
        object.__setattr__(changed, name, value)
    return changed


def group(outcome, name):
    (found,) = [group for group in outcome.groups if group.recipe.name == name]
    return found


def test_torchvisions_first_weights_are_ranked_best_by_macs(published_outcome):
    ranking = group(published_outcome, "torchvision-1").ranking
    assert ranking.n == 13  # ResNets, Wide-ResNets, ResNeXts and DenseNets
    found = {quantity: round(estimate.value, 2) for quantity, estimate in ranking.measures["spearman"].items()}
    assert found == {"nn_mass": 0.89, "params": 0.90, "macs": 0.94}


def test_a_group_is_ranked_by_its_answered_models(published_outcome):
    one = group(published_outcome, "torchvision-1")
    assert len(one.rows) == 15
    assert {row.outcome for row in one.answered} == {"answered"}
    rows = one.answered
    assert one.ranking.measures["kendall"]["nn_mass"].value == pytest.approx(
        stats.kendalltau([row.nn_mass for row in rows], [row.top1 for row in rows])[0]
    )
    assert one.to_dict()["left_out"]["vgg16_bn.tv_in1k"] == "uninformative: no cell of depth 2 or more"
    assert one.to_dict()["of_another_recipe"] == {
        "resnext101_64x4d.tv_in1k": "trained with torchvision's second recipe"
    }


def test_a_group_of_few_is_listed_with_the_reason(published_outcome):
    few = group(published_outcome, "timm-ra-mobile")
    assert (few.ranking, few.not_ranked) == (None, "only 4 of 4 models have a mass")
    assert few.to_dict()["ranking"] is None
    assert not {row.model for row in few.rows} & {row.model for row in published_outcome.ranked}


def test_a_group_alike_in_a_quantity_is_listed_with_the_reason(published_outcome):
    one = group(published_outcome, "torchvision-2-resnet")
    alike = PublishedGroup(one.recipe, tuple(replace(row, nn_mass=5.0) for row in one.rows))
    assert alike.not_ranked == "all networks of a group have the same nn_mass: there is nothing to rank"


def test_groups_are_pooled_inside_and_architectures_resampled(published_outcome):
    pooled = published_outcome.pooled
    assert (pooled.groups, pooled.n) == (3, 13 + 7 + 6)
    assert pooled.units == len({row.architecture for row in published_outcome.ranked}) == 13
    shifted = ImagenetPublished(
        tuple(
            PublishedGroup(one.recipe, tuple(replace(row, top1=row.top1 + 5 * i) for row in one.rows))
            for i, one in enumerate(published_outcome.groups)
        )
    )
    for quantity, estimate in pooled.measures["r2"].items():
        assert shifted.pooled.measures["r2"][quantity].value == pytest.approx(estimate.value)


def test_pairs_of_equal_mass_name_the_one_of_more_macs_first(published_outcome):
    pairs = {(a.model, b.model) for a, b in published_outcome.equal_mass_pairs()}
    assert (
        pairs
        == {
            ("wide_resnet50_2.tv_in1k", "resnext50_32x4d.tv_in1k"),
            ("densenet161.tv_in1k", "resnet34.tv_in1k"),
            ("wide_resnet50_2.tv2_in1k", "resnext50_32x4d.tv2_in1k"),
        }
        | pairs
    )
    assert all(a.group == b.group and a.macs >= b.macs for a, b in published_outcome.equal_mass_pairs())
    ratios = [a.macs / b.macs for a, b in published_outcome.equal_mass_pairs()]
    assert ratios == sorted(ratios, reverse=True)


def test_without_a_group_there_is_nothing_to_rank(published_outcome):
    with pytest.raises(FitError, match="no group of published models has 6 with a mass"):
        ImagenetPublished((group(published_outcome, "timm-ra-mobile"),))


def test_the_verdict_says_that_mass_is_not_shown_to_beat_macs(published_outcome):
    first, second, third, fourth, *_ = verdict(published_outcome)
    assert first.startswith("NN-Mass is not shown to beat MACs, nor MACs to beat NN-Mass: within 3 groups")
    assert "26 weights, 13 architectures" in first
    assert "parameters" in second
    assert "of 3, worse in" in third
    assert fourth.startswith("Among networks of equal MACs, ")


ABOVE, BELOW, OPEN = (Estimate(0.0, interval) for interval in ((0.1, 0.3), (-0.3, -0.1), (-0.3, 0.1)))


@pytest.mark.parametrize(
    ("by_rank", "by_line", "words"),
    [
        (OPEN, OPEN, "NN-Mass is not shown to beat MACs, nor MACs to beat NN-Mass"),
        (ABOVE, ABOVE, "NN-Mass is ahead of MACs by rank and as a line in the logarithm"),
        (ABOVE, OPEN, "NN-Mass is ahead of MACs by rank, but not shown to be so as a line in the logarithm"),
        (BELOW, ABOVE, "NN-Mass is ahead of MACs as a line in the logarithm, but behind by rank"),
        (BELOW, BELOW, "NN-Mass does not beat MACs: it is behind by rank and as a line in the logarithm"),
        (OPEN, BELOW, "NN-Mass does not beat MACs: it is behind as a line in the logarithm, and not ahead by rank"),
    ],
)
def test_the_verdict_follows_the_intervals(published_outcome, by_rank, by_line, words):
    pooled = published_outcome.pooled
    leads = {measure: dict(rivals) for measure, rivals in pooled.leads.items()}
    leads["spearman"]["macs"], leads["r2"]["macs"] = by_rank, by_line
    changed = with_changed(published_outcome, pooled=replace(pooled, leads=leads))
    assert verdict(changed)[0].startswith(f"{words}: within 3 groups")


def with_partial(outcome, mass, macs):
    kinds = zip(("rank", "linear"), mass, macs, strict=True)
    partial = {kind: {"nn_mass given macs": first, "macs given nn_mass": second} for kind, first, second in kinds}
    return with_changed(outcome, pooled=replace(outcome.pooled, partial=partial))


def test_the_verdict_says_what_mass_adds_at_equal_macs(published_outcome):
    assert verdict(with_partial(published_outcome, (OPEN, BELOW), (ABOVE, None)))[3] == (
        "Among networks of equal MACs, nothing is shown by ranks (0.00 [-0.30, 0.10]), and more mass goes with lower "
        "accuracy by logarithms (0.00 [-0.30, -0.10]); among networks of equal mass, more MACs go with higher accuracy "
        "by ranks (0.00 [0.10, 0.30]), and nothing can be said by logarithms (alike)."
    )


def test_the_verdict_says_once_what_ranks_and_logarithms_both_show(published_outcome):
    assert verdict(with_partial(published_outcome, (ABOVE, ABOVE), (OPEN, OPEN)))[3] == (
        "Among networks of equal MACs, more mass goes with higher accuracy by ranks (0.00 [0.10, 0.30]) and by "
        "logarithms (0.00 [0.10, 0.30]); among networks of equal mass, nothing is shown by ranks (0.00 [-0.30, 0.10]) "
        "and by logarithms (0.00 [-0.30, 0.10])."
    )


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        ((0.1, 0.3), "equal mass means less equal accuracy than equal MACs do"),
        ((-0.3, -0.1), "equal mass means more equal accuracy than equal MACs do"),
        ((-0.3, 0.1), "equal mass is not shown to mean more equal accuracy"),
        (None, "too few to compare"),
    ],
)
def test_the_verdict_compares_pairs(published_outcome, lead, words):
    pairs, known = published_outcome.pairs, Estimate(1.0, (0.5, 1.5))
    equal = {name: replace(found, difference=known) for name, found in pairs.equal.items()}
    changed = replace(pairs, equal=equal, leads={"macs": lead and Estimate(0.0, lead), "params": None})
    assert words in verdict(with_changed(published_outcome, pairs=changed))[4]


@pytest.mark.parametrize(
    ("by_macs", "by_mass", "words"),
    [
        (
            ABOVE,
            OPEN,
            r"the MACs is better \(\+0\.00 \[0\.10, 0\.30\] points\); .* not shown to be better or",
        ),
        (
            BELOW,
            None,
            r"the MACs is worse .* is neither shown to be better nor worse, as fewer than 6 of the pairs",
        ),
    ],
)
def test_the_verdict_says_what_more_of_the_other_gains(published_outcome, by_macs, by_mass, words):
    pairs = published_outcome.pairs
    equal = pairs.equal | {
        "nn_mass": replace(pairs.equal["nn_mass"], gains={"macs": by_macs, "params": None}),
        "macs": replace(pairs.equal["macs"], gains={"nn_mass": by_mass, "params": None}),
    }
    changed = with_changed(published_outcome, pairs=replace(pairs, equal=equal))
    assert re.search(words, verdict(changed)[5])


def test_signs_are_those_of_whole_intervals():
    assert [sign(interval) for interval in ((0.1, 1), (-1, -0.1), (-1, 1), (0, 1), (-1, 0))] == [
        "above",
        "below",
        "open",
        "open",
        "open",
    ]


def test_plain_values_are_json(published_outcome):
    values = json.loads(json.dumps(published_outcome.to_dict(), allow_nan=False))
    assert list(values["groups"]) == [one.recipe.name for one in published_outcome.groups]
    assert values["pooled"]["n"] == 26
    assert len(values["equal_mass_pairs"]) == values["pairs"]["equal"]["nn_mass"]["pairs"]
    pair = values["equal_mass_pairs"][0]
    assert (pair["more_macs"], pair["fewer_macs"]) == tuple(r.model for r in published_outcome.equal_mass_pairs()[0])
    assert pair["macs_ratio"] >= 1.5 or not 1 / 1.5 < pair["params_ratio"] < 1.5
    assert pair["nn_mass"][0] == pytest.approx(pair["nn_mass"][1], rel=0.05)
