"""The surrogate, asked about random configurations of a corpus's setups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from ..corpus.schema import SETUP
from ..recommend.forecast import query_rows
from ..recommend.limits import Limits
from ..recommend.query import Query, build_query
from ..surrogate import Surrogate
from ..surrogate.model import ranking_score
from .sample import Floats, Sample, mean_and_error
from .sensitivity import Indices, latin_hypercube, sobol_indices

SETUPS: Final = 180
"""Setups that a sample is drawn from, at most."""
CONFIGURATIONS: Final = (100, 1000)
"""Random configurations of each: fewest, and most where there are fewer setups."""
BATCH: Final = 24
"""Setups in one call of the surrogate."""
STUDIED: Final = 72
"""Setups whose importance is computed, at most: the first of the same order."""
PAIRS: Final = (32, 512)
"""Pairs of configurations for the importance in each: fewest, and most where there are fewer setups."""
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Probe:
    """Asks a surrogate about setups.

    Parameters
    ----------
    surrogate : Surrogate
    setups : DataFrame
        One row a setup that the surrogate covers, in the order in which they are asked about.
    seed : int
        Of the random configurations.
    """

    surrogate: Surrogate
    setups: pd.DataFrame
    seed: int = 0

    @classmethod
    def of(cls, surrogate: Surrogate, runs: pd.DataFrame, seed: int = 0) -> Probe:
        """Choose among the setups of a corpus's runs: at random, architectures and tasks in turn.

        Setups of an architecture, or of a task with an architecture, that the surrogate has not seen are left out.
        """
        known = {(arch, task) for arch, entry in surrogate.coverage.architectures.items() for task in entry.tasks}
        setups = runs[list(SETUP)].drop_duplicates()
        pairs = pd.MultiIndex.from_frame(setups[list(SETUP[:2])])
        setups = setups[pairs.isin(known)].sort_values(list(SETUP)).sample(frac=1, random_state=seed)
        turn = setups.groupby(list(SETUP[:2])).cumcount()
        chosen = turn.sort_values(kind="stable").index[:SETUPS]
        return cls(surrogate, setups.loc[chosen].reset_index(drop=True), seed)

    def sample(self, progress: Progress | None = None) -> Sample:
        """Return random configurations of every setup, ranked by the surrogate within it."""
        tables, scores, encoder = [], [], self.surrogate.encoder
        size = _each(CONFIGURATIONS, SETUPS, len(self.setups))
        for number, query in enumerate(self._queries(len(self.setups))):
            units = latin_hypercube(size, len(query.space.dimensions), self._rng(number, 0))
            tables.append(pd.DataFrame(query_rows(query, units)))
        for start in range(0, len(tables), BATCH):
            batch = pd.concat(tables[start : start + BATCH], ignore_index=True)
            scores.append(self.surrogate.score(encoder.transform(batch)))
            _report(progress, start + BATCH, len(tables))
        by_setup = np.concatenate(scores).reshape(-1, size)
        ranks = np.argsort(np.argsort(by_setup, axis=1, kind="stable"), axis=1, kind="stable")
        table = pd.concat(tables, ignore_index=True).astype(dict.fromkeys(SETUP[2:], np.int64))
        return Sample(table, (ranks.reshape(-1) + 0.5) / size)

    def importance(self, progress: Progress | None = None) -> pd.DataFrame:
        """Return Sobol's effects of every hyperparameter on the ranking score, averaged over setups.

        A hyperparameter that exists only under a condition counts with 0 where it does not exist.

        Returns
        -------
        DataFrame
            Indexed by the hyperparameter: ``total`` and ``main`` (mean effects), ``total_se``, ``main_se`` (standard
            errors over setups), ``trees`` (the total effect by the surrogate's trees alone: a second opinion),
            ``setups`` (that have it and where it varies).
        """
        found: dict[str, list[tuple[float, ...]]] = {}
        studied = min(STUDIED, len(self.setups))
        pairs = _each(PAIRS, STUDIED, studied)
        for number, query in enumerate(self._queries(studied)):
            indices = self._indices(query, pairs, number)
            values = np.vstack([indices.total, indices.main[:1]]).T
            for dimension, row in zip(query.space.dimensions, values, strict=True):
                found.setdefault(dimension.name, []).append(tuple(row))
            _report(progress, number + 1, studied)
        return pd.DataFrame.from_dict(
            {name: _summary(np.array(rows)) for name, rows in found.items()},
            orient="index",
            columns=["total", "total_se", "main", "main_se", "trees", "setups"],
        )

    def _indices(self, query: Query, pairs: int, number: int) -> Indices:
        def judge(units: Floats) -> Floats:
            return score_twice(self.surrogate, self.surrogate.encoder.transform(query_rows(query, units)))

        return sobol_indices(judge, len(query.space.dimensions), pairs, self._rng(number, 1))

    def _queries(self, first: int) -> list[Query]:
        asked = self.setups[:first].itertuples(index=False, name=None)
        return [
            build_query(self.surrogate, arch, task, params, int(depth), 1, Limits(), self.seed)
            for arch, task, depth, params in asked
        ]

    def _rng(self, number: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, purpose])


def score_twice(surrogate: Surrogate, matrix: Floats) -> Floats:
    """Return the surrogate's ranking score and that of its trees alone, shape (n_rows, 2), for a feature matrix."""
    trees = (surrogate.boosters.predict(name, matrix) for name in ("rank", "loss"))
    return np.column_stack([surrogate.score(matrix), ranking_score(*trees)])


def _summary(values: Floats) -> list[float]:
    (total, error, n), (main, main_error, _) = mean_and_error(values[:, 0]), mean_and_error(values[:, 2])
    return [total, error, main, main_error, mean_and_error(values[:, 1])[0], n]


def _each(limits: tuple[int, int], setups: int, asked: int) -> int:
    """Return how many of each setup: the fewest where all `setups` are asked about, more where there are fewer."""
    fewest, most = limits
    return min(most, fewest * setups // asked)


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(min(done / total, 1.0))
