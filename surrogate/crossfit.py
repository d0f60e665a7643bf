"""Cross-fitting: what models that never saw a run's setup say of the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from ..features import Encoder
from .boosting import Boosters, Floats, Settings, Targets, fit_booster, setup_folds
from .predictors import fit_networks

SMALLEST: Final = 0.01
"""Least predicted size of an error, in loss scores."""


@dataclass(frozen=True)
class HeldOut:
    """Cross-fitted predictions, one value a run, shape (n_runs,) each.

    Parameters
    ----------
    rank, loss : ndarray
        Predicted scores.
    diverge : ndarray
        Raw probability to diverge.
    spread : ndarray
        Predicted size of the loss score's error (median of its absolute value), itself cross-fitted.
    """

    rank: Floats
    loss: Floats
    diverge: Floats
    spread: Floats

    @classmethod
    def predict(
        cls,
        runs: pd.DataFrame,
        matrix: Floats,
        targets: Targets,
        encoder: Encoder,
        settings: Settings,
        progress: Callable[[float], None] | None = None,
    ) -> HeldOut:
        """Fit on all folds but one, with one network each, and predict that one."""
        folds = list(setup_folds(runs, settings.folds, settings.seed))
        single = replace(settings, network=replace(settings.network, members=1))
        rank, loss, diverge, spread = (np.empty(len(runs)) for _ in range(4))
        for index, rows in enumerate(folds):
            part = _part(progress, index, len(folds))
            seen = targets.take(~rows)
            networks = fit_networks(matrix[~rows], seen, encoder, single, part)
            rank[rows], loss[rows] = networks.predict(matrix[rows]).T
            trees = fit_booster("diverge", matrix[~rows], seen.diverge, encoder, settings)
            diverge[rows] = trees.predict(matrix[rows])
        error = np.abs(targets.loss - loss)
        for rows in folds:
            spread[rows] = predict_spread(fit_spread(matrix[~rows], error[~rows], encoder, settings), matrix[rows])
        return cls(rank, loss, diverge, spread)


def fit_spread(matrix: Floats, error: Floats, encoder: Encoder, settings: Settings) -> Boosters:
    """Learn the size of errors, `error` being their absolute values of shape (n_runs,)."""
    return Boosters({"spread": fit_booster("spread", matrix, error, encoder, settings)})


def predict_spread(boosters: Boosters, matrix: Floats) -> Floats:
    """Return the predicted size of each row's error, shape (n_rows,)."""
    return np.maximum(boosters.predict("spread", matrix), SMALLEST)


def _part(progress: Callable[[float], None] | None, index: int, count: int) -> Callable[[float], None] | None:
    return None if progress is None else lambda share: progress((index + share) / count)
