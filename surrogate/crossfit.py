"""Cross-fitting: what models that never saw a run's setup say of the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..features import Encoder
from .boosting import Floats, Settings, Targets, fit_booster
from .predictors import LOSS, error_size, fit_networks

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
        Predicted size of the loss score's error.
    """

    rank: Floats
    loss: Floats
    diverge: Floats
    spread: Floats

    @classmethod
    def join(cls, found: list[Floats], folds: list[Rows]) -> HeldOut:
        """Put together what `predict_fold` found in each fold."""
        joined = np.empty((len(found[0]), len(folds[0])))
        for rows, values in zip(folds, found, strict=True):
            joined[:, rows] = values
        return cls(*joined)


def predict_fold(
    rows: Rows,
    matrix: Floats,
    targets: Targets,
    encoder: Encoder,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """Fit on all rows but those of a mask, with one network.

    Returns
    -------
    ndarray of shape (4, n_rows of the mask)
        Their rank, loss, diverge and spread, see `HeldOut`.
    """
    single = replace(settings, network=replace(settings.network, members=1))
    seen = targets.take(~rows)
    means, deviations = fit_networks(matrix[~rows], seen, encoder, single, progress).predict(matrix[rows])
    trees = fit_booster("diverge", matrix[~rows], seen.diverge, encoder, settings)
    return np.stack([*means.T, np.asarray(trees.predict(matrix[rows])), error_size(deviations[:, LOSS])])
