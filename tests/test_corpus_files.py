"""Files: what can be read and what not, Parquet there and back, and the built-in corpus."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rnn_warmstart.corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart.corpus import (
    ABSURD_LOSS,
    COLUMNS,
    Corpus,
    CorpusError,
    as_corpus,
    configurations,
    files,
    load_builtin,
    read_corpus,
    write_parquet,
)
from rnn_warmstart.corpus.import_tables import read_table

TABLE = pd.DataFrame(
    {
        "architecture": ["gru", "lstm", "lstm"],
        "task_type": ["rcf", "text8", "text8"],
        "n_layers": [1, 2, 4],
        "max_params": [1000, 3000, 3000],
        "eval_loss": [0.5, 2.5, np.nan],
        "seed": pd.array([2**53 + 1, None, 3], dtype="Int64"),
        "hp_activation": ["tanh", None, "λ"],
        "hp_lr_init": [0.1, 1e-300, np.nan],
        "hp_steps": pd.array([1, 2, None], dtype="Int64"),
    }
)


@pytest.fixture
def corpus() -> Corpus:
    return as_corpus(TABLE, "lab")


def test_parquet_there_and_back(corpus: Corpus, tmp_path: Path) -> None:
    write_parquet(corpus, tmp_path / "runs.parquet")
    again = read_corpus(str(tmp_path / "runs.parquet"))
    pd.testing.assert_frame_equal(again.runs, corpus.runs)
    assert (again.summary, again.sha256) == (corpus.summary, corpus.sha256)


def test_a_table_that_was_read_can_be_changed(corpus: Corpus, tmp_path: Path) -> None:
    write_parquet(corpus.runs.assign(hp_full=0.5, hp_count=3), tmp_path / "runs.parquet")
    runs = read_corpus(tmp_path / "runs.parquet").runs
    for name in runs:
        runs.loc[0, name] = runs.loc[1, name]
    assert runs.loc[0].equals(runs.loc[1])


def test_a_bare_table_is_written_as_its_corpus(tmp_path: Path) -> None:
    write_parquet(TABLE, tmp_path / "runs.parquet")
    assert read_corpus(tmp_path / "runs.parquet").sha256 == as_corpus(TABLE).sha256


def test_the_same_corpus_is_written_as_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    write_parquet(corpus, tmp_path / "a.parquet")
    write_parquet(corpus, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_large_corpus_is_written_in_large_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 10)
    table = as_corpus(pd.concat([TABLE] * 20, ignore_index=True).assign(eval_loss=np.linspace(0, 1, 60)), "lab")
    groups = []
    for large in (60, 61):
        monkeypatch.setattr(files, "LARGE", large)
        write_parquet(table, tmp_path / "runs.parquet")
        groups.append(pq.read_metadata(tmp_path / "runs.parquet").num_row_groups)
        assert read_corpus(tmp_path / "runs.parquet").sha256 == table.sha256
    assert groups == [1, 6]


def test_a_failed_write_leaves_the_old_file(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "runs.parquet"
    target.write_text("old")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        write_parquet(corpus, target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_of_shards_is_one_corpus(tmp_path: Path) -> None:
    write_parquet(TABLE[:1], tmp_path / "0.parquet")
    write_parquet(TABLE[1:].drop(columns="hp_activation"), tmp_path / "1.parquet")
    (tmp_path / "notes.txt").write_text("not a shard")
    corpus = read_corpus(tmp_path)
    assert corpus.runs["architecture"].tolist() == ["gru", "lstm", "lstm"]
    assert configurations(corpus.runs) == [
        {"activation": "tanh", "lr_init": 0.1, "steps": 1},
        {"lr_init": 1e-300, "steps": 2},
        {},
    ]
    assert corpus.runs["seed"].tolist()[::2] == [2**53 + 1, 3]


def test_other_writers_parquet_is_read(tmp_path: Path) -> None:
    """Dictionary-encoded and large text, narrow numbers, pandas' index, and hyperparameters as JSON text."""
    table = TABLE.drop(columns=[name for name in TABLE if name.startswith("hp_")])
    table = table.assign(hparams='{"lr_init": 0.5}', architecture=table["architecture"].astype("category"))
    table.astype({"n_layers": "int8", "eval_loss": "float32"}).set_index("task_type").to_parquet(tmp_path / "x.parquet")
    corpus = read_corpus(tmp_path / "x.parquet")
    assert corpus.runs["architecture"].tolist() == ["gru", "lstm", "lstm"]
    assert configurations(corpus.runs) == [{"lr_init": 0.5}] * 3


ALLOWED = (
    r"give an archive \(\.tar\.gz, \.tgz, \.tar\), a member of one \(\.p\), a Parquet file \(\.parquet\), or a folder"
)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.parquet", rf"missing\.parquet does not exist; {ALLOWED}"),
        ("runs.csv", rf"runs\.csv is not of a kind that holds a corpus; {ALLOWED}"),
        ("empty", rf"empty holds no \.p and no \.parquet file; {ALLOWED}"),
        ("mixed", r"mixed holds \.p and \.parquet files; give a folder with one kind of them"),
        ("noise.parquet", r"noise\.parquet is not a readable Parquet file"),
        ("nothing.parquet", r"nothing\.parquet is not a readable Parquet file"),
        ("other.parquet", r"other\.parquet lacks the columns architecture, task_type"),
        ("noise.p", r"noise\.p is not a readable pickle"),
    ],
)
def test_what_cannot_be_read_is_explained(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    for path in ("runs.csv", "mixed/a.p", "mixed/b.parquet", "nothing.parquet"):
        (tmp_path / path).touch()
    (tmp_path / "noise.parquet").write_bytes(b"PAR1 noise PAR1")
    (tmp_path / "noise.p").write_bytes(b"noise")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(CorpusError, match=why):
        read_corpus(tmp_path / name)


def test_parquet_that_declares_too_much_is_refused(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(corpus, tmp_path / "x.parquet")
    cells = 3 * len(corpus.runs.columns)
    monkeypatch.setattr(files, "MAX_CELLS", cells - 1)
    for read in (read_corpus, read_table):
        with pytest.raises(CorpusError, match=rf"x\.parquet declares {cells} cells; at most {cells - 1} are read"):
            read(tmp_path / "x.parquet")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_parquet_gives_a_corpus_or_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    write_parquet(TABLE, path)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    try:
        assert len(read_corpus(path)) <= 3
    except CorpusError as error:
        assert re.search(r"damaged\.parquet", str(error))


def test_progress_counts_the_bytes_of_all_files(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_parquet(TABLE, tmp_path / name)
    calls: list[tuple[int, int, str]] = []
    read_corpus(tmp_path, progress=lambda *call: calls.append(call))
    sizes = [(tmp_path / name).stat().st_size for name in ("a.parquet", "b.parquet")]
    assert calls == [
        (0, sum(sizes), "a.parquet"),
        (sizes[0], sum(sizes), "b.parquet"),
        (sum(sizes),) * 2 + ("b.parquet",),
    ]


def test_progress_over_members_ends_at_all_bytes(tmp_path: Path) -> None:
    kinds = {"architecture": "O", "eval_loss": "f8", "max_params": "i8", "n_layers": "i8", "task_type": "O"}
    rows = np.array([("gru", 1.0, 1, 1, "t")] * 9, dtype=[*kinds.items()])
    for name in ("a.p", "b.p"):
        (tmp_path / name).write_bytes(pickle.dumps(rows, protocol=2))
    calls: list[tuple[int, int, str]] = []
    assert len(read_corpus(tmp_path, progress=lambda *call: calls.append(call))) == 18
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert calls[-1] == (total, total, "b.p")
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)


# --- the built-in corpus ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def builtin() -> Corpus:
    return load_builtin()


def test_builtin_corpus_is_whole(builtin: Corpus) -> None:
    summary = builtin.summary
    assert (summary.refused, summary.notes, summary.contradictory) == ((), (), 0)
    assert summary.rows >= 10_784 and summary.setups >= 337
    assert set(summary.counts) == {"rnn", "irnn", "ugrnn", "gru", "lstm", "+rnn"}
    assert set(summary.to_dict()["by_task"]) == {"per_cap", "mem_thru", "rcf", "text8", "parens_counting", "arithmetic"}
    lab = builtin.runs[builtin.runs["source"] == "lab"]
    assert len(lab) == 10_784
    assert lab["seed"].nunique() > 10_000 and lab["steps_done"].notna().all() and lab["wall_seconds"].notna().all()


def test_builtin_losses_are_usable_or_the_run_diverged(builtin: Corpus) -> None:
    runs = builtin.runs
    assert runs.loc[~runs["diverged"], "eval_loss"].between(0, ABSURD_LOSS).all()
    assert (runs["num_params"] <= runs["max_params"]).all()


def test_builtin_corpus_is_the_given_file() -> None:
    path = Path(os.environ.get("RNN_WARMSTART_SHARED", Path(__file__).parents[2] / "shared")) / "data/lab_runs.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there; set RNN_WARMSTART_SHARED to the folder that holds data/lab_runs.parquet")
    given_runs = as_corpus(pd.read_parquet(path), "lab")
    ours = load_builtin().runs
    lab = ours.loc[ours["source"] == "lab", list(given_runs.runs)]
    ordered = [table.sort_values(list(given_runs.runs), ignore_index=True) for table in (lab, given_runs.runs)]
    pd.testing.assert_frame_equal(*ordered)


def test_the_card_has_the_corpus_counts(builtin: Corpus) -> None:
    from rnn_warmstart.corpus.card import MARKERS, describe

    card = (Path(rnn_warmstart.corpus.__file__).parent / "data" / "CARD.md").read_text(encoding="utf-8")
    between = card.split(MARKERS[0])[1].split(MARKERS[1])[0]
    assert between.strip() == describe(builtin).strip(), "run `python -m rnn_warmstart.corpus.card`"


# --- the package -----------------------------------------------------------------------------------------------------


def test_importing_costs_nothing() -> None:
    code = (
        "import sys, rnn_warmstart.corpus as c; print([m for m in ('pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert [name for name in rnn_warmstart.corpus.__all__ if not hasattr(rnn_warmstart.corpus, name)] == []
    assert sorted(rnn_warmstart.corpus.__all__) == dir(rnn_warmstart.corpus)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = rnn_warmstart.corpus.nothing


def test_every_column_of_the_schema_is_documented() -> None:
    assert all(column.doc for column in COLUMNS.values())
