"""Cross-fitting: what models that never saw a run's setup say of the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..features import Encoder
from .boosting import Boosters, Floats, Settings, Targets, fit_booster
from .predictors import fit_networks

SMALLEST: Final = 0.01
"""Least predicted size of an error, in loss scores."""
Rows = NDArray[np.bool_]


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
    def join(
        cls,
        found: list[tuple[Floats, Floats, Floats]],
        folds: list[Rows],
        matrix: Floats,
        targets: Targets,
        encoder: Encoder,
        settings: Settings,
    ) -> HeldOut:
        """Put what `predict_fold` found in each fold together, and learn the size of its errors."""
        rank, loss, diverge, spread = (np.empty(len(matrix)) for _ in range(4))
        for rows, (ranks, losses, risks) in zip(folds, found, strict=True):
            rank[rows], loss[rows], diverge[rows] = ranks, losses, risks
        error = np.abs(targets.loss - loss)
        for rows in folds:
            spread[rows] = predict_spread(fit_spread(matrix[~rows], error[~rows], encoder, settings), matrix[rows])
        return cls(rank, loss, diverge, spread)


def predict_fold(
    rows: Rows,
    matrix: Floats,
    targets: Targets,
    encoder: Encoder,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Fit on all rows but those of a mask, with one network; return rank, loss and diverge of `HeldOut` for them."""
    single = replace(settings, network=replace(settings.network, members=1))
    seen = targets.take(~rows)
    rank, loss = fit_networks(matrix[~rows], seen, encoder, single, progress).predict(matrix[rows]).T
    trees = fit_booster("diverge", matrix[~rows], seen.diverge, encoder, settings)
    return rank, loss, np.asarray(trees.predict(matrix[rows]))


def fit_spread(matrix: Floats, error: Floats, encoder: Encoder, settings: Settings) -> Boosters:
    """Learn the size of errors, `error` being their absolute values of shape (n_runs,)."""
    return Boosters({"spread": fit_booster("spread", matrix, error, encoder, settings)})


def predict_spread(boosters: Boosters, matrix: Floats) -> Floats:
    """Return the predicted size of each row's error, shape (n_rows,)."""
    return np.maximum(boosters.predict("spread", matrix), SMALLEST)
