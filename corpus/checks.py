"""From any table in the schema to a corpus: types, losses, divergence, refusals, duplicates.

Whether a run diverged is decided by its evaluation loss and by what the source says: a run diverged if its source says
so, or if its `eval_loss` is None, NaN, infinite or beyond `ABSURD_LOSS`. A missing training or validation loss alone
is only null. The finite loss of a run that its source calls diverged is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import CorpusError
from .hparams import expand, to_hyperparameter
from .schema import ABSURD_LOSS, COLUMNS, LOSSES, SETUP, hparam_columns
from .summary import Refusal, Summary
from .table import Corpus
from .values import as_objects, decode_text, integer_series, text_series, to_integer, to_number, to_text

DEFAULT_SOURCE = "user"
_TELLING: Final = 4
"""Columns that tell most runs apart."""
_SAMPLE: Final = 1000
"""One row in so many shows which columns have values."""
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio: a multiplication by it spreads bits."""


def as_corpus(
    frame: pd.DataFrame,
    source: str = DEFAULT_SOURCE,
    *,
    where: str = "table",
    notes: Sequence[str] = (),
    copy: bool = True,
) -> Corpus:
    """Check and normalise a table of runs.

    Parameters
    ----------
    frame : DataFrame
        One row a run, in the schema's columns (`COLUMNS`), any order, plus hyperparameters: ``hp_<name>`` columns, or
        else one column `hparams` of dicts or JSON text. It is not changed.
    source : str, default "user"
        Where the runs come from, for rows whose `source` is null or that have no such column.
    where : str, default "table"
        What to call the table in messages.
    notes : sequence of str
        Remarks of the reader, kept in the summary.
    copy : bool, default True
        False where nobody else uses `frame` any more: its memory then becomes the corpus's.

    Returns
    -------
    Corpus
        Every usable row; unusable ones are counted in its summary, with the reason.

    Raises
    ------
    CorpusError
        A required column is missing, a column is there twice, or `hparams` is not what it should be.
    """
    _check_columns(frame, where)
    frame = (frame.copy() if copy else frame).reset_index(drop=True)
    table = _Table(len(frame))
    _fill_schema(table, frame, source)
    dropped = _fill_hparams(table, frame, where)
    runs, refusals = table.finish(where)
    notes = [*notes, *([f"{where}: columns not in the schema were left out: {', '.join(dropped)}"] if dropped else [])]
    return Corpus(runs, summarise(runs, refusals, notes))


def _check_columns(frame: pd.DataFrame, where: str) -> None:
    required = [name for name, column in COLUMNS.items() if column.required]
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise CorpusError(f"{where} lacks the columns {', '.join(missing)}; a corpus needs {', '.join(required)}.")
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise CorpusError(f"{where} has the columns {', '.join(twice)} twice; each may be there once.")


class _Table:
    """The runs under construction: columns by name, and for each row the first rule that it breaks."""

    def __init__(self, rows: int) -> None:
        self.columns: dict[str, pd.Series] = {}
        self.why = np.zeros(rows, dtype=np.int64)
        self.reasons = [""]

    def refuse(self, rows: NDArray[np.bool_], why: str) -> None:
        if rows.any():
            self.why[rows & (self.why == 0)] = len(self.reasons)
            self.reasons.append(why)

    def finish(self, where: str) -> tuple[pd.DataFrame, list[Refusal]]:
        """Return the usable rows, and the refusals by reason."""
        counts = np.bincount(self.why, minlength=len(self.reasons))
        refusals = [Refusal(where, int(n), why) for n, why in zip(counts, self.reasons, strict=True) if why and n]
        runs = pd.DataFrame(self.columns, copy=False)
        if refusals:
            runs = _retyped(runs[self.why == 0].reset_index(drop=True))
        empty = [name for name in hparam_columns(runs) if runs[name].isna().all()]
        return runs.drop(columns=empty) if empty else runs, refusals


def _retyped(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with each nullable integer column that lost its last null as int64."""
    full = [name for name in runs if runs[name].dtype == "Int64" and runs[name].notna().all()]
    return runs.astype(dict.fromkeys(full, np.int64))


def _fill_schema(table: _Table, frame: pd.DataFrame, source: str) -> None:
    """Fill the schema's columns in their order; `source` and `diverged` always, others where the frame has them."""
    lost = _fill_losses(table, frame)
    losses = {name: table.columns.pop(name) for name in LOSSES if name in table.columns}
    for name, column in COLUMNS.items():
        if name == "source":
            table.columns[name] = _sources(frame, source)
        elif name == "diverged":
            table.columns[name] = pd.Series(lost | (_flags(frame[name]) if name in frame else False))
        elif name in LOSSES:
            table.columns.update({name: losses[name]} if name in losses else {})
        elif name in frame:
            _fill_column(table, name, column.kind, column.required, frame[name])


def _sources(frame: pd.DataFrame, source: str) -> pd.Series:
    """Return where each run comes from: as the table says, `source` where it does not."""
    if "source" not in frame:
        return text_series(as_objects([decode_text(source)]), np.zeros(len(frame), dtype=np.int64))
    given = to_text(frame["source"])
    return to_text(given.where(given.notna(), source)) if given.hasnans else given


def _fill_column(table: _Table, name: str, kind: str, required: bool, values: pd.Series) -> None:
    if kind == "text":
        table.columns[name] = to_text(values)
        usable = table.columns[name].notna().to_numpy()
    elif kind == "integer":
        whole, usable = to_integer(values, low=1 if required else 0)
        table.columns[name] = integer_series(whole, usable | required)
    else:
        number = to_number(values)
        usable = np.isfinite(number)
        table.columns[name] = pd.Series(np.where(usable, number, np.nan), copy=False)
    if required:
        table.refuse(~usable, f"{name} is {'not text' if kind == 'text' else 'not a whole number of at least 1'}")


def _fill_losses(table: _Table, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Fill the losses, null where they are not finite or absurd, and return where `eval_loss` is null."""
    for name in LOSSES:
        if name in frame:
            loss = to_number(frame[name])
            with np.errstate(invalid="ignore"):
                table.columns[name] = pd.Series(np.where(np.abs(loss) <= ABSURD_LOSS, loss, np.nan), copy=False)
    return table.columns["eval_loss"].isna().to_numpy()


def _flags(values: pd.Series) -> NDArray[np.bool_]:
    """Return a column of flags; null is False."""
    if values.dtype == bool:
        return values.to_numpy()
    number = to_number(values)
    return np.isfinite(number) & (number != 0)


def _fill_hparams(table: _Table, frame: pd.DataFrame, where: str) -> list[str]:
    """Fill the ``hp_`` columns, and return the names of the columns that are not part of a corpus."""
    own = sorted(hparam_columns(frame))
    if not own and "hparams" in frame:
        values = expand(_parsed(frame["hparams"], table, where))
    else:
        values = frame
    for name in sorted(hparam_columns(values)):
        table.columns[name], unusable = to_hyperparameter(values[name])
        table.refuse(unusable, f"{name} is infinite, or neither number nor text")
    return [str(name) for name in frame if name not in COLUMNS and name not in own and name != "hparams"]


def _parsed(cells: pd.Series, table: _Table, where: str) -> list[object]:
    """Return dicts from dicts or JSON text; rows with anything else are refused (null: no hyperparameters)."""
    objects = as_objects(cells)
    try:
        parsed = [json.loads(cell) if isinstance(cell, str | bytes) else cell for cell in objects]
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: a cell of hparams is not valid JSON: {error}") from error
    null = np.asarray(pd.isna(objects))
    table.refuse(~null & np.array([not isinstance(cell, dict) for cell in parsed], dtype=bool), "hparams is not a dict")
    return parsed


def summarise(runs: pd.DataFrame, refused: Sequence[Refusal] = (), notes: Sequence[str] = ()) -> Summary:
    """Count what a normalised table holds."""
    duplicates, contradictory = _count_repeats(runs)
    counts: dict[str, dict[str, int]] = {}
    sizes = runs.groupby(list(SETUP), sort=True).size()
    by_task = sizes.groupby(["architecture", "task_type"], sort=True).sum().rename("runs").reset_index()
    for architecture, task, rows in by_task.itertuples(index=False):
        counts.setdefault(architecture, {})[task] = int(rows)
    diverged = int(runs["diverged"].sum())
    return Summary(len(runs), len(sizes), diverged, duplicates, contradictory, tuple(refused), tuple(notes), counts)


def _count_repeats(runs: pd.DataFrame) -> tuple[int, int]:
    """Return the number of rows that repeat an earlier one, and of rows that contradict another one."""
    names = ["source", *SETUP, *hparam_columns(runs), *(["seed"] if "seed" in runs else [])]
    runs = _suspects(runs, names)
    seeded = runs["seed"].notna().to_numpy() if "seed" in runs else np.zeros(len(runs), dtype=bool)
    tried = runs["hyper_iter"].notna().to_numpy() if "hyper_iter" in runs else np.zeros(len(runs), dtype=bool)
    who = row_hashes(runs, names)
    if "hyper_iter" in runs:
        who = np.where(seeded, who, who ^ row_hashes(runs, ["hyper_iter"]))
    same = who ^ row_hashes(runs, [*(name for name in LOSSES if name in runs), "diverged"])
    repeats = pd.Series(same).duplicated().to_numpy()
    contradictory = pd.Series(who[~repeats & (seeded | tried)]).duplicated(keep=False)
    return int(repeats.sum()), int(contradictory.sum())


def _suspects(runs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the rows that agree with another row in a few of these columns: nearly none, where they hold numbers."""
    numbers = [name for name in names if runs[name].dtype.kind == "f"]
    telling = sorted(numbers, key=lambda name: runs[name].iloc[::_SAMPLE].isna().to_numpy().sum())[:_TELLING]
    total = np.zeros(len(runs), dtype=np.uint64)
    for name in telling:
        total = (total ^ (runs[name].to_numpy() + 0.0).view(np.uint64)) * _ODD
        total ^= total >> np.uint64(32)
    return runs[pd.Series(total).duplicated(keep=False).to_numpy()]


def row_hashes(runs: pd.DataFrame, columns: Iterable[str]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row's values in these columns; equal rows have equal hashes.

    Among 630,880 rows two different ones share a hash with probability 1e-8.
    """
    total = np.zeros(len(runs), dtype=np.uint64)
    for name in columns:
        salt = pd.util.hash_array(np.array([name], dtype=object))[0]
        total = (total ^ (_value_hashes(runs[name]) + salt)) * _ODD
    return total


def _value_hashes(values: pd.Series) -> NDArray[np.uint64]:
    if values.dtype.kind in "fiub":
        return pd.util.hash_array(values.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0)
    codes, uniques = pd.factorize(values)
    return np.append(pd.util.hash_array(as_objects(uniques)), np.uint64(0))[codes]
