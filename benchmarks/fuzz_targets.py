"""What the fuzz harness reads: for each kind of file, how it is read, and what a correct result is.

A check returns quietly after a correct result, or raises. `DOCUMENTED` are the errors that reading may end in; all else
is a finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from rnn_warmstart.commands.question import read_task
from rnn_warmstart.corpus import (
    COLUMNS,
    HP_PREFIX,
    LOSSES,
    Corpus,
    CorpusError,
    import_corpus,
    read_corpus,
    write_parquet,
)
from rnn_warmstart.corpus.files import load_builtin
from rnn_warmstart.corpus.schema import ABSURD_LOSS
from rnn_warmstart.recommend.task_spec import DESCRIBED
from rnn_warmstart.surrogate.storage import ModelError, load_surrogate

DOCUMENTED: Final = (CorpusError, ModelError)
MAP: Final = """source = "elsewhere"
[run]
architecture = "cell"
task_type = "task"
eval_loss = "loss"
[hparams]
lr_init = "lr"
optimizer = "opt"
size = { column = "sizes", item = 0 }
"""
"""The map for foreign tables."""
TABLE: Final = """cell,task,loss,lr,opt,sizes,note
gru,text8,1.5,0.01,Adam,"[32, 16]",a
lstm,text8,nan,0.1,SGD,"[64]",b
lstm,rcf,0.25,1e-3,Adam,"[8, 8]",
"""
"""The table for maps."""


STORAGE_MAP: Final = """source = "optuna"
[run]
architecture = { constant = "gru" }
task_type = { constant = "text8" }
"""
"""The map for storages of one objective."""


class WrongResult(AssertionError):
    """What was read is not a correct corpus."""


def check_corpus(path: Path) -> None:
    """Read a file as a corpus."""
    verify(read_corpus(path), path.parent)


def check_import(path: Path) -> None:
    """Read a file as a foreign table."""
    mapping = path.with_name("fixed.toml")
    mapping.write_text(MAP)
    try:
        verify(import_corpus(path, mapping), path.parent)
    finally:
        mapping.unlink()


def check_parquet(path: Path) -> None:
    """Read a Parquet file as a corpus, and as a foreign table."""
    try:
        check_corpus(path)
    except CorpusError:
        check_import(path)


def check_map(path: Path) -> None:
    """Read a file as the map of a table."""
    table = path.with_name("fixed.csv")
    table.write_text(TABLE)
    try:
        verify(import_corpus(table, path), path.parent)
    finally:
        table.unlink()


def check_spec(path: Path) -> None:
    """Read a file as the description of a task, as the commands do."""
    try:
        shares = read_task(str(path)).weights(DESCRIBED)  # type: ignore[union-attr]
    except ValueError as error:
        raise CorpusError(str(error)) from None
    _expect(abs(sum(shares.values()) - 1) < 1e-9, "shares that do not sum to 1")


def check_storage(path: Path) -> None:
    """Read a file as an Optuna storage."""
    mapping = path.with_name("fixed.toml")
    mapping.write_text(STORAGE_MAP)
    try:
        verify(import_corpus(f"sqlite:///{path}", mapping), path.parent)
    finally:
        mapping.unlink()


def check_models(path: Path) -> None:
    """Read a folder of models, and predict what some built-in runs give."""
    surrogate = load_surrogate(path)
    found = surrogate.predict(_some_runs())
    if len(found) != len(_some_runs()):
        raise WrongResult("predictions of another number of runs")


def _some_runs() -> pd.DataFrame:
    if "runs" not in _CACHE:
        runs = load_builtin().runs
        _CACHE["runs"] = runs[(runs["source"] == "lab") & (runs["hyper_iter"] == 0)].head(50).reset_index(drop=True)
    return _CACHE["runs"]


_CACHE: Final[dict[str, pd.DataFrame]] = {}


def verify(corpus: Corpus, folder: Path) -> None:
    """Raise WrongResult if a corpus breaks what its documentation says."""
    runs = corpus.runs
    _expect(len(runs) == corpus.summary.rows, "the summary counts other rows")
    for name in runs.columns:
        _expect(name in COLUMNS or name.startswith(HP_PREFIX), f"column {name!r}")
    for name in (name for name, column in COLUMNS.items() if column.required and column.kind != "number"):
        _expect(bool(runs[name].notna().all()), f"null in {name}")
    for name in (name for name in LOSSES if name in runs):
        loss = runs[name].dropna().to_numpy(np.float64)
        _expect(bool((np.abs(loss) <= ABSURD_LOSS).all()), f"absurd {name}")
    _expect(bool(runs.loc[runs["eval_loss"].isna(), "diverged"].all()), "a run without a loss that did not diverge")
    json.dumps(corpus.summary.to_dict())
    again = folder / "again.parquet"
    try:
        write_parquet(corpus, again)
        _expect(not len(runs) or read_corpus(again).sha256 == corpus.sha256, "another corpus after writing it")
    finally:
        again.unlink(missing_ok=True)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise WrongResult(what)


CHECKS: Final[dict[str, Callable[[Path], None]]] = {
    "archive": check_corpus,
    "pickle": check_corpus,
    "parquet": check_parquet,
    "json": check_import,
    "map": check_map,
    "spec": check_spec,
    "storage": check_storage,
    "models": check_models,
}
"""Target to what reads one of its files."""
SUFFIXES: Final = {
    "archive": ".tar.gz", "pickle": ".p", "parquet": ".parquet", "json": ".jsonl", "map": ".toml", "spec": ".toml",
    "storage": ".db", "models": "",
}  # fmt: skip
