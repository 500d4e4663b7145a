import json

import pytest

from nnmass.architectures import DenseCNN, DenseMLP, Specification, spec_from_dict
from nnmass.designing import CELL_TOLERANCE, DENSITY_CAP, STAGE_TOLERANCE, compress
from nnmass.errors import InfeasibleError, InvalidValueError
from nnmass.topology import Cell

MLP = DenseMLP(width=8, depth=32, max_skips=20, in_features=64)
CNN = DenseCNN(widths=(8, 16), depth=9, max_skips=(9, 18))


class Other(Specification):
    family: str = "Other"

    @property
    def cells(self):
        return (Cell(8, 32, 20),)

    @property
    def costs(self):
        return MLP.costs

    @property
    def input_shape(self):
        return (64,)

    def _live_values(self):
        return (64,)


def test_the_papers_kind_of_result():
    # the same mass at half the depth: half the cost
    result = compress(MLP)
    assert result.spec == DenseMLP(width=8, depth=16, max_skips=20, in_features=64)
    assert (result.spec.params, result.spec.macs) == (3770, 3640)


def test_a_result_is_free_of_links_and_keeps_the_rest():
    reference = CNN.with_links(3)
    result = compress(reference)
    assert result.reference == reference
    assert result.spec.links is None
    assert result.spec.widths == reference.widths
    assert abs(result.spec.nn_mass / reference.nn_mass - 1) <= 0.02
    same = compress(CNN)
    assert same.spec == result.spec
    assert same.certificate == result.certificate


@pytest.mark.parametrize(
    ("budgets", "objective"),
    [
        ({}, "macs"),
        ({"max_params": 4_000}, "params"),
        ({"max_macs": 4_000}, "macs"),
        ({"max_params": 4_000, "max_macs": 4_000}, "macs"),
    ],
)
def test_the_objective_is_what_has_a_budget_else_macs(budgets, objective):
    assert compress(MLP, **budgets).objective == objective


def test_the_objectives_differ():
    # a skip of the first cell costs four times the MACs of one of the second, and as many parameters
    reference = DenseCNN(widths=(4, 4), depth=(9, 6), max_skips=(4, 4), image_size=16)
    for_params, for_macs = (compress(reference, objective=o, tolerance=0.05).spec for o in ("params", "macs"))
    assert for_macs.macs < for_params.macs
    assert for_params.params < for_macs.params


def test_a_budget_of_what_was_found_is_met_and_one_less_is_not():
    best = compress(CNN).spec
    assert compress(CNN, max_macs=best.macs).spec == best
    with pytest.raises(InfeasibleError, match=f"the cheapest has {best.params:,} params and {best.macs:,} macs"):
        compress(CNN, max_macs=best.macs - 1)


def test_an_infeasible_budget_says_what_was_asked_where():
    with pytest.raises(InfeasibleError) as caught:
        compress(MLP, max_params=1_000, max_macs=2_000)
    message = str(caught.value)
    assert message.startswith(f"no specification of NN-Mass {MLP.nn_mass:.2f} ± 2% within the domain")
    assert "(the reference's widths, depth at least 16, density at most 0.8, mass of a cell within 10%" in message
    assert message.endswith(
        "a smaller --min-depth, or a larger --max-density, --cell-tolerance (now 10%) or --tolerance"
    )
    assert "at most 1,000 params and at most 2,000 macs" in message
    assert "the cheapest has 3,770 params and 3,640 macs (depth 16; max_skips 20)" in message


def test_a_table_of_a_cnn():
    result = compress(CNN)
    table = result.table
    assert table["reference"] == {
        "depth": [9, 9],
        "max_skips": [9, 18],
        "nn_mass": CNN.nn_mass,
        "params": CNN.params,
        "macs": CNN.macs,
    }
    assert table["compressed"]["depth"] == list(result.spec.depths)
    assert table["ratio"]["macs"] == result.spec.macs / CNN.macs < 1
    head, reference, compressed, ratio = str(result).splitlines()
    assert head.split() == ["depth", "max_skips", "nn_mass", "params", "macs"]
    assert reference.split() == f"reference 9, 9 9, 18 {CNN.nn_mass:.2f} {CNN.params:,} {CNN.macs:,}".split()
    assert compressed.split()[0] == "compressed"
    assert compressed.split()[-1] == f"{result.spec.macs:,}"
    assert ratio.split() == ["ratio", *(f"{table['ratio'][key]:.3f}" for key in ("nn_mass", "params", "macs"))]
    assert len({len(line) for line in (head, reference, compressed, ratio)}) == 1


def test_a_result_is_json():
    result = compress(CNN.with_links(0), max_params=CNN.params)
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert spec_from_dict(values["reference"]) == CNN
    assert spec_from_dict(values["compressed"]) == result.spec
    assert values["objective"] == "params"
    assert values["tolerance"] == 0.02
    assert values["domain"] == {
        "min_depth": None,
        "max_density": DENSITY_CAP,
        "cell_tolerance": CELL_TOLERANCE,
        "stage_tolerance": STAGE_TOLERANCE,
        "inner_tolerance": None,
    }
    assert values["certificate"]["optimal"] is True
    assert values["certificate"]["space_size"] > 1
    assert values["table"] == result.table


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        (DenseMLP(width=8, depth=16, max_skips=0), {}, "the reference has NN-Mass 0 .* no mass to keep"),
        (DenseMLP(width=8, depth=2, max_skips=5), {}, "the reference has NN-Mass 0"),
        (MLP, {"tolerance": -0.01}, r"tolerance must lie in \[0, 1\), got -0.01"),
        (MLP, {"tolerance": 1}, r"tolerance must lie in \[0, 1\), got 1"),
        (MLP, {"tolerance": float("nan")}, "tolerance .* got nan"),
        (MLP, {"max_params": 0}, "max_params must be at least 1, got 0"),
        (MLP, {"max_macs": -5}, "max_macs must be at least 1, got -5"),
        (MLP, {"objective": "latency"}, "objective .*params.*macs.*latency_ms.* got 'latency'"),
        (Other(), {}, "compression takes one of DenseMLP, .*WideResNet, got Other"),
        (MLP, {"max_latency_ms": 1.0}, "milliseconds need a latency table"),
    ],
)
def test_what_cannot_be_compressed_is_refused(reference, options, message):
    with pytest.raises(InvalidValueError, match=message):
        compress(reference, **options)
