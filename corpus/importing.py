"""Other people's runs: a foreign table and a map of its columns become a corpus."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from .archive import Progress, no_progress
from .checks import as_corpus
from .errors import CorpusError, printable
from .import_cells import convert, selected, spelled
from .import_map import Entry, ImportMap, check_names, named_hparam, read_map
from .import_tables import read_studies, read_table
from .schema import ABSURD_LOSS, LOSSES, SETUP, UNKNOWN_SIZE
from .table import Corpus
from .values import to_number

FINISHED: Final = ("COMPLETE", "FAIL")
"""States of the Optuna trials that are runs; an objective that returns NaN fails, so that a failed one diverged."""
DEFAULTS: Final = {
    "n_layers": Entry("n_layers", constant=1),
    "max_params": Entry("max_params", constant=UNKNOWN_SIZE),
}
"""What stands for columns that every run needs and the map does not name."""


def import_corpus(
    file: str | os.PathLike[str],
    mapping: ImportMap | str | os.PathLike[str],
    *,
    progress: Progress = no_progress,
) -> Corpus:
    """Turn a foreign table of runs into a corpus.

    Parameters
    ----------
    file : str or path
        CSV, TSV or JSON lines (``.gz``, ``.bz2``, ``.xz``, ``.zst`` too), Parquet, or the URL of an Optuna storage
        (``sqlite:///study.db``). The same runs give the same corpus, whatever holds them.
    mapping : ImportMap or path
        What its columns mean, or the TOML file that says so (see ``docs/import.md``).
    progress : callable, optional
        Called with (bytes done, bytes in all, name of the file), then with (columns done, columns in all, column).

    Returns
    -------
    Corpus
        Its losses are lower-is-better. Its `summary` says which columns and rows were left out, and what the map did
        not say.

    Raises
    ------
    CorpusError
        The file or the map is missing or damaged, they do not fit each other, a cell is not what its column needs, or
        no run is left.
    """
    mapping = mapping if isinstance(mapping, ImportMap) else read_map(mapping)
    frame, where, mapping = _read(file, mapping, progress)
    _check_fit(frame, where, mapping)
    rows = _keep(frame, where, mapping)
    columns = {}
    for done, (target, entry) in enumerate(mapping.entries.items()):
        progress(done, len(mapping.entries), entry.column or target)
        columns[target] = convert(entry, rows, where)
    runs = pd.DataFrame(columns, index=rows.index)
    notes = [*_left_out(frame, rows, mapping), *_left_open(runs, mapping)]
    runs = _lower_is_better(runs, where, mapping)
    corpus = as_corpus(runs, mapping.source, where=where, notes=notes)
    if not len(corpus):
        raise CorpusError(f"{where} gives no run: {corpus.summary}. Correct the map or the file.")
    return corpus


def _read(file: str | os.PathLike[str], mapping: ImportMap, progress: Progress) -> tuple[pd.DataFrame, str, ImportMap]:
    """Return the table, its name in messages, and the map with what goes without saying filled in."""
    if "://" in str(file):
        frame, directions = read_studies(str(file), mapping.studies)
        where, mapping = "the storage", _complete(mapping, frame, directions)
    else:
        if mapping.studies is not None:
            raise CorpusError(f"{mapping.where}: study is for an Optuna storage, but {file} is none; leave it out.")
        path = Path(file)
        frame, where = read_table(path, mapping.format, mapping.separator, progress), path.name
    return frame, where, replace(mapping, entries={**DEFAULTS, **mapping.entries})


def _complete(mapping: ImportMap, trials: pd.DataFrame, directions: set[str]) -> ImportMap:
    """Fill in what an Optuna storage itself says: loss, direction, iteration, hyperparameters, finished trials."""
    entries = {"hyper_iter": Entry("hyper_iter", column="number"), **mapping.entries}
    higher = mapping.higher_is_better
    if len(directions) == 1:
        entries = {"eval_loss": Entry("eval_loss", column="value"), **entries}
        higher = "maximize" in directions if higher is None else higher
    if higher is None:
        raise CorpusError(
            f"{mapping.where} must say higher_is_better = true or false: the studies have several objectives or go in "
            f"different directions."
        )
    if not any(entry.is_hparam for entry in entries.values()):
        params = [str(name) for name in trials if str(name).startswith("params_")]
        named = {named_hparam(name.removeprefix("params_"), mapping.where): name for name in params}
        entries |= {target: Entry(target, column=name) for target, name in named.items()}
    return replace(mapping, entries=entries, higher_is_better=higher, keep={"state": FINISHED, **mapping.keep})


def _check_fit(frame: pd.DataFrame, where: str, mapping: ImportMap) -> None:
    known = list(map(str, frame.columns))
    wanted = [entry.column for entry in mapping.entries.values() if entry.column is not None]
    advice = " (It has one column: set the separator in the map.)" if len(known) == 1 else ""
    check_names([*wanted, *mapping.keep], known, f"{mapping.where}: {where} has no column", f"columns{advice}")
    if "eval_loss" not in mapping.entries:
        raise CorpusError(f"{mapping.where}: [run] lacks eval_loss, the column of the final loss or score. "
                          f"{where} has {_listed(_unused(frame, mapping))}.")  # fmt: skip
    if not any(entry.is_hparam for entry in mapping.entries.values()):
        raise CorpusError(f"{mapping.where} lacks [hparams], the columns of the hyperparameters. "
                          f"{where} has {_listed(_unused(frame, mapping))}.")  # fmt: skip


def _unused(frame: pd.DataFrame, mapping: ImportMap) -> list[str]:
    used = {entry.column for entry in mapping.entries.values()} | set(mapping.keep)
    return [str(name) for name in frame if str(name) not in used]


def _listed(names: list[str]) -> str:
    return ", ".join(printable(repr(name)) for name in names) or "no other column"


def _keep(frame: pd.DataFrame, where: str, mapping: ImportMap) -> pd.DataFrame:
    """Return the rows that the map keeps."""
    kept = np.ones(len(frame), dtype=bool)
    for column, cells in mapping.keep.items():
        kept &= spelled(frame[column]).isin(cells).to_numpy()
    if not kept.any():
        asked = " and ".join(f"{column} is {' or '.join(map(repr, cells))}" for column, cells in mapping.keep.items())
        raise CorpusError(
            f"{where} has {len(frame):,} rows, and none to import" + (f": {asked} in none." if asked else ".")
        )
    return frame[kept].reset_index(drop=True)


def _lower_is_better(runs: pd.DataFrame, where: str, mapping: ImportMap) -> pd.DataFrame:
    """Return the runs with scores turned into losses: `perfect_score` minus the score."""
    if not mapping.higher_is_better:
        return runs
    perfect, losses = mapping.perfect_score, {}
    for name in LOSSES:
        if name in runs:
            score = to_number(runs[name])
            above = score[np.isfinite(score) & (score > (np.inf if perfect is None else perfect))]
            if len(above):
                raise CorpusError(
                    f"{where}: column {mapping.entries[name].column!r} ({name}) has {len(above):,} scores above "
                    f"perfect_score = {perfect:g}, the highest {above.max():g}; raise it (100 for percent), or leave "
                    f"it out: the loss is then the negative of the score."
                )
            losses[name] = (perfect or 0.0) - score
    return runs.assign(**losses)


def _left_out(frame: pd.DataFrame, rows: pd.DataFrame, mapping: ImportMap) -> list[str]:
    """Return notes on what of the table is not in the corpus, and on what of the map has no use."""
    notes, unused, dropped = [], _unused(frame, mapping), len(frame) - len(rows)
    if unused:
        notes.append(f"columns that the map does not use were left out: {', '.join(map(printable, unused))}")
    if dropped:
        notes.append(f"{dropped:,} rows that the map does not keep were left out")
    for entry in mapping.entries.values():
        found = set(spelled(selected(rows, entry)).dropna()) if entry.values else set()
        idle = [cell for cell in entry.values if cell not in found]
        if idle:
            notes.append(f"the values {', '.join(map(repr, idle))} of {entry.target} occur in no row")
    return notes


def _left_open(runs: pd.DataFrame, mapping: ImportMap) -> list[str]:
    """Return notes on what the map does not say, and on what makes a poor corpus."""
    notes = []
    if mapping.higher_is_better:
        perfect = mapping.perfect_score
        notes.append(f"losses are {'the negative of' if perfect is None else f'{perfect:g} minus'} the scores")
    if mapping.entries["max_params"].constant == UNKNOWN_SIZE:
        notes.append(f"without a size in the map, max_params is {UNKNOWN_SIZE} in every run")
    if mapping.entries["n_layers"] == DEFAULTS["n_layers"]:
        notes.append("without a depth in the map, n_layers is 1 in every run")
    loss = to_number(runs["eval_loss"])
    absurd = int((np.isfinite(loss) & (np.abs(loss) > ABSURD_LOSS)).sum())
    if absurd:
        notes.append(f"{absurd:,} losses are beyond {ABSURD_LOSS:,.0f} and count as diverged; a smaller unit avoids it")
    setups = len(runs[list(SETUP)].drop_duplicates())
    if 2 * setups > len(runs):
        notes.append("most setups have a single run, and runs are ranked within their setup: give max_params budgets")
    return notes
