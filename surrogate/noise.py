"""Seed noise: how far apart two runs of one configuration end.

Learned from configurations that a source trained with several seeds. With k seeds, the deviation of a run's loss score
from the configuration's mean, times sqrt(k / (k - 1)), has the variance of the noise itself. The noise depends on the
depth and on how good the configuration is, so the deviations are kept in cells of one task and similar depth, and there
in groups of similar mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import SETUP, hparam_columns

GROUPS: Final = 8
"""Groups of similar mean within a cell, at most."""
LEAST: Final = 40
"""Runs in a group, and in a cell, at least."""
POINTS: Final = 101
"""Quantiles of the deviations that are stored a group."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """The noise of one task up to some depth.

    Parameters
    ----------
    deepest : int
        Most layers; a task's last cell takes deeper ones, too.
    edges : ndarray of shape (n_groups - 1,)
        The limits between the groups on the loss score, ascending.
    deviations : ndarray of shape (n_groups, `POINTS`)
        Quantiles of the deviations at equidistant probabilities.
    """

    deepest: int
    edges: Floats
    deviations: Floats

    @classmethod
    def fit(cls, deepest: int, mean: Floats, deviation: Floats) -> Cell:
        """Learn from each run's deviation and its configuration's mean, shape (n_runs,) each."""
        groups = min(GROUPS, len(mean) // LEAST)
        edges = np.unique(np.quantile(mean, np.arange(1, groups) / groups))
        group = np.searchsorted(edges, mean)
        at = np.linspace(0, 1, POINTS)
        everyone = np.quantile(deviation, at)
        rows = [
            np.quantile(deviation[group == g], at) if (group == g).any() else everyone for g in range(len(edges) + 1)
        ]
        return cls(deepest, edges, np.stack(rows))

    def quantiles(self, scores: Floats, probability: Floats) -> Floats:
        """Return the deviation of this probability at each score; shape (n_rows,) in and out."""
        group, place = np.searchsorted(self.edges, scores), probability * (POINTS - 1)
        below = place.astype(int)
        low, high = self.deviations[group, below], self.deviations[group, np.minimum(below + 1, POINTS - 1)]
        return np.asarray(low + (place - below) * (high - low))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"deepest": self.deepest, "edges": self.edges.tolist(), "deviations": self.deviations.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Cell:
        """Rebuild from `to_dict`, or from its JSON."""
        edges, deviations = (np.asarray(data[key], dtype=float) for key in ("edges", "deviations"))
        return cls(int(data["deepest"]), edges, deviations)


@dataclass(frozen=True)
class SeedNoise:
    """The distribution of a run's loss score around that of its configuration, by task, depth and level.

    Parameters
    ----------
    cells : dict
        Task to its cells, shallow ones first.
    """

    cells: dict[str, tuple[Cell, ...]]

    @classmethod
    def fit(cls, runs: pd.DataFrame, scores: Floats) -> SeedNoise:
        """Learn from a table of runs and their loss scores of shape (n_runs,). Tasks with few repeats are left out."""
        keys = repeated_runs(runs).to_numpy()
        rows = np.flatnonzero(keys >= 0)
        count = np.bincount(keys[rows])[keys[rows]]
        mean = (np.bincount(keys[rows], scores[rows]))[keys[rows]] / count
        deviation = (scores[rows] - mean) * np.sqrt(count / (count - 1))
        tasks, depths = runs["task_type"].to_numpy(str)[rows], runs["n_layers"].to_numpy(np.int64)[rows]
        cells = {}
        for task in np.unique(tasks):
            mine = tasks == task
            found = [
                Cell.fit(int(depths[mine][part].max()), mean[mine][part], deviation[mine][part])
                for part in _parts(depths[mine])
            ]
            if found:
                cells[str(task)] = tuple(found)
        return cls(cells)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks whose noise is known."""
        return tuple(self.cells)

    def draw(self, scores: Floats, tasks: NDArray[Any], depths: NDArray[Any], rng: np.random.Generator) -> Floats:
        """Return scores with the noise of one seed each.

        Parameters
        ----------
        scores : ndarray of shape (n_rows,)
            Loss scores of configurations.
        tasks, depths : ndarray of shape (n_rows,)
        rng : Generator

        Raises
        ------
        ValueError
            The corpus has too few repeated configurations of a task.
        """
        unknown = sorted(set(map(str, tasks)) - set(self.cells))
        if unknown:
            raise ValueError(
                f"The seed noise of {', '.join(unknown)} is unknown: the corpus holds fewer than {LEAST} runs of "
                f"configurations that were trained with several seeds. Known: {', '.join(self.cells) or 'none'}."
            )
        out, chance = np.array(scores, dtype=np.float64), rng.random(len(scores))
        names, depths = np.asarray(tasks, dtype=str), np.asarray(depths)
        for task in np.unique(names):
            cells = self.cells[str(task)]
            place = np.searchsorted([cell.deepest for cell in cells[:-1]], depths)
            for number, cell in enumerate(cells):
                mine = (names == task) & (place == number)
                out[mine] += cell.quantiles(out[mine], chance[mine])
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {task: [cell.to_dict() for cell in cells] for task, cells in self.cells.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SeedNoise:
        """Rebuild from `to_dict`, or from its JSON."""
        return cls({task: tuple(Cell.from_dict(cell) for cell in cells) for task, cells in data.items()})


def _parts(depths: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Yield masks of rows of neighbouring depths, shallow ones first, of `LEAST` rows or more each."""
    left = np.ones(len(depths), dtype=bool)
    for depth in np.unique(depths):
        part = left & (depths <= depth)
        if part.sum() >= LEAST and not 0 < (left & ~part).sum() < LEAST:
            yield part
            left &= ~part


def repeated_runs(runs: pd.DataFrame) -> pd.Series:
    """Number the configurations that one source trained several times in one setup; -1 for all other runs.

    Numbers are consecutive from 0. Shape (n_runs,).
    """
    columns = [*SETUP, *(["source"] if "source" in runs else []), *hparam_columns(runs.columns)]
    keys = runs.groupby(columns, dropna=False, sort=False).ngroup()
    keys = keys.where(keys.map(keys.value_counts()) > 1)
    return pd.Series(pd.factorize(keys)[0], index=runs.index)
