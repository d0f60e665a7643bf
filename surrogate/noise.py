"""Seed noise: how far apart two runs of one configuration end.

Learned from configurations that a source trained with several seeds. With k seeds, the deviation of a run's loss score
from the configuration's mean, times sqrt(k / (k - 1)), has the variance of the noise itself. The noise depends on how
good the configuration is, so the deviations are kept in groups of the same task and similar mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import SETUP, hparam_columns

GROUPS: Final = 8
"""Groups of similar mean within a task, at most."""
LEAST: Final = 40
"""Runs in a group, at least."""
POINTS: Final = 101
"""Quantiles of the deviations that are stored a group."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeedNoise:
    """The distribution of a run's loss score around that of its configuration, by task and level.

    Parameters
    ----------
    edges : dict
        Task to the limits between its groups on the loss score, ascending.
    deviations : dict
        Task to an array of shape (n_groups, `POINTS`): quantiles of the deviations at equidistant probabilities.
    """

    edges: dict[str, Floats]
    deviations: dict[str, Floats]

    @classmethod
    def fit(cls, runs: pd.DataFrame, scores: Floats) -> SeedNoise:
        """Learn from a table of runs and their loss scores of shape (n_runs,). Tasks with few repeats are left out."""
        repeats = repeated_runs(runs)
        keys = repeats.to_numpy()
        rows = np.flatnonzero(keys >= 0)
        count = np.bincount(keys[rows])[keys[rows]]
        mean = (np.bincount(keys[rows], scores[rows]))[keys[rows]] / count
        deviation = (scores[rows] - mean) * np.sqrt(count / (count - 1))
        tasks = runs["task_type"].to_numpy(str)[rows]
        edges, deviations = {}, {}
        for task in np.unique(tasks):
            mine = tasks == task
            groups = min(GROUPS, mine.sum() // LEAST)
            if groups:
                edges[str(task)], deviations[str(task)] = _group(mean[mine], deviation[mine], groups)
        return cls(edges, deviations)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks whose noise is known."""
        return tuple(self.edges)

    def draw(self, scores: Floats, tasks: NDArray[Any], rng: np.random.Generator) -> Floats:
        """Return scores with the noise of one seed each.

        Parameters
        ----------
        scores : ndarray of shape (n_rows,)
            Loss scores of configurations.
        tasks : ndarray of shape (n_rows,)
        rng : Generator

        Raises
        ------
        ValueError
            The corpus has too few repeated configurations of a task.
        """
        unknown = sorted(set(map(str, tasks)) - set(self.edges))
        if unknown:
            raise ValueError(
                f"The seed noise of {', '.join(unknown)} is unknown: the corpus holds fewer than {LEAST} runs of "
                f"configurations that were trained with several seeds. Known: {', '.join(self.edges) or 'none'}."
            )
        out, chance = np.array(scores, dtype=np.float64), rng.random(len(scores))
        for task in set(map(str, tasks)):
            mine = np.flatnonzero(np.asarray(tasks, dtype=str) == task)
            group = np.searchsorted(self.edges[task], out[mine])
            place = chance[mine] * (POINTS - 1)
            below = place.astype(int)
            table = self.deviations[task]
            low, high = table[group, below], table[group, np.minimum(below + 1, POINTS - 1)]
            out[mine] += low + (place - below) * (high - low)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            task: {"edges": self.edges[task].tolist(), "deviations": self.deviations[task].tolist()}
            for task in self.edges
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SeedNoise:
        """Rebuild from `to_dict`, or from its JSON."""
        return cls(*({task: np.asarray(entry[key], dtype=float) for task, entry in data.items()} for key in _KEYS))


_KEYS: Final = ("edges", "deviations")


def repeated_runs(runs: pd.DataFrame) -> pd.Series:
    """Number the configurations that one source trained several times in one setup; -1 for all other runs.

    Numbers are consecutive from 0. Shape (n_runs,).
    """
    columns = [*SETUP, *(["source"] if "source" in runs else []), *hparam_columns(runs.columns)]
    keys = runs.groupby(columns, dropna=False, sort=False).ngroup()
    keys = keys.where(keys.map(keys.value_counts()) > 1)
    return pd.Series(pd.factorize(keys)[0], index=runs.index)


def _group(mean: Floats, deviation: Floats, groups: int) -> tuple[Floats, Floats]:
    edges = np.unique(np.quantile(mean, np.arange(1, groups) / groups))
    group = np.searchsorted(edges, mean)
    at = np.linspace(0, 1, POINTS)
    everyone = np.quantile(deviation, at)
    rows = [np.quantile(deviation[group == g], at) if (group == g).any() else everyone for g in range(len(edges) + 1)]
    return edges, np.stack(rows)
