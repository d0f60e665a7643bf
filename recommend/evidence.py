"""The real runs nearest to a configuration, as the surrogate sees nearness."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..corpus import HP_PREFIX, SETUP, configurations
from ..surrogate import Surrogate
from ..surrogate.storage import RUNS

TREES: Final = 200
"""Trees of the rank model that are asked whether two configurations are alike: the first, which split on what matters
most."""
Table = dict[str, NDArray[Any]]


def nearest_runs(surrogate: Surrogate, runs: pd.DataFrame, rows: Table, n: int = 3) -> list[list[dict[str, Any]]]:
    """Return, for each query row, the n runs most like it, most alike first.

    The similarity of two configurations is the share of the rank model's first `TREES` trees that put them into one
    leaf (the proximity of Breiman 2001), from 0 to 1: what the model treats alike counts as near.

    Parameters
    ----------
    surrogate : Surrogate
        Its rank model is asked.
    runs : DataFrame of n_runs rows
        Candidates, in the corpus schema.
    rows : mapping
        Queries, as the encoder takes them, n_rows each.

    Returns
    -------
    list of list of dict
        ``source``, the setup, ``eval_loss`` (task's unit, None if it diverged), ``diverged``, ``similarity`` and
        ``hparams``.
    """
    if runs.empty:
        return [[] for _ in rows["architecture"]]
    model = surrogate.boosters.models["rank"]
    known, asked = (
        model.predict(surrogate.encoder.transform(table), pred_leaf=True, num_iteration=TREES) for table in (runs, rows)
    )
    similarity = np.array([(known == leaves).mean(axis=1) for leaves in asked])
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :n]
    return [_describe(runs.iloc[best], similarity[row, best]) for row, best in enumerate(order)]


def _describe(runs: pd.DataFrame, similarity: NDArray[np.float64]) -> list[dict[str, Any]]:
    setups = runs[["source", *SETUP, "eval_loss", "diverged"]].to_dict("records")
    hparams = configurations(runs)
    return [
        {
            **{str(name): value for name, value in setup.items()},
            "eval_loss": None if pd.isna(setup["eval_loss"]) else setup["eval_loss"],
            "similarity": float(share),
            "hparams": values,
        }
        for setup, share, values in zip(setups, similarity, hparams, strict=True)
    ]


def relevant_runs(models: str | os.PathLike[str] | None, architecture: str, task: str) -> pd.DataFrame:
    """Return the corpus's runs of an architecture on a task (of the task alone, if the architecture has none).

    Parameters
    ----------
    models : path or None
        A folder of models that brings its own runs; None, or a folder without runs, for the built-in corpus.
    """
    folder = None if models is None else Path(models) / RUNS
    if folder is not None and folder.exists():
        return _read(str(folder), architecture, task)
    with as_file(files("rnn_warmstart.corpus") / "data" / RUNS) as path:
        return _read(str(path), architecture, task)


@lru_cache(maxsize=32)
def _read(path: str, architecture: str, task: str) -> pd.DataFrame:
    table = pq.ParquetFile(path).read()
    table = table.filter(pc.equal(table["task_type"], task))
    both = table.filter(pc.equal(table["architecture"], architecture))
    runs = (both if both.num_rows else table).to_pandas(ignore_metadata=True, integer_object_nulls=True)
    return runs.loc[:, [not str(name).startswith(HP_PREFIX) or bool(runs[name].notna().any()) for name in runs]]
