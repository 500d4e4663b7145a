"""What a latency table with bounds can tell: brute force over every network, and two tables of one made-up machine.

That machine has a truth, a drifting speed and interruptions, which no real one would tell a test.
"""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

from nnmass import CifarResNet, ResNet
from nnmass.designing import (
    Domain,
    MobileNetV2Space,
    blocks_around,
    compress,
    design,
    pareto_front,
    space_around,
)
from nnmass.errors import InfeasibleError
from nnmass.latency import Conditions, LatencyTable, Timing, blocks_of, comparison
from nnmass.timing import Yardstick, fill_table, measure
from nnmass.timing.yardstick import involuntary_switches

find = partial(design, outside_domain=True)


def test_designs_keep_to_budgets_by_upper_bounds_and_name_what_lower_ones_allow(small_space, members_of, latency_of):
    table, specs = latency_of(small_space, spread=0.3), members_of(small_space)
    known = {spec: (spec.nn_mass, table.predict(spec).latency) for spec in specs}
    highs = sorted(latency.high_ms for _, latency in known.values())
    for budget in (highs[0] * 1.001, highs[len(highs) // 2], highs[-1]):
        found = find(small_space, max_latency_ms=budget, latency=table)
        sure = max(mass for mass, latency in known.values() if latency.high_ms <= budget * (1 + 1e-9))
        possible = max(mass for mass, latency in known.values() if latency.low_ms <= budget * (1 + 1e-9))
        assert found.spec.nn_mass == pytest.approx(sure, rel=1e-9)
        assert found.best.latency == pytest.approx(known[found.spec][1])
        assert found.certain == (possible <= sure * (1 + 1e-9))
        if not found.certain:
            assert found.possible.spec.nn_mass == pytest.approx(possible, rel=1e-9)
            assert f"cannot tell whether another with NN-Mass {possible:,.2f} is within" in str(found)


def test_the_least_latency_is_bounded_from_both_sides(small_space, members_of, latency_of):
    table, specs = latency_of(small_space, spread=0.3), members_of(small_space)
    latencies = [table.predict(spec).latency for spec in specs]
    found = find(small_space, min_mass=0, objective="latency_ms", latency=table)
    assert found.best.latency.high_ms == pytest.approx(min(latency.high_ms for latency in latencies))
    assert found.possible.latency.low_ms == pytest.approx(min(latency.low_ms for latency in latencies))
    assert f"none takes less than {found.possible.latency.low_ms:.2f} ms" in str(found)


def test_what_is_only_possible_is_no_answer_and_no_proof(small_spaces, members_of, latency_of):
    space = small_spaces["mobilenet"]
    table = latency_of(space, spread=0.3)
    latencies = [table.predict(spec).latency for spec in members_of(space)]
    least, surely = min(found.low_ms for found in latencies), min(found.high_ms for found in latencies)
    with pytest.raises(InfeasibleError, match=r"^by the upper bounds .* network of .* cannot tell\.  One that is"):
        find(space, max_latency_ms=(least + surely) / 2, latency=table)
    with pytest.raises(InfeasibleError, match=r"^no network of the space has at most .* ms, feasible is at most"):
        find(space, max_latency_ms=least * 0.99, latency=table)


def test_what_latencies_do_not_decide_is_certain(small_spaces, latency_of):
    space = small_spaces["mobilenet"]
    found = find(space, latency=latency_of(space, spread=0.3), max_macs=10**12)
    assert found.certain
    assert found.best.latency.low_ms < found.best.latency_ms < found.best.latency.high_ms
    assert found.to_dict()["possible"] is None
    exact = find(space, latency=latency_of(space), max_latency_ms=10**6)
    assert exact.certain
    assert "cannot tell" not in str(exact)


@pytest.mark.parametrize("top", [1, 3])
def test_every_network_of_a_list_is_surely_within(small_spaces, latency_of, top):
    space = small_spaces["mobilenet"]
    table = latency_of(space, spread=0.2)
    budget = find(space, min_mass=0, objective="latency_ms", latency=table).best.latency.high_ms * 1.5
    found = find(space, max_latency_ms=budget, latency=table, top=top)
    assert all(one.latency.high_ms <= budget * (1 + 1e-9) for one in (found.best, *found.alternatives))
    assert found.possible.latency.low_ms <= budget < found.possible.latency.high_ms


def test_fronts_say_what_is_possible_at_every_cost(small_spaces, members_of, latency_of):
    space = small_spaces["mobilenet"]
    table = latency_of(space, spread=0.2)
    known = [(spec.nn_mass, table.predict(spec).latency) for spec in members_of(space)]
    for one in pareto_front(space, cost="latency_ms", latency=table, outside_domain=True):
        cost = one.latency.high_ms * (1 + 1e-9)
        assert one.spec.nn_mass == pytest.approx(max(mass for mass, found in known if found.high_ms <= cost))
        assert one.possible_mass == pytest.approx(max(mass for mass, found in known if found.low_ms <= cost))
    assert all(
        one.possible_mass is None for one in pareto_front(space, cost="macs", latency=table, outside_domain=True)
    )


def test_compression_says_what_the_table_cannot_tell(latency_of):
    reference, domain = CifarResNet(layers=(2, 3, 1), image_size=16), Domain(stage_tolerance=None)
    table = latency_of(space_around(reference, domain), spread=0.4)
    free = compress(reference, objective="latency_ms", tolerance=0.5, domain=domain, latency=table)
    assert any("The latency table cannot tell which is the fastest" in note for note in free.notes)
    assert free.timed.possible_latency.low_ms <= free.timed.compressed.low_ms
    least, budget = free.timed.possible_latency.low_ms, free.timed.compressed.high_ms * 1.05
    within = compress(reference, objective="macs", max_latency_ms=budget, tolerance=0.5, domain=domain, latency=table)
    assert within.timed.compressed.high_ms <= budget
    if within.timed.possible is not None:
        assert within.timed.possible.macs < within.spec.macs
    with pytest.raises(InfeasibleError, match="by the upper bounds of the latency table no specification"):
        compress(reference, max_latency_ms=least * 1.001, tolerance=0.5, domain=domain, latency=table)


def test_all_domains_that_are_tried_have_their_blocks(tmp_path):
    """Where nothing of nearly the reference's inner width is fast enough, narrower blocks are looked at."""
    reference = ResNet(block="bottleneck", layers=(1, 2), planes=(64, 128), image_size=32)
    table = LatencyTable(tmp_path / "t.sqlite", Conditions("made up", "eager", 1, 1, "1"), create=True)
    for piece in blocks_around(reference, Domain()):
        ms = truth(piece)
        table.add(piece, Timing(ms, ms, ms, ms, 9))
    with pytest.raises(InfeasibleError, match=r"has at most 0\.01 ms; the cheapest has"):
        compress(reference, max_latency_ms=0.01, latency=table)


def test_differences_leave_out_what_both_have(small_spaces, members_of, latency_of):
    space = small_spaces["mobilenet"]
    one, *_, other = members_of(space)
    table = latency_of(space, spread=0.3)
    found, back = table.difference(one, other), table.difference(other, one)
    assert found.ms == pytest.approx(table.predict(one).latency.ms - table.predict(other).latency.ms)
    assert found == pytest.approx((-back.ms, -back.high_ms, -back.low_ms))
    assert table.difference(one, one) == (0, 0, 0)
    assert found.high_ms - found.low_ms < sum(
        latency.high_ms - latency.low_ms for latency in (table.predict(one).latency, table.predict(other).latency)
    )


def is_smaller(one, other):
    (kind, sizes), (other_kind, other_sizes) = comparison(one), comparison(other)
    return kind == other_kind and all(a <= b for a, b in zip(sizes, other_sizes, strict=True))


class Machine:
    """A clock that calls advance, at a speed that drifts, with interruptions that the system counts or does not.

    Args:
        seed: of everything that no table knows.
        load: probability that a run is interrupted.
    """

    def __init__(self, seed, load=0.1):
        self.random, self.load = np.random.default_rng(seed), load
        self.now = self.switches = 0
        self.drift, self.level = 0.0, float(self.random.normal(0, 0.015))

    def run(self, ms):
        self.drift = 0.999 * self.drift + float(self.random.normal(0, 0.001))
        taken = ms * np.exp(self.level + self.drift) * float(self.random.lognormal(0, 0.02))
        if self.random.uniform() < self.load:
            taken += float(self.random.exponential(3.0))
            self.switches += int(self.random.uniform() < 0.7)
        self.now += taken / 1000

    def yardstick(self, usual_ms):
        return Looked(usual_ms, clock=lambda: self.now, interruptions=lambda: self.switches, machine=self)


class Looked(Yardstick):
    def __init__(self, usual_ms, *, machine, **options):
        super().__init__(usual_ms, **options)
        self.machine = machine

    def now(self):
        before = self.machine.now
        self.machine.run(0.4)
        return 1000 * min(self.machine.now - before, 0.0005)


def truth(block):
    """Milliseconds that grow with every size that makes a block larger."""
    _, sizes = comparison(block)
    return 0.05 + 0.02 * float(np.prod(np.sqrt(sizes))) ** 0.5


def table_of(machine, space, path, monkeypatch):
    """The table of a made-up machine, through all that fills a real one."""
    table = LatencyTable(path, Conditions("made up", "eager", 1, 1, "1"), create=True)
    monkeypatch.setattr(measure, "module_of", lambda block: (block, None))
    monkeypatch.setattr(measure, "prepared", lambda block, *_: lambda: machine.run(truth(block)))
    monkeypatch.setattr(measure, "yardstick_of", lambda table: machine.yardstick(table.usual_ms))
    fill_table(table, space.blocks(), seconds=0.02)
    return table


@pytest.fixture
def space(small_spaces):
    return small_spaces["mobilenet"]


@pytest.fixture
def known(space, members_of):
    """Mass and true milliseconds of every network."""
    return [(spec.nn_mass, sum(map(truth, blocks_of(spec)))) for spec in members_of(space)]


@pytest.mark.parametrize("load", [0.02, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(2))
def test_two_tables_of_one_machine_never_contradict_each_other(space, known, tmp_path, monkeypatch, seed, load):
    machines = [Machine((seed, k), load) for k in range(2)]
    tables = [table_of(one, space, tmp_path / f"{k}.sqlite", monkeypatch) for k, one in enumerate(machines)]
    least, most = min(ms for _, ms in known), max(ms for _, ms in known)
    for budget in np.linspace(least * 1.05, most, 7):
        best = max(mass for mass, ms in known if ms <= budget)
        for found in [answer(space, table, budget) for table in tables]:
            sure, possible = found
            assert sure <= best * (1 + 1e-9)
            assert best <= possible * (1 + 1e-9)
    fastest = [find(space, min_mass=0, objective="latency_ms", latency=table) for table in tables]
    for found in fastest:
        assert found.possible.latency.low_ms <= least <= found.best.latency.high_ms


def answer(space, table, budget):
    """Between what the largest mass lies, by a table."""
    try:
        found = find(space, max_latency_ms=budget, latency=table)
    except InfeasibleError as error:
        return 0.0, np.inf if "cannot tell" in str(error) else 0.0
    sure = found.spec.nn_mass
    return sure, sure if found.certain else found.possible.spec.nn_mass


def test_noise_alone_makes_no_larger_block_faster(space, tmp_path, monkeypatch):
    table = table_of(Machine(0), space, tmp_path / "t.sqlite", monkeypatch)
    assert table.exceptions() == ()
    pairs = [(a, b) for a, b in itertools.permutations(space.blocks(), 2) if is_smaller(a, b)]
    assert any(table.measured(a).ms > table.measured(b).ms for a, b in pairs)
    assert all(table.latency(a).ms <= table.latency(b).ms for a, b in pairs)


def test_a_machine_that_is_never_left_alone_is_not_trusted(space, tmp_path, monkeypatch):
    quiet, busy = (table_of(Machine(0, load), space, tmp_path / f"{load}", monkeypatch) for load in (0.02, 0.98))
    assert len(quiet.unstable()) <= 1
    assert len(busy.unstable()) > 0.5 * len(busy)
    assert all(busy.latency(piece).low_ms <= truth(piece) for piece in space.blocks())


def test_two_real_tables_agree_or_say_that_they_cannot_tell(tmp_path):
    from nnmass.timing import conditions

    space = MobileNetV2Space(
        stages=[
            {"expansion": [1], "channels": 8, "repeats": [1, 2], "stride": 1},
            {"expansion": [2, 3, 4, 5, 6], "channels": 16, "repeats": [1, 2, 3], "stride": 2},
        ],
        image_size=32,
        num_classes=5,
    )
    tables = []
    for k in range(2):
        tables.append(LatencyTable(tmp_path / f"{k}.sqlite", conditions(threads=1), create=True))
        fill_table(tables[-1], space.blocks(), seconds=0.02)
    middle = find(space, min_mass=0, objective="latency_ms", latency=tables[0]).best.latency.ms
    for factor in (0.9, 1.0, 1.2, 1.5, 2.0, 4.0):
        (sure, possible), (other, or_other) = (answer(space, table, factor * middle) for table in tables)
        assert sure <= or_other
        assert other <= possible


def test_the_system_counts_interruptions():
    before = involuntary_switches()
    torch.ones(3).sum()
    assert 0 <= before <= involuntary_switches()


def test_passes_of_one_run_bound_by_their_spread(space, tmp_path):
    table = LatencyTable(tmp_path / "t.sqlite", Conditions("made up", "eager", 1, 1, "1"), create=True)
    piece = space.blocks()[0]
    table.add(piece, Timing(2.0, 1.5, 3.0, 4.0, 9))
    assert table.latency(piece) == (2.0, 1.5, 3.0)
