import csv
import json
import math
import multiprocessing
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.errors import DestinationError, InvalidValueError, SpecificationError, StoreError
from nnmass.sweeps import RunStore, plan_runs, stored_run
from nnmass.training import TrainingConfig

SPECS = [DenseMLP(width=4, depth=5, max_skips=3), DenseCNN(widths=(4, 8), depth=(5, 6), max_skips=(2, 3))]


def rows(count, data="digits (drawn)"):
    runs = plan_runs(SPECS, seeds=range(-(-count // 2)), data=data, config=TrainingConfig())[:count]
    return [stored_run(run, [1.5, 0.25], 0.75, 0.7 + 0.01 * run.seed) for run in runs]


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs.sqlite")


def test_runs_come_back_oldest_first(store):
    first, *rest = rows(5)
    store.add([first])
    store.add(rest)
    assert store.runs() == [first, *rest]
    assert RunStore(store.path, create=False).runs() == [first, *rest]
    assert RunStore(str(store.path)).runs() == [first, *rest]


def columns(row):
    """What a row holds beside the answers, which are kept apart."""
    return {name: value for name, value in asdict(row).items() if name != "answers"}


def test_a_row_is_what_was_trained():
    run = plan_runs(SPECS, seeds=[4], data="digits", config=TrainingConfig(epochs=2))[1]
    row = stored_run(run, (1.5, 0.25), 0.75, 0.5)
    assert (row.key, row.family, row.depth, row.seed, row.data) == (run.key, "DenseCNN", "(5, 6)", 4, "digits")
    assert (row.nn_mass, row.params, row.macs) == (run.spec.nn_mass, run.spec.params, run.spec.macs)
    assert row.specification == run.spec
    assert TrainingConfig.model_validate_json(row.training) == run.config
    assert json.loads(row.train_loss) == [1.5, 0.25]
    assert (row.status, row.validation_accuracy, row.test_accuracy) == ("finished", 0.75, 0.5)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_makes_a_row_without_accuracies(store, loss):
    (run,) = plan_runs(SPECS[:1], seeds=[0], data="digits", config=TrainingConfig())
    row = stored_run(run, [2.0, loss], 0.1, 0.1)
    assert (row.status, row.validation_accuracy, row.test_accuracy) == ("diverged", None, None)
    assert json.loads(row.train_loss) == [2.0, None]
    store.add([row])
    assert store.runs() == [row]
    assert store.missing([run.key]) == []


def test_links_are_kept_where_they_were_given(store):
    linked = SPECS[1].with_links(3)
    store.add(
        [stored_run(run, [1.0], 0.5, 0.5) for run in plan_runs([linked], seeds=[0], data="d", config=TrainingConfig())]
    )
    assert store.runs()[0].specification == linked


def test_runs_that_are_there_stay_as_they_are(store):
    first, second = rows(2)
    store.add([first])
    again = type(first)(**asdict(first) | {"test_accuracy": 0.123})
    store.add([again, second, second])
    assert store.runs() == [first, second]


def answered(count, samples=13):
    """Rows with answers that make their accuracies."""
    rng = np.random.default_rng(0)
    runs = plan_runs(SPECS, seeds=range(-(-count // 2)), data="digits", config=TrainingConfig())[:count]
    answers = [rng.random(samples) < 0.7 for _ in runs]
    return [stored_run(run, [1.0], 0.5, int(a.sum()) / samples, a) for run, a in zip(runs, answers, strict=True)]


@pytest.mark.parametrize("samples", [1, 8, 13, 1_000])
def test_answers_come_back_for_the_runs_that_have_them(store, samples):
    with_answers, without = answered(4, samples), rows(2)
    store.add(without)
    assert store.answers([row.key for row in without]) == {}
    store.add(with_answers)
    found = RunStore(store.path, create=False).answers([row.key for row in (*with_answers[:3], *without)])
    assert list(found) == [row.key for row in with_answers[:3]]
    assert all(np.array_equal(found[row.key], row.answers) for row in with_answers[:3])
    assert store.runs() == [*without, *with_answers]


def test_answers_belong_to_the_run_that_was_there_first(store):
    first, second = answered(2)
    store.add([replace(first, answers=None), second])
    store.add([first, replace(second, test_accuracy=0.0, answers=~second.answers)])
    found = store.answers([first.key, second.key])
    assert list(found) == [second.key]
    assert np.array_equal(found[second.key], second.answers)


def test_a_run_whose_row_was_taken_out_is_added_with_its_new_answers(store):
    first, second = answered(2)
    store.add([first, second])
    with sqlite3.connect(store.path) as connection:
        connection.execute("DELETE FROM runs WHERE key = ?", [first.key])
    again = replace(first, test_accuracy=int((~first.answers).sum()) / 13, answers=~first.answers)
    store.add([again])
    assert np.array_equal(store.answers([first.key])[first.key], ~first.answers)


@pytest.mark.parametrize(
    "change", ["bits = x'ff'", "bits = zeroblob(2)", "bits = 'text'", "samples = 12", "samples = -1", "samples = 1e300"]
)
def test_answers_that_do_not_make_the_accuracy_are_refused(store, change):
    (row,) = answered(1)
    store.add([row])
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"UPDATE answers SET {change}")
    connection.close()
    with pytest.raises(StoreError, match=r"damaged: run \w+: its answers do not make its test accuracy"):
        store.answers([row.key])


def test_missing_keys_keep_their_order(store):
    everything = rows(6)
    store.add(everything[1::2])
    keys = [row.key for row in everything]
    assert store.missing(keys[::-1]) == [keys[4], keys[2], keys[0]]
    assert store.missing([]) == []


def test_rows_are_added_all_or_none(store):
    good, bad = rows(2)
    with pytest.raises(StoreError, match=r"runs\.sqlite: .*CHECK constraint failed"):
        store.add([good, type(bad)(**asdict(bad) | {"status": "running"})])
    assert store.runs() == []


def test_runs_of_one_data_set_are_picked_by_its_name(store):
    store.add([*rows(1, "digits (drawn)"), *rows(1, "digits2 (drawn)"), *rows(1, "digits")])
    assert [run.data for run in store.runs(data="digits")] == ["digits (drawn)", "digits"]
    assert [run.data for run in store.runs(data="digits (drawn)")] == ["digits (drawn)"]
    assert store.runs(data="digit") == []


def test_a_store_writes_ahead_and_says_what_it_is(store):
    connection = sqlite3.connect(store.path)
    pragmas = [
        connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "application_id", "user_version")
    ]
    connection.close()
    assert pragmas == ["wal", int.from_bytes(b"nnma"), 1]


def test_a_reader_does_not_wait_for_a_writer(store):
    before = rows(2)
    store.add(before)
    writer = sqlite3.connect(store.path)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM runs")
    assert store.runs() == before
    writer.rollback()
    writer.close()


def test_two_processes_lose_nothing(store):
    everything = rows(60)
    chunks = [everything[i : i + 4] for i in range(0, 60, 3)]  # every third row is written twice
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(store.add, chunks, chunksize=1)
        pool.close()
        pool.join()
    assert sorted(store.runs(), key=lambda row: row.key) == sorted(everything, key=lambda row: row.key)


def test_a_store_may_be_made_by_several_at_once(tmp_path):
    count = 6
    barrier = threading.Barrier(count)

    def make(path):
        barrier.wait()
        RunStore(path).add(rows(1))

    with ThreadPoolExecutor(count) as pool:
        for i in range(40):
            list(pool.map(make, [tmp_path / f"{i}.sqlite"] * count))
            assert len(RunStore(tmp_path / f"{i}.sqlite").runs()) == 1


@pytest.mark.parametrize("lock", ["DEFERRED", "IMMEDIATE", "EXCLUSIVE"])
def test_making_a_store_waits_for_whoever_is_doing_the_same(tmp_path, lock):
    path = tmp_path / "runs.sqlite"
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute(f"BEGIN {lock}")
    other.execute("SELECT * FROM sqlite_master")
    waiting = threading.Timer(0.2, other.rollback)
    waiting.start()
    assert RunStore(path).runs() == []
    waiting.join()
    other.close()


def other_database(path, *, version=None):
    connection = sqlite3.connect(path)
    if version is None:
        connection.execute("CREATE TABLE people (name TEXT)")
    else:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


def test_files_of_other_kinds_are_refused_and_left_alone(store, tmp_path):
    store.add(rows(30))
    whole = store.path.read_bytes()
    contents = {
        "truncated": whole[: len(whole) // 2],
        "header": whole[:60],
        "first page": whole[:100] + b"\xff" * 3_996 + whole[4_096:],
        "text": b"key,family\n1,2\n",
        "zeros": bytes(5_000),
        "junk": b"\xff" * 5_000,
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(StoreError, match=f"{name}: damaged, or not a run store"):
            RunStore(path)
        assert path.read_bytes() == content, name


def test_another_sqlite_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "people.sqlite"
    other_database(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"people\.sqlite: is a SQLite file, but not a run store"):
        RunStore(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_of_a_newer_version_is_refused_and_left_alone(store):
    other_database(store.path, version=2)
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match=r"runs\.sqlite: has version 2, this program reads version 1"):
        RunStore(store.path)
    assert store.path.read_bytes() == before


def test_damage_that_is_met_later_is_an_error_too(store):
    store.add(rows(60))
    keys = [row.key for row in rows(60)]
    whole = bytearray(store.path.read_bytes())
    whole[4_096:] = b"\xff" * (len(whole) - 4_096)
    store.path.write_bytes(whole)
    for use in (store.runs, lambda: store.missing(keys), lambda: store.add(rows(62))):
        with pytest.raises(StoreError, match=r"runs\.sqlite: damaged, or not a run store"):
            use()


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is not a file"):
        RunStore(tmp_path)


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(DestinationError, match=r"cannot write to .*file: not a directory"):
        RunStore(tmp_path / "file" / "runs.sqlite")
    assert (tmp_path / "file").read_text() == "text"


def test_a_missing_store_is_made_with_its_folders_or_refused(tmp_path):
    path = tmp_path / "a" / "b" / "runs.sqlite"
    with pytest.raises(StoreError, match=r"runs\.sqlite: no such run store"):
        RunStore(path, create=False)
    assert not path.parent.exists()
    assert RunStore(path).runs() == []
    assert RunStore(path, create=False).runs() == []


def test_csv_round_trip(store, tmp_path):
    everything = rows(3)
    diverged = type(everything[0])(
        **asdict(everything[0]) | {"key": "x", "status": "diverged", "test_accuracy": None, "validation_accuracy": None}
    )
    store.add([*everything, diverged])
    path = store.export(tmp_path / "out" / "runs.csv")
    assert path == tmp_path / "out" / "runs.csv"
    with path.open(newline="") as stream:
        read = list(csv.DictReader(stream))
    expected = [{k: "" if v is None else str(v) for k, v in columns(row).items()} for row in store.runs()]
    assert read == expected
    assert float(read[1]["nn_mass"]) == everything[1].nn_mass


def test_parquet_round_trip(store, tmp_path):
    everything = rows(3)
    store.add(everything)
    table = pq.read_table(store.export(str(tmp_path / "runs.parquet")))
    assert table.to_pylist() == [columns(row) for row in everything]
    assert [str(table.schema.field(name).type) for name in ("key", "nn_mass", "params", "test_accuracy")] == [
        "string",
        "double",
        "int64",
        "double",
    ]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_empty_store_is_exported_with_its_columns(store, tmp_path, ending):
    path = store.export(tmp_path / f"runs.{ending}")
    names = pq.read_table(path).column_names if ending == "parquet" else path.read_text().strip().split(",")
    assert names == list(columns(rows(1)[0]))


@pytest.mark.parametrize("name", ["runs.json", "runs"])
def test_other_endings_are_refused(store, tmp_path, name):
    with pytest.raises(InvalidValueError, match=r"runs are exported to \.csv or \.parquet, got"):
        store.export(tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("test_accuracy", 5.0, r"test_accuracy is 5\.0, which lies outside 0 … 1"),
        ("test_accuracy", -0.1, "lies outside 0 … 1"),
        ("validation_accuracy", float("inf"), "lies outside 0 … 1"),
        ("test_accuracy", None, "it is finished, with a test accuracy of None"),
        ("test_accuracy", "high", "test_accuracy is 'high'"),
        ("nn_mass", float("inf"), "nn_mass is inf"),
        ("nn_mass", "NaN", "nn_mass is 'NaN'"),
        ("params", -3, "params is -3"),
        ("macs", "\x1b[2J", r"macs is '\\+x1b\[2J'"),
        ("seed", b"\xff", "seed is b'"),
        ("train_loss", "[" * 100_000, "train_loss is no list of numbers"),
        ("train_loss", "[1, NaN]", "train_loss is no list of numbers"),
        ("train_loss", "[1e999]", "train_loss is no list of numbers"),
        ("train_loss", '{"a": 1}', "train_loss is no list of numbers"),
        ("train_loss", "1" * 5_000, "train_loss is no list of numbers"),
    ],
)
def test_a_row_that_is_no_run_is_said_in_one_line(store, column, value, message):
    store.add(rows(3))
    connection = sqlite3.connect(store.path)
    connection.execute(f"UPDATE runs SET {column} = ? WHERE rowid = 2", (value,))
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=rf"runs\.sqlite: damaged: run [0-9a-f]+: .*{message}") as found:
        store.runs()
    assert "\n" not in str(found.value)


def test_a_specification_of_a_row_may_be_anything(store):
    (row,) = rows(1)
    for text in ("[" * 100_000, "1" * 5_000, "[]", '{"family": "none"}'):
        with pytest.raises(SpecificationError, match="run"):
            _ = replace(row, spec=text).specification


@pytest.mark.parametrize("kind", ["TRIGGER t AFTER INSERT ON runs BEGIN SELECT 1; END", "VIEW v AS SELECT 1"])
def test_a_store_runs_nothing_that_it_holds(store, kind):
    connection = sqlite3.connect(store.path)
    connection.execute(f"CREATE {kind}")
    connection.close()
    with pytest.raises(StoreError, match=f"not a run store as this program makes them: it holds CREATE {kind[:9]}"):
        RunStore(store.path)


def test_a_full_disk_is_not_called_damage(tmp_path):
    code = (
        "import resource, sys; from nnmass.sweeps import RunStore; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); RunStore(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "runs.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stderr.splitlines()[-1]
    assert "runs.sqlite: cannot be read or written (" in said
    assert RunStore(tmp_path / "runs.sqlite").runs() == []


def test_a_store_that_another_program_has_locked_says_so(store, monkeypatch):
    monkeypatch.setattr("nnmass.database._WAIT", 0.1)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program has it locked"):
        store.add(rows(1))
    other.close()
    store.add(rows(1))
