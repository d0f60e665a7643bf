"""Importing other people's runs: every format, every key of a map, every refusal, and what is done with the corpus."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart import recommend
from rnn_warmstart.__main__ import app
from rnn_warmstart.corpus import (
    COLUMNS,
    CorpusError,
    ImportMap,
    as_corpus,
    configurations,
    import_corpus,
    load_builtin,
    read_corpus,
    read_map,
    write_parquet,
)
from rnn_warmstart.features import Encoder
from rnn_warmstart.surrogate import NetworkSettings, Settings
from rnn_warmstart.surrogate.fitting import fit_folder
from typer.testing import CliRunner, Result

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("RNN_WARMSTART_SHARED", ROOT.parent / "shared"))
REIMERS = SHARED / "data" / "reimers_bilstm.csv.gz"

MAP: dict[str, Any] = {
    "source": "lstm-club",
    "higher_is_better": True,
    "perfect_score": 1.0,
    "run": {
        "architecture": {"constant": "bilstm"},
        "task_type": {"column": "data", "values": {"conll": "ner"}},
        "n_layers": "layers",
        "max_params": {"column": "size", "budgets": [100, 1000]},
        "num_params": "size",
        "seed": "seed",
        "eval_loss": "f1",
        "diverged": "crashed",
    },
    "hparams": {
        "lr": "lr",
        "optimizer": "opt",
        "bidirectional": "bi",
        "dropout_input": {"column": "dropout", "item": 0},
        "dropout_state": {"column": "dropout", "item": 1},
        "batch_size": 32,
    },
}
ROWS: list[dict[str, Any]] = [
    {"data": "conll", "layers": 1, "size": 80, "seed": 7, "f1": 0.75, "crashed": False, "lr": 0.5, "opt": "Adam",
     "bi": True, "dropout": [0.5, 0.25], "host": "a"},
    {"data": "conll", "layers": 2, "size": 100, "seed": None, "f1": 0.5, "crashed": False, "lr": 3, "opt": "SGD",
     "bi": False, "dropout": [0, 0.125], "host": "b"},
    {"data": "wsj", "layers": 2, "size": 101, "seed": 2**62 + 1, "f1": None, "crashed": False, "lr": None, "opt": "SGD",
     "bi": True, "dropout": [], "host": "b"},
    {"data": "wsj", "layers": 1, "size": 900, "seed": 3, "f1": 0.25, "crashed": True, "lr": 1e-4, "opt": None,
     "bi": None, "dropout": [0.5], "host": "c"},
]  # fmt: skip
WANTED = pd.DataFrame(
    {
        "source": "lstm-club",
        "architecture": "bilstm",
        "task_type": ["ner", "ner", "wsj", "wsj"],
        "n_layers": [1, 2, 2, 1],
        "max_params": [100, 100, 1000, 1000],
        "num_params": [80, 100, 101, 900],
        "seed": pd.array([7, None, 2**62 + 1, 3], dtype="Int64"),
        "eval_loss": [0.25, 0.5, np.nan, 0.75],
        "diverged": [False, False, True, True],
        "hp_lr": [0.5, 3, np.nan, 1e-4],
        "hp_optimizer": ["Adam", "SGD", "SGD", None],
        "hp_bidirectional": ["True", "False", "True", None],
        "hp_dropout_input": [0.5, 0, np.nan, 0.5],
        "hp_dropout_state": [0.25, 0.125, np.nan, np.nan],
        "hp_batch_size": 32,
    }
)
"""What `ROWS` are, written by hand in the corpus's own schema."""


def spell(cell: object) -> str:
    return "" if cell is None else str(cell)


def as_text(rows: list[dict[str, Any]], separator: str) -> bytes:
    frame = pd.DataFrame([{name: spell(cell) for name, cell in row.items()} for row in rows])
    return frame.to_csv(sep=separator, index=False).encode()


def as_json(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def change(**changes: Any) -> dict[str, Any]:
    """Return `MAP` with some keys changed; ``run__x`` is the key x of the table run; None takes a key out."""
    changed = {**MAP, "run": dict(MAP["run"]), "hparams": dict(MAP["hparams"])}
    for path, value in changes.items():
        *tables, key = path.split("__")
        table = changed[tables[0]] if tables else changed
        table.pop(key, None)
        table |= {} if value is None else {key: value}
    return changed


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_file(content: bytes | str, name: str = "runs.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.fixture
def runs(write: Callable[..., Path]) -> Path:
    """`ROWS` as CSV."""
    return write(as_text(ROWS, ","))


FORMATS = {
    "x.csv": as_text(ROWS, ","),
    "x.tsv": as_text(ROWS, "\t"),
    "x.jsonl": as_json(ROWS),
    "x.ndjson": b"\xef\xbb\xbf" + as_json(ROWS).replace(b"\n", b"\n\n"),
    "x.parquet": as_parquet(ROWS),
    "x.csv.gz": gzip.compress(as_text(ROWS, ",")),
    "x.tsv.xz": lzma.compress(as_text(ROWS, "\t")),
    "x.csv.bz2": bz2.compress(as_text(ROWS, ",")),
    "x.csv.zst": zstd(as_text(ROWS, ",")),
    "x.jsonl.xz": lzma.compress(as_json(ROWS)),
    "x.jsonl.zst": zstd(as_json(ROWS)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_corpus(write: Callable[..., Path], name: str) -> None:
    found = import_corpus(write(FORMATS[name], name), ImportMap.from_dict(MAP))
    pd.testing.assert_frame_equal(found.runs, as_corpus(WANTED).runs)
    assert found.sha256 == as_corpus(WANTED).sha256


def test_format_and_separator_are_believed(write: Callable[..., Path]) -> None:
    plain = import_corpus(write(as_text(ROWS, ",")), ImportMap.from_dict(MAP))
    odd = write(as_text(ROWS, ";"), "runs.txt")
    assert import_corpus(odd, ImportMap.from_dict(change(format="csv", separator=";"))).sha256 == plain.sha256
    lines = write(as_json(ROWS), "runs.csv")
    assert import_corpus(lines, ImportMap.from_dict(change(format="jsonl"))).sha256 == plain.sha256


def test_it_survives_being_written(runs: Path, tmp_path: Path) -> None:
    found = import_corpus(runs, ImportMap.from_dict(MAP))
    write_parquet(found, tmp_path / "out.parquet")
    again = read_corpus(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(again.runs, found.runs)
    assert again.sha256 == found.sha256


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=5)
words = texts.filter(lambda text: text.lower().lstrip("+-") != "inf")  # refused: an infinite hyperparameter
numbers = st.floats(allow_nan=False, allow_infinity=False)
foreign_rows = st.lists(
    st.fixed_dictionaries(
        {
            "net": texts,
            "data": texts,
            "layers": st.integers(1, 9),
            "loss": st.none() | numbers,
            "seed": st.none() | st.integers(0, 2**63 - 1),
            "number": st.none() | numbers,
            "whole": st.none() | st.integers(-(2**53) + 1, 2**53 - 1),
            "word": st.none() | words,
            "flag": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(rows=foreign_rows)
@settings(deadline=None, max_examples=40)
def test_any_table_is_the_same_in_every_format(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("formats")
    run = {"architecture": "net", "task_type": "data", "n_layers": "layers", "eval_loss": "loss", "seed": "seed"}
    mapping = ImportMap.from_dict(
        {"source": "x", "run": run, "hparams": {name: name for name in ("number", "whole", "word", "flag")}}
    )
    contents = {"x.csv": as_text(rows, ","), "x.jsonl": as_json(rows), "x.parquet": as_parquet(rows)}
    found = {}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        found[name] = import_corpus(folder / name, mapping)
    assert len({corpus.sha256 for corpus in found.values()}) == 1
    runs = found["x.csv"].runs
    finite = [row["loss"] is not None and abs(row["loss"]) <= 1e6 for row in rows]
    assert runs["diverged"].tolist() == [not good for good in finite]
    assert [loss for loss in runs["eval_loss"] if loss == loss] == [
        row["loss"] for row, good in zip(rows, finite, strict=True) if good
    ]
    for given_row, hparams in zip(rows, configurations(runs), strict=True):
        assert hparams.get("number") == given_row["number"] and hparams.get("whole") == given_row["whole"]


def test_inner_objects_are_columns_with_dotted_names(write: Callable[..., Path]) -> None:
    rows = [{"net": "gru", "data": "x", "config": {"lr": rate, "opt": {"name": "Adam"}}, "loss": 1} for rate in (1, 2)]
    mapping = ImportMap.from_dict(
        {
            "source": "tune",
            "run": {"architecture": "net", "task_type": "data", "eval_loss": "loss"},
            "hparams": {"lr": "config.lr", "optimizer": "config.opt.name"},
        }
    )
    found = import_corpus(write(as_json(rows), "x.jsonl"), mapping)
    assert configurations(found.runs) == [{"lr": 1, "optimizer": "Adam"}, {"lr": 2, "optimizer": "Adam"}]
    shallow = [{**row, "config": {"lr": row["config"]["lr"], "opt.name": "Adam"}} for row in rows]
    assert import_corpus(write(as_parquet(shallow), "x.parquet"), mapping).sha256 == found.sha256


def loss_of(path: Path, mapping: dict[str, Any]) -> list[float]:
    return import_corpus(path, ImportMap.from_dict(mapping)).runs["eval_loss"].dropna().tolist()


def test_the_direction_of_the_loss(runs: Path) -> None:
    assert loss_of(runs, MAP) == [0.25, 0.5, 0.75]
    assert loss_of(runs, change(perfect_score=100)) == [99.25, 99.5, 99.75]
    assert loss_of(runs, change(perfect_score=None)) == [-0.75, -0.5, -0.25]
    assert loss_of(runs, change(perfect_score=None, higher_is_better=False)) == [0.75, 0.5, 0.25]
    assert loss_of(runs, change(perfect_score=None, higher_is_better=None)) == [0.75, 0.5, 0.25]


def test_all_losses_are_turned_alike(write: Callable[..., Path]) -> None:
    path = write("net,data,lr,dev,test\nlstm,a,1,0.5,0.25\n")
    run = {"architecture": "net", "task_type": "data", "eval_loss": "test", "valid_loss": "dev"}
    mapping = {"source": "x", "higher_is_better": True, "perfect_score": 1, "run": run, "hparams": {"lr": "lr"}}
    found = import_corpus(path, ImportMap.from_dict(mapping)).runs
    assert found[["valid_loss", "eval_loss"]].to_numpy().tolist() == [[0.5, 0.75]]


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-inf", "None", "n/a", ""])
def test_a_loss_that_is_no_finite_number_is_a_divergence(write: Callable[..., Path], word: str) -> None:
    path = write(as_text(ROWS, ",").replace(b"0.75", word.encode()))
    found = import_corpus(path, ImportMap.from_dict(MAP)).runs
    assert found["diverged"].tolist() == [True, False, True, True]
    assert np.isnan(found["eval_loss"][0]) and found["eval_loss"][1] == 0.5


def test_values_say_what_other_words_mean(write: Callable[..., Path]) -> None:
    path = write(as_text(ROWS, ",").replace(b"0.75", b"blown up").replace(b"Adam", b"adam"))
    mapping = change(
        run__eval_loss={"column": "f1", "values": {"blown up": float("nan"), "0.5": 0.125}},
        hparams__optimizer={"column": "opt", "values": {"adam": "Adam", "SGD": float("nan")}},
        hparams__bidirectional={"column": "bi", "values": {"True": 2, "False": 1}},
    )
    found = import_corpus(path, ImportMap.from_dict(mapping)).runs
    assert found["eval_loss"].fillna(-1).tolist() == [-1, 0.875, -1, 0.75]
    assert found["hp_optimizer"].fillna("-").tolist() == ["Adam", "-", "-", "-"]
    assert found["hp_bidirectional"].fillna(-1).tolist() == [2, 1, 2, -1]


def test_constants_and_items_from_the_end(runs: Path) -> None:
    mapping = change(
        run__n_layers=4,
        run__max_params=5000,
        hparams__cell={"constant": "tanh"},
        hparams__rate_name={"column": "lr", "category": True},
        hparams__last={"column": "dropout", "item": -1},
        hparams__scalar={"column": "lr", "item": 0},
        hparams__nothing={"column": "lr", "item": 1},
    )
    found = import_corpus(runs, ImportMap.from_dict(mapping)).runs
    assert (set(found["n_layers"]), set(found["max_params"]), set(found["hp_cell"])) == ({4}, {5000}, {"tanh"})
    assert found["hp_rate_name"].fillna("-").tolist() == ["0.5", "3", "-", "0.0001"]
    assert found["hp_last"].fillna(-1).tolist() == [0.25, 0.125, -1, 0.5]
    assert found["hp_scalar"].equals(found["hp_lr"]) and "hp_nothing" not in found


def test_items_need_lists(write: Callable[..., Path]) -> None:
    path = write(as_text(ROWS, ",").replace(b"[0.5]", b"[f(2)]"))
    with pytest.raises(
        CorpusError, match=r"column 'dropout' \(hp_dropout_input\): item needs lists .* is '\[f\(2\)\]'"
    ):
        import_corpus(path, ImportMap.from_dict(MAP))


def test_only_rows_to_keep_are_imported(runs: Path) -> None:
    found = import_corpus(runs, ImportMap.from_dict(change(keep={"data": "wsj", "layers": ["1", "3"]})))
    assert found.runs["eval_loss"].tolist() == [0.75]
    assert "3 rows that the map does not keep were left out" in str(found.summary)


def test_what_was_left_out_or_left_open_is_said(runs: Path) -> None:
    notes = import_corpus(runs, ImportMap.from_dict(MAP)).summary.notes
    assert "columns that the map does not use were left out: host" in notes
    assert "losses are 1 minus the scores" in notes
    assert not [note for note in notes if "max_params" in note and "without" in note]
    bare = change(
        perfect_score=None,
        run__max_params=None,
        run__n_layers=None,
        hparams__optimizer={"column": "opt", "values": {"Adaam": "Adam"}},
    )
    found = import_corpus(runs, ImportMap.from_dict(bare))
    assert set(found.runs["n_layers"]) == {1} and set(found.runs["max_params"]) == {1}
    for note in (
        "columns that the map does not use were left out: layers, host",
        "the values 'Adaam' of hp_optimizer occur in no row",
        "losses are the negative of the scores",
        "without a size in the map, max_params is 1 in every run",
        "without a depth in the map, n_layers is 1 in every run",
    ):
        assert note in found.summary.notes


def test_poor_corpora_are_pointed_out(runs: Path, write: Callable[..., Path]) -> None:
    alone = import_corpus(runs, ImportMap.from_dict(change(run__max_params="size"))).summary
    assert "most setups have a single run" in str(alone) and "budgets" in str(alone)
    huge = write(as_text(ROWS, ",").replace(b"0.75", b"2e6"))
    found = import_corpus(huge, ImportMap.from_dict(change(perfect_score=None)))
    assert "1 losses are beyond 1,000,000 and count as diverged" in str(found.summary)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (change(sources="x"), "unknown key 'sources'. Did you mean 'source'?"),
        (change(source=None), "the map lacks source"),
        (change(source=""), "source must be text and not empty, but is ''"),
        (change(source=3), "source must be text and not empty, but is 3"),
        (change(run="x"), "run must be a table, [run], but is 'x'"),
        (change(run__architecture=None), "[run] lacks architecture"),
        (change(run__tasktype="data"), "[run] has no 'tasktype'. Did you mean 'task_type'?"),
        (change(run__architecture=5), "run.architecture is text, so its constant cannot be 5"),
        (change(run__n_layers={"constant": "two"}), "run.n_layers is a whole number, so its constant cannot be 'two'"),
        (change(run__eval_loss=0.5), "run.eval_loss must be a column, not the constant 0.5"),
        (change(hparams__lr=["lr"]), "hparams.lr must be a column's name, a number, or a table"),
        (change(hparams__lr={}), "hparams.lr needs exactly one of column and constant, but has neither"),
        (change(hparams__lr={"column": "lr", "constant": 1}), "but has column, constant"),
        (change(hparams__lr={"column": "lr", "item": 0.5}), "item must be a whole number, but is 0.5"),
        (change(hparams__lr={"column": "lr", "itme": 0}), "unknown key 'itme'. Did you mean 'item'?"),
        (change(hparams__lr={"column": ""}), "column must be text and not empty"),
        (change(hparams__lr={"column": "lr", "values": 3}), "values must map cells to text, numbers or flags"),
        (change(hparams__lr={"column": "lr", "values": {"a": [1]}}), "values must map cells to text"),
        (change(hparams__lr={"constant": [1]}), "constant must be text, a number or a flag, but is [1]"),
        (change(hparams__lr={"constant": 1, "values": {}}), "constant stands alone, but is with values"),
        (change(hparams__lr={"column": "lr", "budgets": [1]}), "budgets are for max_params alone"),
        (change(run__max_params={"column": "size", "budgets": [9, 3]}), "ascending whole numbers of at least 1; got"),
        (change(run__max_params={"column": "size", "budgets": []}), "ascending whole numbers of at least 1; got []"),
        (change(run__seed={"column": "seed", "category": True}), "category is for hyperparameters alone"),
        (change(hparams__lr={"column": "lr", "category": 1}), "category must be true or false, but is 1"),
        (change(hparams__score="f1"), "column 'f1' is an outcome of the run, so it cannot be the hyperparameter"),
        (change(hparams__hp_lr="lr"), "without the prefix 'hp_'"),
        (change(hparams__seed="seed"), "'seed' is a column of every run, not a hyperparameter; map it under [run]"),
        (change(**{"hparams__a b": "lr"}), "'a b' has a name that models cannot keep"),
        (change(higher_is_better="yes"), "higher_is_better must be true or false, but is 'yes'"),
        (change(higher_is_better=False), "perfect_score is for scores"),
        (change(perfect_score="1"), "perfect_score must be a finite number, but is '1'"),
        (change(perfect_score=float("inf")), "perfect_score must be a finite number, but is inf"),
        (change(format="excel"), "format must be one of csv, tsv, jsonl, parquet, but is 'excel'"),
        (change(separator="::"), "separator must be one character, but is '::'"),
        (change(study=[]), "study must be text or a list of texts and not empty"),
        (change(keep={"data": [1]}), "keep.data must be text or a list of texts and not empty, but is [1]"),
    ],
)  # fmt: skip
def test_a_map_that_is_wrong_is_refused(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=r"^the map") as caught:
        ImportMap.from_dict(mapping)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('source = "a"\nsource = "b"\n', "map.toml is not a valid TOML file .*may be there once.: Cannot overwrite"),
        ("source: a", "map.toml is not a valid TOML file"),
        (b"source = '\xff'", "map.toml is not a valid TOML file"),
        ('[run]\narchitecture = "a"\n', "map.toml lacks source"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_map_is_refused(write: Callable[..., Path], text: str | bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_map(write(text, "map.toml"))


def test_a_missing_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.toml does not exist; give the TOML file"):
        read_map(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (change(run__eval_loss=None), "[run] lacks eval_loss, the column of the final loss or score. runs.csv has"),
        (change(run__eval_loss="f2"), "has no column 'f2'. Did you mean 'f1'? The columns are 'data', 'layers'"),
        (change(hparams__lr="learning"), "runs.csv has no column 'learning'"),
        (change(keep={"hosts": "a"}), "runs.csv has no column 'hosts'. Did you mean 'host'?"),
        (change(hparams={}), "lacks [hparams], the columns of the hyperparameters. runs.csv has 'lr', 'opt'"),
        (change(run__eval_loss="opt"), "(eval_loss) must hold numbers, but 3 of 4 rows do not, e.g. 'Adam'; say what "
                                       'that means in the map: values = { "Adam" = nan }'),
        (change(run__n_layers="data"), "(n_layers) must hold numbers, but 4 of 4 rows do not, e.g. 'conll'"),
        (change(run__seed="f1"), "(seed) must hold whole numbers of at least 0, but 3 of 4 rows do not, e.g. '0.75'"),
        (change(run__diverged="host"), "(diverged) must hold flags (true, yes, 1, false, no, 0), but 4 of 4 rows"),
        (change(run__max_params={"column": "size", "budgets": [100]}), "sizes up to 900, above the largest"),
        (change(perfect_score=0.5), "column 'f1' (eval_loss) has 1 scores above perfect_score = 0.5, the highest 0.75"),
        (change(keep={"data": ["x", "y"]}), "runs.csv has 4 rows, and none to import: data is 'x' or 'y' in none"),
        (change(run__n_layers=0), "runs.csv gives no run: 0 runs in 0 setups, 0 diverged, 0 duplicates, 0 contra"
                                  "dictory, 4 refused (4 of runs.csv: n_layers is not a whole number of at least 1)"),
        (change(separator=";"), "columns (It has one column: set the separator in the map.) are"),
        (change(study="x"), "study is for an Optuna storage, but"),
        (change(format="jsonl"), "runs.csv is not readable as jsonl: Expecting value"),
        (change(format="parquet"), "runs.csv is not readable as parquet"),
    ],
)  # fmt: skip
def test_a_map_and_a_table_that_do_not_fit_are_refused(runs: Path, mapping: dict[str, Any], message: str) -> None:
    if mapping["run"].get("eval_loss") == "opt":
        del mapping["hparams"]["optimizer"]
    with pytest.raises(CorpusError, match=r"runs\.csv") as caught:
        import_corpus(runs, ImportMap.from_dict(mapping))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.xlsx", b"", r"x\.xlsx is of no known kind; give a table \(\.csv, .*sqlite:///study\.db, or say format"),
        ("x.csv", b"", r"x\.csv is not readable as csv: No columns to parse"),
        ("x.csv", b"data,layers\n", r"x\.csv has no column 'size'"),
        ("x.csv", as_text(ROWS, ",").split(b"\n")[0], r"x\.csv has 0 rows, and none to import"),
        ("x.csv", b"a,b\n1,2,3\n", r"x\.csv is not readable as csv: .*Expected 2 fields in line 2, saw 3"),
        ("x.csv", b"a,b,a\n1,2,3\n", r"x\.csv has the columns 'a' twice; rename all but one"),
        ("x.csv", b"a\n\xff\n", r"x\.csv is not readable as csv: .*decode"),
        ("x.csv.gz", gzip.compress(as_text(ROWS, ","), mtime=0)[:60], r"x\.csv\.gz is not readable as csv"),
        ("x.csv.xz", b"nothing", r"x\.csv\.xz is not readable as csv"),
        ("x.csv.zst", b"nothing", r"x\.csv\.zst is not readable as csv"),
        ("x.jsonl", b"[1]\n", r"x\.jsonl is not .* as jsonl: each line must be one JSON object, but one is \[1\]"),
        ("x.jsonl", b"{'a': 1}\n", r"x\.jsonl is not readable as jsonl"),
        ("x.jsonl", b'{"a":' * 100_000, r"x\.jsonl is not readable as jsonl"),
        ("x.parquet", b"PAR1", r"x\.parquet is not readable as parquet"),
    ],
)  # fmt: skip
def test_files_that_are_no_table_are_refused(
    write: Callable[..., Path], name: str, content: bytes, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        import_corpus(write(content, name), ImportMap.from_dict(MAP))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.csv does not exist; give a table"):
        import_corpus(tmp_path / "none.csv", ImportMap.from_dict(MAP))


def test_a_column_without_a_name_gets_one(write: Callable[..., Path]) -> None:
    path = write(",net,lr,loss\n9,gru,1,2\n")
    run = {"architecture": "net", "task_type": {"constant": "t"}, "eval_loss": "loss", "seed": "column 1"}
    found = import_corpus(path, ImportMap.from_dict({"source": "x", "run": run, "hparams": {"lr": "lr"}}))
    assert found.runs["seed"].tolist() == [9]


STUDY_MAP: dict[str, Any] = {
    "source": "optuna",
    "run": {"architecture": {"constant": "gru"}, "task_type": "study_name"},
}


@pytest.fixture
def storage(tmp_path: Path) -> str:
    """Two studies that maximise, three trials each: one good, one failed with NaN, one pruned."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    backend = optuna.storages.RDBStorage(url)
    for name in ("small", "large"):
        study = optuna.create_study(storage=backend, study_name=name, direction="maximize")
        space = {
            "lr": optuna.distributions.FloatDistribution(1e-4, 1, log=True),
            "units": optuna.distributions.IntDistribution(1, 99),
            "optimizer": optuna.distributions.CategoricalDistribution(["Adam", "SGD"]),
        }
        for index, state in enumerate(("COMPLETE", "FAIL", "PRUNED")):
            trial = optuna.trial.create_trial(
                params={"lr": 0.5**index, "units": 10 + index, "optimizer": "Adam"},
                distributions=space,
                value=0.75 if state == "COMPLETE" else None,
                state=optuna.trial.TrialState[state],
                user_attrs={"test": 0.5},
            )
            study.add_trial(trial)
    backend.remove_session()
    backend.engine.dispose()
    return url


def test_an_optuna_storage_is_a_table(storage: str, tmp_path: Path) -> None:
    before = (tmp_path / "study.db").read_bytes()
    found = import_corpus(storage, ImportMap.from_dict(STUDY_MAP))
    wanted = pd.DataFrame(
        {
            "source": "optuna",
            "architecture": "gru",
            "task_type": ["small", "small", "large", "large"],
            "n_layers": 1,
            "max_params": 1,
            "hyper_iter": [0, 1, 0, 1],
            "eval_loss": [-0.75, None, -0.75, None],
            "diverged": [False, True, False, True],
            "hp_lr": [1, 0.5, 1, 0.5],
            "hp_optimizer": "Adam",
            "hp_units": [10, 11, 10, 11],
        }
    )
    by_task = as_corpus(wanted).runs.sort_values(["task_type", "hyper_iter"], ignore_index=True)
    pd.testing.assert_frame_equal(found.runs.sort_values(["task_type", "hyper_iter"], ignore_index=True), by_task)
    assert (tmp_path / "study.db").read_bytes() == before
    assert "columns that the map does not use were left out: user_attrs_test" in found.summary.notes


def test_an_optuna_map_may_say_otherwise(storage: str) -> None:
    mapping = {
        **STUDY_MAP,
        "study": "small",
        "higher_is_better": False,
        "run": {**STUDY_MAP["run"], "eval_loss": "user_attrs_test"},
        "hparams": {"rate": "params_lr"},
        "keep": {"state": "PRUNED"},
    }
    found = import_corpus(storage, ImportMap.from_dict(mapping))
    assert found.runs[["task_type", "eval_loss", "hyper_iter"]].to_numpy().tolist() == [["small", 0.5, 2]]
    assert configurations(found.runs) == [{"rate": 0.25}]


@pytest.mark.parametrize(
    ("url", "mapping", "message"),
    [
        ("sqlite:///{folder}/none.db", {}, r"none\.db: there is no file .*none\.db; give the URL"),
        ("sqlite://", {}, "give the URL of an Optuna storage that exists"),
        ("nodb://x", {}, "nodb://x is not a readable Optuna storage"),
        ("://", {}, "is not the URL of a database; give e.g. sqlite:///study.db"),
        ("sqlite:///{folder}/study.db", {"study": "smal"}, "no study 'smal'. Did you mean 'small'. Its studies: "),
        ("sqlite:///{folder}/text.db", {}, r"text\.db is not a readable Optuna storage"),
        ("sqlite:///{folder}/empty.db", {}, r"empty\.db has no trials in 'idle'; run some"),
        ("sqlite:///{folder}/many.db", {}, "must say higher_is_better = true or false: the studies have several"),
        ("sqlite:///{folder}/spaced.db", {}, r"hyperparameter 'the rate' has a name that models cannot keep"),
    ],
)  # fmt: skip
def test_storages_that_give_no_runs_are_refused(
    storage: str, tmp_path: Path, url: str, mapping: dict[str, Any], message: str
) -> None:
    (tmp_path / "text.db").write_text("no database")
    for name, directions in (("empty", ["minimize"]), ("many", ["minimize", "maximize"]), ("spaced", ["minimize"])):
        backend = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/{name}.db")
        study = optuna.create_study(storage=backend, study_name="idle", directions=directions)
        if name != "empty":
            space = {"the rate": optuna.distributions.FloatDistribution(0, 1)}
            study.add_trial(
                optuna.trial.create_trial(params={"the rate": 1}, distributions=space, values=[1.0] * len(directions))
            )
        backend.remove_session()
        backend.engine.dispose()
    with pytest.raises(CorpusError, match=message):
        import_corpus(url.format(folder=tmp_path), ImportMap.from_dict({**STUDY_MAP, **mapping}))
    assert not (tmp_path / "none.db").exists()


def test_a_password_is_not_shown() -> None:
    with pytest.raises(CorpusError, match=r"nodb://me:\*\*\*@host/x is not") as caught:
        import_corpus("nodb://me:secret@host/x", ImportMap.from_dict(STUDY_MAP))
    assert "secret" not in str(caught.value)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)], env={"COLUMNS": "100", "NO_COLOR": "1"})


MAP_TEXT = """
source = "me/mine"
[run]
architecture = "net"
task_type = "data"
eval_loss = "loss"
[hparams]
lr = "lr"
"""
CSV_TEXT = "net,data,lr,loss,note\ngru,b,0.5,1,x\ngru,a,0.25,2,x\nmamba,a,0.25,nan,x\n"


@pytest.fixture
def folder(write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(MAP_TEXT, "map.toml")
    write(CSV_TEXT, "runs.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_the_corpus_and_shows_it(folder: Path) -> None:
    done = invoke("import", "runs.csv", "--map", "map.toml", "--out", "out.parquet")
    assert (done.exit_code, done.stderr.strip()) == (0, "Wrote out.parquet.")
    assert ["a", "1", "1", "2"] in [line.split() for line in done.stdout.splitlines()]
    assert "left out: note" in done.stdout.splitlines()[-1]
    assert json.loads(invoke("out.parquet", "--json").stdout)["rows"] == 3
    assert sorted(path.name for path in folder.iterdir()) == ["map.toml", "out.parquet", "runs.csv"]


def test_without_out_the_source_names_the_file(folder: Path) -> None:
    assert invoke("import", "runs.csv", "--map", "map.toml").exit_code == 0
    assert len(read_corpus("me-mine.parquet")) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["runs.csv", "--map", "none.toml"], 1, "Error: none.toml does not exist"),
        (["none.csv", "--map", "map.toml"], 1, "Error: none.csv does not exist"),
        (["runs.csv", "--map", "map.toml", "--out", "x.csv"], 1, "Error: --out must end in .parquet, but is x.csv"),
        (["runs.csv", "--map", "map.toml", "--out", "a/x.parquet"], 1, "Error: There is no folder a for x.parquet"),
        (["in.parquet", "--map", "map.toml", "--out", "in.parquet"], 1, "Error: in.parquet is the file to import"),
        (["runs.csv"], 2, "Missing option '--map'"),
        (["--map", "map.toml"], 2, "Missing argument 'file'"),
    ],
)
def test_the_command_says_what_is_wrong(folder: Path, arguments: list[str], code: int, message: str) -> None:
    done = invoke("import", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(folder.glob("*.parquet"))


def test_the_corpus_command_still_shows(folder: Path) -> None:
    write_parquet(as_corpus(load_builtin().runs[:50]), folder / "import.parquet")
    (folder / "import.parquet").rename(folder / "import")  # a file of the subcommand's name
    assert json.loads(invoke("--json").stdout)["rows"] == len(load_builtin())
    assert "is not of a kind that holds a corpus" in invoke("./import").stderr
    assert json.loads(invoke("--best", 1, "--arch", "gru", "--json").stdout)["best"][0]["architecture"] == "gru"
    assert "corpus import" in invoke("--help").stdout and "--best" in invoke("--help").stdout
    assert "--map" in invoke("import", "--help").stdout


def test_names_with_brackets_are_shown(folder: Path) -> None:
    (folder / "runs.csv").write_text(CSV_TEXT.replace("gru,b", "gru,[b]"))
    assert "[b]" in invoke("import", "runs.csv", "--map", "map.toml").stdout


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of an imported corpus whose architecture, tasks and hyperparameters nobody knows; no sizes, one depth."""
    folder = tmp_path_factory.mktemp("foreign")
    rng = np.random.default_rng(0)
    rows = 240
    table = pd.DataFrame({"data": rng.choice(["imdb", "sst", "mnli", "qqp", "cola"], rows)})
    table["momentum"] = rng.uniform(0, 1, rows)
    table["optimizer"] = rng.choice(["adam", "lion"], rows)
    table["lr_init"] = rng.choice(["high", "[low]"], rows)
    table["warmup"] = np.where(table["optimizer"] == "lion", rng.integers(1, 9, rows).astype(float), np.nan)
    table["loss"] = (table["momentum"] - 0.25) ** 2 + 0.01 * rng.normal(size=rows)
    table.to_csv(folder / "runs.csv", index=False)
    mapping = ImportMap.from_dict(
        {
            "source": "me",
            "run": {"architecture": {"constant": "mamba"}, "task_type": "data", "eval_loss": "loss"},
            "hparams": {name: name for name in ("momentum", "optimizer", "lr_init", "warmup")},
        }
    )
    corpus = import_corpus(folder / "runs.csv", mapping)
    fit_folder(corpus, folder / "models", Settings(trees=60, diverge_trees=5, folds=2, network=QUICK))
    return folder / "models"


def test_an_imported_corpus_can_be_learned_from(foreign: Path) -> None:
    found = recommend("mamba", "sst", 1e6, models=foreign)
    best = found[0]
    assert abs(float(best.hparams["momentum"]) - 0.25) < 0.2  # where the losses were made lowest
    assert best.hparams["optimizer"] in ("adam", "lion") and best.hparams["lr_init"] in ("high", "[low]")
    assert all(("warmup" in item.hparams) == (item.hparams["optimizer"] == "lion") for item in found)
    assert (best.n_layers, best.hidden_units, best.num_params) == (1, None, None)
    assert {run["source"] for run in best.evidence} == {"me"}
    assert json.loads(found.to_json())["query"]["arch"] == "mamba"
    assert recommend("mamba", "sst", 1e6, models=foreign, fixed={"momentum": 0.5})[0].hparams["momentum"] == 0.5


def test_a_category_with_brackets_is_shown(foreign: Path) -> None:
    arguments = "recommend --arch mamba --task sst --params 1 --fix lr_init=[low]".split()
    done = CliRunner().invoke(app, [*arguments, "--models", str(foreign)], env={"NO_COLOR": "1"})
    assert done.exit_code == 0 and "[low]" in done.stdout


def test_a_corpus_without_sizes_says_that_the_budget_counts_for_nothing(foreign: Path) -> None:
    (warning,) = recommend("mamba", "sst", 1e6, models=foreign).warnings
    assert "The corpus records no sizes for mamba: params=1,000,000 changes nothing" in warning


def test_names_nobody_knows_are_refused_by_an_imported_corpus(foreign: Path) -> None:
    with pytest.raises(ValueError, match=r"Unknown architecture 'mamba2'. Did you mean 'mamba'\? Known: 'mamba'"):
        recommend("mamba2", "sst", 1e6, models=foreign)
    with pytest.raises(ValueError, match=r"Unknown task 'text8'.* Known: 'cola', 'imdb'"):
        recommend("mamba", "text8", 1e6, models=foreign)


def test_a_task_on_which_every_run_diverged_is_refused(tmp_path: Path) -> None:
    runs = load_builtin().runs[::40].reset_index(drop=True)
    lost = runs["task_type"] == "rcf"
    corpus = as_corpus(runs.assign(eval_loss=runs["eval_loss"].mask(lost), diverged=runs["diverged"] | lost))
    fit_folder(corpus, tmp_path / "models", Settings(trees=5, diverge_trees=5, folds=2, network=QUICK))
    with pytest.raises(ValueError, match="Every run on rcf in the corpus diverged, so no loss can be predicted"):
        recommend("gru", "rcf", 1e4, models=tmp_path / "models")
    assert len(recommend("gru", "text8", 1e4, models=tmp_path / "models")) == 5


def test_the_maps_in_the_guide_are_maps() -> None:
    guide = (ROOT / "docs" / "import.md").read_text()
    blocks = [block.split("```")[0].partition("\n")[2] for block in guide.split("```toml")[1:]]
    assert len(blocks) == 2
    maps = [ImportMap.from_dict(tomllib.loads(block)) for block in blocks]
    assert maps[0].entries["max_params"].budgets == (10_000, 100_000, 1_000_000)
    keys = {
        "source",
        "format",
        "separator",
        "study",
        "higher_is_better",
        "perfect_score",
        "[run]",
        "[hparams]",
        "[keep]",
    }
    assert all(f"`{key}`" in guide for key in keys | set(COLUMNS) - {"source"})


def test_a_hyperparameter_wins_over_a_derived_column_of_its_name() -> None:
    runs = load_builtin().runs[:200].reset_index(drop=True)
    own = np.linspace(0, 1, 200)
    encoder = Encoder.fit(runs.assign(hp_momentum=own))
    assert encoder.features.count("momentum") == 1
    assert np.array_equal(encoder.transform(runs.assign(hp_momentum=own))[:, encoder.features.index("momentum")], own)


def test_a_hyperparameter_may_not_be_named_like_the_setup() -> None:
    runs = load_builtin().runs[:20].assign(hp_log_max_params=1.0)
    with pytest.raises(ValueError, match="hp_log_max_params are named like features of the setup; rename them"):
        Encoder.fit(runs)


@pytest.mark.skipif(not REIMERS.exists(), reason="reimers_bilstm.csv.gz is not here; RNN_WARMSTART_SHARED says where")
def test_the_worked_example() -> None:
    found = import_corpus(REIMERS, ROOT / "docs" / "import" / "reimers.toml")
    table = pd.read_csv(REIMERS, sep="\t")
    assert (len(found), found.summary.refused, found.summary.diverged) == (30_388, (), 0)
    assert found.runs["eval_loss"].to_numpy() == pytest.approx(1 - table["Test_F1"].to_numpy(), abs=1e-15)
    assert (found.runs["n_layers"] == table["LSTM-Layers"]).all()
    assert (found.runs["max_params"] >= table["LSTM-Neurons"]).all()
    assert set(found.runs["task_type"]) == {"chunking", "ner", "pos"}
    lists = table["Dropout"].str.startswith("[")
    assert (found.runs["hp_dropout_recurrent"].notna() == lists).all()
    assert (found.runs["hp_dropout_output"][~lists] == table["Dropout"][~lists].astype(float)).all()
    assert set(found.runs["hp_decoder"].dropna()) == {"CRF", "Softmax"}
    assert not {"hp_epochs", "hp_optimal_epoch", "hp_max_test_f1"} & set(found.runs)
