"""What the surrogate says of points of a query's space: on one task, or on several with their mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..features.coverage import STEPS
from ..features.dimension import Floats
from ..features.space import DEPTH, as_rows
from ..surrogate import Surrogate
from ..surrogate.model import ranking_score
from .query import Query

OPINION: Final = 0.25
"""Weight of the trees in the judgement of the best points found."""
SMALL: Final = 3000
"""Fewer runs make a small corpus: networks take few steps on it, and miss bends that trees see."""
HALF: Final = 0.5


def query_rows(query: Query, units: Floats) -> dict[str, NDArray[Any]]:
    """Turn points of the query's space into rows for the encoder, moved to the nearest that the corpus covers.

    With several tasks there are as many blocks of rows, one a task, in the order of the query's weights. A task's rows
    lack the hyperparameters that it does not have.
    """
    tasks = np.repeat(np.array(list(query.weights), dtype=object), len(units))
    columns = {name: np.tile(values, len(query.weights)) for name, values in query.space.columns(units).items()}
    near = dict(query.covered_depths)
    asked = columns[DEPTH] if DEPTH in columns else np.full(len(tasks), query.covered_depths[0][0])
    depth = np.array([near[int(layers)] for layers in asked], dtype=np.float64)
    if STEPS in columns and query.covered_steps is not None:
        columns[STEPS] = np.clip(columns[STEPS].astype(np.float64), *query.covered_steps)
    for name, owners in query.owners.items():
        columns[name] = columns[name].astype(object)
        columns[name][~np.isin(tasks, owners)] = None
    rows = as_rows(columns, query.architecture, query.task, depth, query.covered_params)
    return rows | {"task_type": tasks}


def scores(surrogate: Surrogate, query: Query, units: Floats) -> Floats:
    """Return the ranking score of each point, with several tasks the weighted mean of theirs; shape (n,).

    Every task's score is a normal score within that task, so that no task's unit outweighs another's. Of a small
    corpus's networks the trees' opinion is asked everywhere, with `HALF` of the weight.
    """
    matrix = surrogate.encoder.transform(query_rows(query, units))
    found = surrogate.score(matrix)
    if _is_small(surrogate):
        found = found + HALF * (_trees(surrogate, matrix) - found)
    return _mean(query, found.reshape(len(query.weights), len(units)))


def second_opinions(surrogate: Surrogate, query: Query, units: Floats) -> Floats:
    """Return by how much the trees, with `OPINION` of the weight, move the ranking score of each point; shape (n,).

    The networks' scores are quick and rank best, but the best of thousands of points is where they err most in its
    favour. Models of another kind do not err in the same places. 0 where `scores` has asked the trees already.
    """
    if _is_small(surrogate):
        return np.zeros(len(units))
    matrix = surrogate.encoder.transform(query_rows(query, units))
    moved = OPINION * (_trees(surrogate, matrix) - surrogate.score(matrix))
    return _mean(query, moved.reshape(len(query.weights), len(units)))


def _is_small(surrogate: Surrogate) -> bool:
    return int(surrogate.corpus.get("rows", SMALL)) < SMALL


def _trees(surrogate: Surrogate, matrix: Floats) -> Floats:
    return ranking_score(*(surrogate.boosters.predict(name, matrix) for name in ("rank", "loss")))


@dataclass(frozen=True)
class Forecast:
    """All that the surrogate says of n points.

    Parameters
    ----------
    query : Query
        Where the tasks and their weights come from.
    tables : dict
        Task to what `Surrogate.predict` returns, n rows each.
    typical : dict
        Task to the median loss of the corpus's runs on it.
    """

    query: Query
    tables: dict[str, pd.DataFrame]
    typical: dict[str, float]

    @classmethod
    def of(cls, surrogate: Surrogate, query: Query, units: Floats) -> Forecast:
        """Ask the surrogate, in one call, about points of shape (n, n_dimensions)."""
        found, n = surrogate.predict(query_rows(query, units)), len(units)
        blocks = (found.iloc[block * n : (block + 1) * n] for block in range(len(query.weights)))
        tables = {task: block.reset_index(drop=True) for task, block in zip(query.weights, blocks, strict=True)}
        for task, table in tables.items():
            if table["predicted_loss"].isna().any():
                raise ValueError(
                    f"Every run on {task} in the corpus diverged, so no loss can be predicted; choose another task, or "
                    f"fit on runs that did not."
                )
        tasks = np.array(list(tables), dtype=object)
        typical = surrogate.scale.losses(np.zeros(len(tasks)), tasks)
        return cls(query, tables, dict(zip(tables, typical.tolist(), strict=True)))

    def mean(self, column: str) -> Floats:
        """Return a column's weighted mean over the tasks, shape (n,)."""
        return _mean(self.query, np.stack([table[column].to_numpy(np.float64) for table in self.tables.values()]))

    @property
    def has_unit(self) -> bool:
        """Whether there is one task only: losses of several have no unit in common."""
        return len(self.tables) == 1

    def part(self, rows: slice) -> Forecast:
        """Return the forecast of some of the points."""
        tables = {task: table[rows].reset_index(drop=True) for task, table in self.tables.items()}
        return replace(self, tables=tables)


def _mean(query: Query, values: Floats) -> Floats:
    return np.asarray(np.array(list(query.weights.values())) @ values, dtype=np.float64)
