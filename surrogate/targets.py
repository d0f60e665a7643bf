"""What the models are fitted on: losses turned into normal scores.

Losses have heavy tails, and a loss of 0.5 is good in one task and poor in another. So no model sees a loss:

- the *rank score* of a run is the normal score of its rank within its setup, Phi^-1((rank - 1/2) / n), with rank 1 the
  lowest loss of n and ties sharing their mean rank; a diverged run ranks behind every other. Ranks are among the
  setup's random runs: one that was chosen (`corpus.schema.CHOSEN`) gets Phi^-1 of the share of random runs that are
  better, ties counting half, kept half a step inside (0, 1), and changes no other run's rank;
- the *loss score* is the same within the task, over all setups. It keeps what distinguishes setups (a deeper network, a
  larger budget), and it goes back to a loss through the task's own quantiles.

Both are lower for better runs and have about mean 0 and variance 1. Phi is the standard normal distribution function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from ..corpus.schema import CHOSEN, SETUP

KNOTS: Final = 401
"""Points at which a task's distribution of losses is stored."""


def usable_loss(runs: pd.DataFrame) -> NDArray[np.float64]:
    """Return eval_loss with +inf for diverged runs, shape (n_runs,)."""
    loss = runs["eval_loss"].to_numpy(np.float64, na_value=np.inf)
    return np.where(runs["diverged"].to_numpy(bool) | np.isnan(loss), np.inf, loss)


def setup_codes(runs: pd.DataFrame) -> NDArray[np.int64]:
    """Number the setups from 0; runs of one setup share a number. Shape (n_runs,)."""
    return np.asarray(runs.groupby(list(SETUP), sort=True).ngroup(), dtype=np.int64)


def random_runs(runs: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which runs are random draws of their setup's configurations; all of a setup that has no such run."""
    parts = runs["source"].astype(str).str.rsplit("/", n=1).str[-1] if "source" in runs else pd.Series("", runs.index)
    random = ~parts.isin(CHOSEN).to_numpy(bool)
    codes = setup_codes(runs)
    return random | ~np.isin(codes, codes[random])


def rank_quantiles(runs: pd.DataFrame) -> NDArray[np.float64]:
    """Return the rank quantile of each run among its setup's random runs, in (0, 1); 0 is best. Shape (n_runs,)."""
    loss, codes, random = usable_loss(runs), setup_codes(runs), random_runs(runs)
    quantiles = np.empty(len(runs))
    quantiles[random] = _quantiles(loss[random], codes[random])
    if not random.all():
        quantiles[~random] = _quantiles_among(loss[~random], codes[~random], loss[random], codes[random])
    return quantiles


def rank_scores(runs: pd.DataFrame) -> NDArray[np.float64]:
    """Return the rank score of each run, shape (n_runs,)."""
    return np.asarray(ndtri(rank_quantiles(runs)))


def _quantiles(loss: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    groups = pd.Series(loss).groupby(group)
    return ((groups.rank() - 0.5) / groups.transform("size")).to_numpy(np.float64)


def _quantiles_among(
    loss: NDArray[np.float64], group: NDArray[np.int64], others: NDArray[np.float64], theirs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the share of the group's others that is lower, ties counting half, within (1 / (4 n), 1 - 1 / (4 n))."""
    levels, code = np.unique(np.concatenate([others, loss]), return_inverse=True)
    keys = np.sort(theirs * len(levels) + code[: len(others)])  # group by group, each in the order of its losses
    wanted = group * len(levels) + code[len(others) :]
    below, upto = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
    start, end = np.searchsorted(keys, group * len(levels)), np.searchsorted(keys, (group + 1) * len(levels))
    n = end - start
    return np.clip(((below + upto) / 2 - start) / n, 1 / (4 * n), 1 - 1 / (4 * n))


@dataclass(frozen=True)
class LossScale:
    """The monotone map between a task's losses and their normal scores.

    Parameters
    ----------
    knots : dict
        Task to the losses at `KNOTS` equidistant scores between `lowest` and `highest`.
    lowest, highest : dict
        Task to its extreme scores: those of the lowest and of the highest finite loss.
    """

    knots: dict[str, NDArray[np.float64]]
    lowest: dict[str, float]
    highest: dict[str, float]

    @classmethod
    def fit(cls, runs: pd.DataFrame) -> LossScale:
        """Learn the quantiles of every task. A task without a single finite loss is left out."""
        loss, tasks = usable_loss(runs), runs["task_type"].to_numpy(object)
        knots, lowest, highest = {}, {}, {}
        for task in sorted(set(tasks)):
            values = np.sort(loss[tasks == task])
            scores = ndtri((np.arange(len(values)) + 0.5) / len(values))
            finite = np.isfinite(values)
            if not finite.any():
                continue
            values, scores = values[finite], scores[finite]
            lowest[task], highest[task] = float(scores[0]), float(scores[-1])
            knots[task] = np.interp(np.linspace(scores[0], scores[-1], KNOTS), scores, values)
        return cls(knots, lowest, highest)

    def scores(self, runs: pd.DataFrame) -> NDArray[np.float64]:
        """Return the loss score of each run within its task, shape (n_runs,)."""
        tasks = np.asarray(runs.groupby("task_type", sort=True).ngroup(), dtype=np.int64)
        return np.asarray(ndtri(_quantiles(usable_loss(runs), tasks)))

    def losses(self, scores: NDArray[np.float64], tasks: NDArray[np.object_]) -> NDArray[np.float64]:
        """Turn scores into losses in the task's unit, never outside what the task's runs reached. Shape (n_rows,)."""
        out = np.full(len(scores), np.nan)
        for task in set(tasks) & set(self.knots):
            rows = tasks == task
            out[rows] = np.interp(
                scores[rows], np.linspace(self.lowest[task], self.highest[task], KNOTS), self.knots[task]
            )
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            task: {"lowest": self.lowest[task], "highest": self.highest[task], "losses": values.tolist()}
            for task, values in self.knots.items()
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LossScale:
        """Rebuild from `to_dict`, or from its JSON."""
        return cls(
            {task: np.asarray(entry["losses"], dtype=np.float64) for task, entry in data.items()},
            {task: float(entry["lowest"]) for task, entry in data.items()},
            {task: float(entry["highest"]) for task, entry in data.items()},
        )
