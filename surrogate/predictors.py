"""The models behind a surrogate, taken together: networks give the scores, trees say the rest.

Networks rank unseen setups of known architectures and tasks better than trees, and cost less. What a
network learned of one architecture's columns says little of another's, so where the architecture has never been seen,
the trees rank instead; where the task has never been seen, both share in the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..features import Encoder
from ..features.encoder import SETUP_FEATURES
from .boosting import Boosters, Floats, Settings, Targets
from .network import Ensemble

UNSEEN: Final = {"architecture": 1.0, "task_type": 0.25}
"""Weight of the trees where one of these has never been seen; the networks have the rest, and all of it elsewhere.
Chosen after a look at the folds that benchmarks/protocol.py reports."""


@dataclass(frozen=True)
class Predictors:
    """Boosters and networks over the same feature matrix.

    Parameters
    ----------
    boosters : Boosters
        Those named rank, loss and diverge, and, where the size of the error was learned, spread.
    networks : Ensemble
        Its outputs are rank score and loss score.
    """

    boosters: Boosters
    networks: Ensemble

    def scores(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Return the predicted rank score and loss score of each row, shape (n_rows,) each."""
        rank, loss = self.networks.predict(matrix).T.copy()
        weight = trees_weight(matrix)
        rows = weight > 0
        if rows.any():
            for name, scores in (("rank", rank), ("loss", loss)):
                trees = self.boosters.predict(name, matrix[rows])
                scores[rows] += weight[rows] * (trees - scores[rows])
        return rank, loss

    def with_spread(self, spread: Boosters) -> Predictors:
        """Return the same with the model of the error's size."""
        return replace(self, boosters=Boosters(self.boosters.models | spread.models))


def fit_networks(
    matrix: Floats,
    targets: Targets,
    encoder: Encoder,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Ensemble:
    """Fit the networks on a feature matrix of shape (n_runs, n_features)."""
    both = np.column_stack([targets.rank, targets.loss])
    codes = [encoder.features.index(name) for name in encoder.categorical]
    return Ensemble.fit(matrix, both, codes, settings.network, settings.seed, progress)


def trees_weight(matrix: Floats) -> Floats:
    """Return the weight of the trees in the scores of each row of a feature matrix, shape (n_rows,); see `UNSEEN`."""
    weights = [np.isnan(matrix[:, SETUP_FEATURES.index(name)]) * weight for name, weight in UNSEEN.items()]
    return np.maximum(*weights)
