"""How many inputs and outputs a task's networks have, read off the parameter counts of its runs.

No source records the sizes of its tasks' inputs and outputs, but the widths follow from them. They are found by trying:
the pair (inputs, outputs) under which the width formula of `architecture` gives the recorded num_params in the most
setups.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .architecture import ARCHITECTURES

LARGEST: Final = 320
"""Largest number of inputs or outputs that is tried (the paper's largest task has 300)."""

TaskSizes = dict[str, tuple[int, int]]


def infer_task_sizes(runs: pd.DataFrame) -> TaskSizes:
    """Return {task_type: (n_in, n_out)} for the tasks whose runs record `num_params`.

    A task is left out where no pair explains at least half of its setups. Among pairs that explain equally many, the
    one with the fewest inputs and outputs is taken: it gives the same widths in these setups.
    """
    columns = ["architecture", "task_type", "n_layers", "max_params", "num_params"]
    if "num_params" not in runs:
        return {}
    setups = runs[columns].dropna().drop_duplicates()
    setups = setups[setups["architecture"].isin(list(ARCHITECTURES))]
    found = {str(task): _best_pair(group) for task, group in setups.groupby("task_type")}
    return {task: pair for task, pair in found.items() if pair is not None}


def _best_pair(setups: pd.DataFrame) -> tuple[int, int] | None:
    tried = np.arange(1, LARGEST + 1)
    inputs, outputs = tried[:, None], tried[None, :]
    hits = sum(
        (_explained(str(name), group, inputs, outputs) for name, group in setups.groupby("architecture")),
        start=np.zeros((LARGEST, LARGEST), dtype=np.int64),
    )
    if hits.max() * 2 < len(setups):
        return None
    rows, columns = np.nonzero(hits == hits.max())
    first = np.argmin(rows + columns)
    return int(tried[rows[first]]), int(tried[columns[first]])


def _explained(
    name: str, setups: pd.DataFrame, inputs: NDArray[np.int64], outputs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Count, for every pair, the setups of one architecture whose num_params it reproduces."""
    cell = ARCHITECTURES[name]
    counts = np.zeros((LARGEST, LARGEST), dtype=np.int64)
    for layers, budget, recorded in zip(setups["n_layers"], setups["max_params"], setups["num_params"], strict=True):
        width = cell.width(budget, layers, inputs, outputs)
        counts += (cell.num_params(width, layers, inputs, outputs) == recorded) & (width > 0)
    return counts


def hidden_units(
    architecture: NDArray[np.object_],
    task: NDArray[np.object_],
    depth: NDArray[np.float64],
    params: NDArray[np.float64],
    sizes: TaskSizes,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (units a layer, trained parameters), each of shape (n_rows,); NaN where the formula has nothing to say."""
    width, count = np.full(len(params), np.nan), np.full(len(params), np.nan)
    for name in set(architecture) & set(ARCHITECTURES):
        for kind in set(task) & set(sizes):
            rows = (architecture == name) & (task == kind)
            cell, pair = ARCHITECTURES[name], sizes[kind]
            width[rows] = cell.width(params[rows], depth[rows], *pair)
            count[rows] = cell.num_params(width[rows], depth[rows], *pair)
    return width, count
