"""Ways to part a corpus into what a surrogate may see and what it is judged on.

A split is a list of parts; each part has a name and the rows that it holds out. Splits depend on the corpus and the
seed alone. `split_table` writes them down by run, so that anyone can score the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.errors import did_you_mean
from ..corpus.schema import SETUP, hparam_columns
from .boosting import setup_folds

Rows = NDArray[np.bool_]
Parts = dict[str, Rows]
"""Name of each part to the rows that it holds out, masks of shape (n_runs,)."""
FOLDS: Final = 5
LONG: Final = 0.9
"""Runs with more training steps than this quantile of the corpus are the longest."""
STEPS: Final = "hp_train_steps"


def split_runs(runs: pd.DataFrame, name: str, seed: int = 0) -> Parts:
    """Return the parts of a split.

    Parameters
    ----------
    runs : DataFrame of n_runs rows
        In the corpus schema.
    name : str
        One of `SPLITS`.
    seed : int, default 0
        Of the random splits.

    Raises
    ------
    ValueError
        The name is unknown, or the corpus lacks what the split needs (several tasks, depths, ...).
    """
    if name not in SPLITS:
        raise ValueError(f"Unknown split {name!r}; known: {', '.join(SPLITS)}.{did_you_mean(name, SPLITS)}")
    parts = {part: rows for part, rows in SPLITS[name](runs, seed).items() if rows.any() and not rows.all()}
    if not parts:
        raise ValueError(f"The split {name!r} ({_about(name)}) does not part this corpus; leave it out.")
    return parts


def split_table(runs: pd.DataFrame, splits: dict[str, Parts]) -> pd.DataFrame:
    """Return one row a run: its `run_id`, and for each split the name of the part that holds it out, or null."""
    table = pd.DataFrame({"run_id": run_ids(runs)})
    for name, parts in splits.items():
        column = pd.Series(None, index=table.index, dtype="object")
        for part, rows in parts.items():
            column[rows] = part
        table[name] = column.astype("category")
    return table


def run_ids(runs: pd.DataFrame) -> NDArray[np.str_]:
    """Return an identifier of each run: 16 hexadecimal digits, from source, setup, seed, hyperparameters and losses.

    They do not depend on the order of rows. Runs that agree in all of it share theirs.
    """
    names = ["source", *SETUP, "seed", "eval_loss", "train_loss", *sorted(hparam_columns(runs.columns))]
    chosen = runs[[name for name in names if name in runs and runs[name].notna().any()]]
    plain = {name: chosen[name].astype(object).where(chosen[name].notna(), "").astype(str) for name in chosen}
    hashes = pd.util.hash_pandas_object(pd.DataFrame(plain), index=False, categorize=True)
    return np.array([f"{number:016x}" for number in hashes.to_numpy()])


def _at_random(runs: pd.DataFrame, seed: int) -> Parts:
    """Five folds of configurations, whatever their setup: no fold has another seed of what a part holds out."""
    codes = runs.groupby([*SETUP, *hparam_columns(runs.columns)], dropna=False, sort=False).ngroup().to_numpy()
    fold = (np.random.default_rng(seed).permutation(codes.max() + 1) % FOLDS)[codes]
    return {f"fold {index}": fold == index for index in range(FOLDS)}


def _by_setup(runs: pd.DataFrame, seed: int) -> Parts:
    """Five folds of setups."""
    return {f"fold {index}": rows for index, rows in enumerate(setup_folds(runs, FOLDS, seed))}


def _each(column: str) -> Callable[[pd.DataFrame, int], Parts]:
    def parts(runs: pd.DataFrame, seed: int) -> Parts:
        return {str(value): (runs[column] == value).to_numpy(bool) for value in sorted(runs[column].unique())}

    return parts


def _largest(column: str) -> Callable[[pd.DataFrame, int], Parts]:
    def parts(runs: pd.DataFrame, seed: int) -> Parts:
        """The largest value that at least a fiftieth of the runs reach, and all above it."""
        ordered = np.sort(runs[column].to_numpy(np.float64))
        limit = ordered[int(np.ceil(0.98 * len(ordered))) - 1]
        return {f"{limit:g} and more": runs[column].to_numpy(np.float64) >= limit}

    return parts


def _longest(runs: pd.DataFrame, seed: int) -> Parts:
    """The tenth of the runs with the most training steps."""
    if STEPS not in runs:
        return {}
    steps = runs[STEPS].to_numpy(np.float64, na_value=np.nan)
    limit = np.nanquantile(steps, LONG)
    return {f"above {limit:.0f} steps": steps > limit}


def _late(runs: pd.DataFrame, seed: int) -> Parts:
    """The second half of each source's tuning, where the source counted its iterations."""
    if "hyper_iter" not in runs:
        return {}
    iteration = runs["hyper_iter"].to_numpy(np.float64, na_value=np.nan)
    return {"second half": iteration > np.nanmedian(iteration)} if np.isfinite(iteration).any() else {}


SPLITS: Final[dict[str, Callable[[pd.DataFrame, int], Parts]]] = {
    "random": _at_random,
    "by-setup": _by_setup,
    "task": _each("task_type"),
    "architecture": _each("architecture"),
    "largest": _largest("max_params"),
    "deepest": _largest("n_layers"),
    "longest": _longest,
    "late": _late,
}
"""Name to function of (runs, seed): configurations within setups, setups, one task, one architecture, largest networks,
deepest networks, longest trainings, late iterations of the source's own tuner."""


def _about(name: str) -> str:
    return {"task": "leave one task out", "architecture": "leave one architecture out"}.get(name, f"{name} runs")
