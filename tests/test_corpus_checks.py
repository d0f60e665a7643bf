"""From any table to a corpus: types, losses, divergence, refusals, repeats, hyperparameters as dicts and columns."""

import json
import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart.corpus import ABSURD_LOSS, COLUMNS, SETUP, CorpusError, as_corpus, configurations, hparams
from rnn_warmstart.corpus.hparams import MAX_HPARAMS, expand


def frame(n: int = 2, **columns: Any) -> pd.DataFrame:
    base = {"architecture": "gru", "task_type": "rcf", "n_layers": 1, "max_params": 1000, "eval_loss": 0.5}
    return pd.DataFrame({**{name: [value] * n for name, value in base.items()}, **columns})


def refusals(table: pd.DataFrame) -> dict[str, int]:
    return {refusal.why: refusal.rows for refusal in as_corpus(table).summary.refused}


# --- columns ---------------------------------------------------------------------------------------------------------


def test_columns_come_in_the_schemas_order_with_its_types() -> None:
    table = frame(hp_b=[1, 2], hp_a=["x", None], seed=[5, None], wall_seconds=[1, 2], hyper_iter=[0, 1])
    corpus = as_corpus(table[sorted(table, reverse=True)], "lab")
    kinds = {"text": "O", "integer": "i", "number": "f", "flag": "b"}
    schema = [name for name in COLUMNS if name in corpus.runs]
    assert list(corpus.runs) == [*schema, "hp_a", "hp_b"]
    assert [corpus.runs[name].dtype.kind for name in schema] == [kinds[COLUMNS[name].kind] for name in schema]
    assert [str(corpus.runs[name].dtype) for name in ("hyper_iter", "seed", "hp_b")] == ["int64", "Int64", "int64"]
    assert corpus.hparams == ("a", "b")
    assert set(corpus.runs["source"]) == {"lab"}


@pytest.mark.parametrize("name", [name for name, column in COLUMNS.items() if column.required])
def test_a_missing_required_column_is_an_error(name: str) -> None:
    with pytest.raises(CorpusError, match=rf"table lacks the columns {name}; a corpus needs architecture, task_type"):
        as_corpus(frame().drop(columns=name))


def test_a_column_twice_is_an_error() -> None:
    table = frame()
    with pytest.raises(CorpusError, match="table has the columns n_layers twice"):
        as_corpus(pd.concat([table, table[["n_layers"]]], axis=1))


def test_other_columns_are_left_out_and_named() -> None:
    corpus = as_corpus(frame(width=[1, 2], hp_new=[1.0, 2.0]).assign(**{"note": "x"}))
    assert "width" not in corpus.runs and "hp_new" in corpus.runs
    assert str(corpus.summary).endswith("0 refused; table: columns not in the schema were left out: width, note")


def test_the_given_table_is_not_changed() -> None:
    table = frame(hp_a=[1, None], diverged=[True, None])
    before = table.copy(deep=True)
    as_corpus(table)
    pd.testing.assert_frame_equal(table, before)


def test_source_is_kept_where_the_table_has_one() -> None:
    assert as_corpus(frame(source=["lab", None]), "mine").runs["source"].tolist() == ["lab", "mine"]


def test_any_index_is_forgotten() -> None:
    corpus = as_corpus(frame(3, n_layers=[0, 1, 2]).set_index(pd.Index([7, 7, 7])))
    assert corpus.runs.index.tolist() == [0, 1]


def test_an_empty_table_is_an_empty_corpus() -> None:
    corpus = as_corpus(frame(0))
    assert str(corpus.summary) == "0 runs in 0 setups, 0 diverged, 0 duplicates, 0 contradictory, 0 refused"
    with pytest.raises(ValueError, match="No run fits"):
        corpus.best()


# --- losses and divergence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss", [math.nan, math.inf, -math.inf, None, 1e30, -1e30, "nan", "infeasible", ABSURD_LOSS * 1.01]
)
def test_unusable_evaluation_losses_are_divergence_not_refusal(loss: object) -> None:
    corpus = as_corpus(frame(eval_loss=pd.Series([loss, 0.5], dtype=object)))
    assert corpus.runs["diverged"].tolist() == [True, False]
    assert corpus.runs["eval_loss"].isna().tolist() == [True, False]
    assert (len(corpus), corpus.summary.diverged, corpus.summary.refused) == (2, 1, ())


def test_the_absurd_loss_itself_is_the_last_usable_one() -> None:
    corpus = as_corpus(frame(eval_loss=[ABSURD_LOSS, np.nextafter(ABSURD_LOSS, math.inf)]))
    assert corpus.runs["diverged"].tolist() == [False, True]


def test_a_missing_training_loss_alone_is_only_null() -> None:
    corpus = as_corpus(frame(train_loss=[math.inf, 1.0], valid_loss=[2.0, None]))
    assert not corpus.runs["diverged"].any()
    assert corpus.runs[["train_loss", "valid_loss"]].isna().to_numpy().tolist() == [[True, False], [False, True]]


def test_the_source_may_say_that_a_run_diverged() -> None:
    corpus = as_corpus(frame(4, diverged=pd.Series([True, None, False, 1], dtype=object)))
    assert corpus.runs["diverged"].tolist() == [True, False, False, True]
    assert corpus.runs["eval_loss"].tolist() == [0.5] * 4


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("architecture", None, "architecture is not text"),
        ("architecture", "", "architecture is not text"),
        ("architecture", 7, "architecture is not text"),
        ("task_type", ["text8"], "task_type is not text"),
        ("n_layers", "deep", "n_layers is not a whole number of at least 1"),
        ("n_layers", 0, "n_layers is not a whole number of at least 1"),
        ("n_layers", 1.5, "n_layers is not a whole number of at least 1"),
        ("n_layers", None, "n_layers is not a whole number of at least 1"),
        ("max_params", -1000, "max_params is not a whole number of at least 1"),
        ("max_params", math.inf, "max_params is not a whole number of at least 1"),
        ("max_params", 10**30, "max_params is not a whole number of at least 1"),
        ("hp_a", math.inf, "hp_a is infinite, or neither number nor text"),
        ("hp_a", [1], "hp_a is infinite, or neither number nor text"),
        ("hp_a", {}, "hp_a is infinite, or neither number nor text"),
        ("hparams", [1], "hparams is not a dict"),
        ("hparams", "[1]", "hparams is not a dict"),
    ],
)
def test_unusable_rows_are_refused_and_counted(column: str, value: object, why: str) -> None:
    good = {"architecture": "gru", "task_type": "rcf", "hparams": {"a": 1}}.get(column, 2)
    table = frame(3, **{column: pd.Series([good, value, good], dtype=object)})
    corpus = as_corpus(table)
    assert len(corpus) == 2
    assert refusals(table) == {why: 1}
    assert f"1 refused (1 of table: {why})" in str(corpus.summary)


def test_a_row_is_refused_once_by_the_first_rule() -> None:
    table = frame(3, architecture=["gru", None, None], n_layers=[0, 0, 1])
    assert as_corpus(table).summary.refused_rows == 3
    assert refusals(table) == {"architecture is not text": 2, "n_layers is not a whole number of at least 1": 1}


def test_columns_that_lose_their_last_null_by_refusal_are_plain_integers() -> None:
    corpus = as_corpus(frame(n_layers=[0, 1], seed=[None, 3], hp_steps=pd.array([None, 4], dtype="Int64")))
    assert [str(corpus.runs[name].dtype) for name in ("seed", "hp_steps")] == ["int64", "int64"]


def test_optional_integers_that_are_unusable_are_null() -> None:
    corpus = as_corpus(frame(3, num_params=pd.Series(["?", 900, -1], dtype=object)))
    assert corpus.runs["num_params"].isna().tolist() == [True, False, True]


def test_integers_are_exact_beyond_the_precision_of_floats() -> None:
    big = 2**53 + 1
    for seeds in ([big, None], [big, big + 1]):
        assert as_corpus(frame(seed=pd.Series(seeds, dtype=object))).runs["seed"][0] == big
    assert as_corpus(frame(seed=pd.array([big, None], dtype="Int64"))).runs["seed"][0] == big


# --- repeats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "duplicates", "contradictory"),
    [
        ({"seed": [1, 1]}, 1, 0),
        ({"seed": [1, 2]}, 0, 0),
        ({"seed": [1, 1], "eval_loss": [0.5, 0.6]}, 0, 2),
        ({"seed": [1, 1], "eval_loss": [0.5, None]}, 0, 2),
        ({"seed": [1, 1], "train_loss": [0.5, 0.6]}, 0, 2),
        ({"seed": [1, 2], "eval_loss": [0.5, 0.6]}, 0, 0),
        ({"seed": [1, 1], "eval_loss": [0.5, 0.6], "hp_a": [1, 2]}, 0, 0),
        ({"seed": [1, 1], "eval_loss": [0.5, 0.6], "n_layers": [1, 2]}, 0, 0),
        ({"seed": [1, 1], "source": ["lab", "trainer"]}, 0, 0),
        ({"eval_loss": [0.5, 0.6]}, 0, 0),
        ({"eval_loss": [0.5, 0.6], "hyper_iter": [3, 3]}, 0, 2),
        ({"eval_loss": [0.5, 0.6], "hyper_iter": [3, 4]}, 0, 0),
        ({"eval_loss": [0.5, 0.5], "hyper_iter": [3, 3]}, 1, 0),
        ({"eval_loss": [0.5, 0.5], "hyper_iter": [3, 4]}, 0, 0),
        ({"eval_loss": [0.5, 0.6], "seed": [1, 1], "hyper_iter": [3, 4]}, 0, 2),
    ],
)
def test_duplicates_and_contradictions(columns: dict[str, list[Any]], duplicates: int, contradictory: int) -> None:
    corpus = as_corpus(frame(**columns))
    assert (corpus.summary.duplicates, corpus.summary.contradictory) == (duplicates, contradictory)
    assert len(corpus) == 2, "they stay"


def test_a_repeated_contradiction_counts_each_row_once() -> None:
    summary = as_corpus(frame(4, seed=[1] * 4, eval_loss=[0.5, 0.5, 0.6, 0.7])).summary
    assert (summary.duplicates, summary.contradictory) == (1, 3)


# --- questions -------------------------------------------------------------------------------------------------------

TABLE = frame(
    5,
    architecture=["gru", "gru", "lstm", "lstm", "lstm"],
    n_layers=[1, 2, 1, 2, 2],
    max_params=[1000, 3000, 1000, 3000, 3000],
    eval_loss=[0.5, 0.4, 0.3, 0.2, 0.1],
    diverged=[False, False, False, False, True],
    hp_a=[1, 2, 3, 4, 5],
    hp_only_gru=[1.0, None, None, None, None],
)


def test_setups_and_counts() -> None:
    corpus = as_corpus(TABLE)
    assert corpus.setups().to_dict("list") == {
        "architecture": ["gru", "gru", "lstm", "lstm"],
        "task_type": ["rcf"] * 4,
        "n_layers": [1, 2, 1, 2],
        "max_params": [1000, 3000, 1000, 3000],
        "runs": [1, 1, 1, 2],
    }
    found = corpus.summary.to_dict()
    assert (found["rows"], found["setups"], found["diverged"], found["refused"], found["duplicates"]) == (5, 4, 1, 0, 0)
    assert (found["by_architecture"], found["by_task"]) == ({"gru": 2, "lstm": 3}, {"rcf": 5})
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("query", "losses"),
    [
        ({}, [0.2]),
        ({"n": 9}, [0.2, 0.3, 0.4, 0.5]),
        ({"architecture": "gru"}, [0.4]),
        ({"n_layers": 1, "n": 2}, [0.3, 0.5]),
        ({"max_params": 2999}, [0.3]),
        ({"max_params": 3000}, [0.2]),
        ({"architecture": "gru", "task_type": "rcf", "n_layers": 1}, [0.5]),
    ],
)
def test_best(query: dict[str, Any], losses: list[float]) -> None:
    best = as_corpus(TABLE).best(**query)
    assert best["eval_loss"].tolist() == losses
    assert ("hp_only_gru" in best) == (0.5 in losses)


def test_best_of_what_is_not_there() -> None:
    corpus = as_corpus(TABLE)
    with pytest.raises(
        ValueError, match=r"No run fits \{'architecture': 'gruu'\}; the corpus has architecture: gru, lstm"
    ):
        corpus.best("gruu")
    with pytest.raises(ValueError, match="n must be at least 1, but got 0"):
        corpus.best(n=0)


def test_sha256_depends_on_values_names_and_order_only() -> None:
    corpus = as_corpus(TABLE)
    same = [TABLE[sorted(TABLE)], TABLE.astype({"n_layers": "int8", "eval_loss": object})]
    assert {as_corpus(table).sha256 for table in same} == {corpus.sha256}
    assert len(corpus.sha256) == 64
    others = [TABLE[::-1], TABLE[:4], TABLE.rename(columns={"hp_a": "hp_b"}), TABLE.assign(architecture="gru")]
    others += [TABLE.assign(eval_loss=TABLE["eval_loss"] + 1e-16), TABLE.assign(seed=1), TABLE.assign(hp_only_gru=1.0)]
    assert len({as_corpus(table).sha256 for table in [TABLE, *others]}) == len(others) + 1


# --- hyperparameters -------------------------------------------------------------------------------------------------

FRAMES = [
    ("integers", [1, 2], "int64", [1, 2]),
    ("integers and null", [1, None], "Int64", [1, None]),
    ("integers and floats", [1, 2.5], "float64", [1.0, 2.5]),
    ("huge integers", [1, 2**70], "float64", [1.0, 2.0**70]),
    ("NumPy numbers", [np.int32(3), np.float32(0.5)], "float64", [3.0, 0.5]),
    ("text and numbers", ["tanh", 1], "text", ["tanh", "1"]),
    ("text and null", ["tanh", None], "text", ["tanh", None]),
    ("bytes", [b"tanh", "tanh"], "text", ["tanh", "tanh"]),
    ("Latin-1 bytes", [b"na\xefve", "naïve".encode()], "text", ["naïve", "naïve"]),
    ("text that looks like a number", ["1", "0.5"], "text", ["1", "0.5"]),
    ("flags", [True, False], "text", ["True", "False"]),
    ("flags and null", [np.bool_(True), None], "text", ["True", None]),
]


@pytest.mark.parametrize(("values", "kind", "read"), [case[1:] for case in FRAMES], ids=[case[0] for case in FRAMES])
@pytest.mark.parametrize("as_dicts", [True, False])
def test_types_of_hyperparameters(values: list[Any], kind: str, read: list[Any], as_dicts: bool) -> None:
    cells = pd.Series(values, dtype=object)
    table = frame(hparams=[{"a": value} for value in values]) if as_dicts else frame(hp_a=cells)
    column = as_corpus(table).runs["hp_a"]
    assert str(column.dtype) == kind or (kind == "text" and column.dtype.kind == "O")
    assert column.astype(object).where(column.notna(), None).tolist() == read


def test_a_hyperparameter_that_no_run_has_is_no_hyperparameter() -> None:
    assert as_corpus(frame(hp_a=[None, math.nan], hparams=["{}", "{}"])).hparams == ()


def test_json_text_is_expanded_unless_there_are_columns() -> None:
    text = ['{"lr_init": 0.1, "new": "x"}', '{"steps": 3}']
    assert configurations(as_corpus(frame(hparams=text)).runs) == [{"lr_init": 0.1, "new": "x"}, {"steps": 3}]
    assert as_corpus(frame(hparams=text, hp_a=[1, 2])).hparams == ("a",)


@pytest.mark.parametrize("text", ["{", "{'a': 1}", "[" * 10**5])
def test_broken_json_is_an_error(text: str) -> None:
    with pytest.raises(CorpusError, match="table: a cell of hparams is not valid JSON"):
        as_corpus(frame(hparams=[text, "{}"]))


@pytest.mark.parametrize(
    ("hparams", "why"),
    [
        ({1: 2}, "a hyperparameter's name must be text and not empty, but one is of type int"),
        ({"": 2}, "a hyperparameter's name must be text and not empty"),
        ({"a": 1, b"a": 2}, "names a hyperparameter twice"),
        ({f"x{i}": i for i in range(MAX_HPARAMS + 1)}, "2 runs have at least 301 different hyperparameters, too many"),
    ],
)
def test_bad_names_are_errors(hparams: dict[Any, Any], why: str) -> None:
    with pytest.raises(CorpusError, match=why):
        as_corpus(frame(hparams=[hparams, {}]))


NAMES = st.text(alphabet="abcdefgh_+λ", min_size=1, max_size=4)
VALUES = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "text": st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5),
}


@st.composite
def dict_columns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw one dict a run, each name with values of one kind, some absent and some None, keys in any order."""
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(VALUES)), max_size=4))
    cell = st.fixed_dictionaries({}, optional={name: VALUES[kind] | st.none() for name, kind in kinds.items()})
    rows = draw(st.lists(cell, max_size=6))
    return [dict(draw(st.permutations(list(row.items())))) for row in rows]


@settings(max_examples=150, deadline=None)
@given(dict_columns())
def test_dicts_survive_the_table(rows: list[dict[str, Any]]) -> None:
    present = [{name: value for name, value in row.items() if value is not None} for row in rows]
    assert configurations(expand(rows)) == present
    corpus = as_corpus(frame(len(rows), hparams=pd.Series(rows, dtype=object)))
    found = configurations(corpus.runs)
    assert found == present
    kinds = [{name: type(value) for name, value in row.items()} for row in present]
    assert [{name: type(value) for name, value in row.items()} for row in found] == kinds


MIXED = {
    "numbers": st.none() | st.integers(-(2**62), 2**62) | st.integers(2**64, 2**70) | st.floats(-1e300, 1e300),
    "integers": st.none() | st.integers(-(2**62), 2**62),
    "words": st.none() | st.sampled_from(["tanh", "relu", b"relu"]),
    "flags": st.none() | st.booleans(),
    "anything": st.none() | st.just([1]) | st.just("x") | st.floats(2, 3) | st.booleans(),
}


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 5))
def test_dicts_that_come_in_parts_are_read_as_their_columns(data: st.DataObject, together: int) -> None:
    """The second way: each hyperparameter as a column of its own, looked at value by value."""
    optional = st.fixed_dictionaries({}, optional=MIXED)
    rows = data.draw(st.lists(optional, min_size=1, max_size=20))
    columns = {f"hp_{name}": pd.Series([row.get(name) for row in rows], dtype=object) for name in MIXED}
    expected = as_corpus(frame(len(rows), **columns))
    with patch.object(hparams, "TOGETHER", together):
        found = as_corpus(frame(len(rows), hparams=pd.Series(rows, dtype=object)))
    pd.testing.assert_frame_equal(found.runs, expected.runs)
    assert found.summary.refused == expected.summary.refused


def test_flags_among_numbers_are_noticed() -> None:
    """Packed, True is 1.0."""
    rows = [{"a": 0.5, "b": 2.5, "c": 3}, {"a": 1.0, "b": True, "c": False}]
    runs = as_corpus(frame(hparams=rows)).runs
    assert runs["hp_a"].tolist() == [0.5, 1.0]
    assert [runs["hp_b"].tolist(), runs["hp_c"].tolist()] == [["2.5", "True"], ["3", "False"]]


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3)
ANYTHING |= st.just([1]) | st.just({"a": 1}) | st.just(np.float32(2.5)) | st.just(1j)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(0, 5))
def test_any_table_becomes_a_corpus_that_accounts_for_every_row(data: st.DataObject, n: int) -> None:
    names = data.draw(st.sets(st.sampled_from([*COLUMNS, "hp_a", "hp_b", "other"])))
    columns = {name: pd.Series(data.draw(st.lists(ANYTHING, min_size=n, max_size=n)), dtype=object) for name in names}
    table = frame(n).drop(columns=list(names & {*frame()})).assign(**columns)
    corpus = as_corpus(table)
    assert len(corpus) + corpus.summary.refused_rows == n
    runs = corpus.runs
    assert runs[[*SETUP]].notna().to_numpy().all() and (runs["n_layers"] >= 1).all()
    assert runs["diverged"].dtype == bool and runs.loc[runs["eval_loss"].isna(), "diverged"].all()
    assert not (runs["eval_loss"].abs() > ABSURD_LOSS).any()
    again = as_corpus(runs)
    assert again.sha256 == corpus.sha256, "checking a checked table changes nothing"
    pd.testing.assert_frame_equal(again.runs, runs)
