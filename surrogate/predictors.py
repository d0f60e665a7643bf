"""The models behind a surrogate, taken together: networks give the scores, trees the risk to diverge.

Networks rank unseen setups of known architectures and tasks better than trees, and cost less. What they learned of one
architecture's columns says little of another's, so where architecture or task have never been seen, both share in the
scores. How far a score may be off follows from the networks, too: from the deviation of their distribution, and from
`UNTOLD`, which it does not tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..features import Encoder
from ..features.encoder import SETUP_FEATURES
from .boosting import Boosters, Floats, Settings, Targets
from .network import Ensemble

UNSEEN: Final = {"architecture": 0.6, "task_type": 0.5}
"""Weight of the trees where one of these has never been seen; the networks have the rest, and all of it elsewhere.
Both were chosen with a look at the folds that benchmarks/protocol.py reports."""
LOSS: Final = 1
"""Which of the networks' targets is the loss score; the other is the rank score."""
UNTOLD: Final = 0.2
"""Standard deviation of errors that the networks do not know of, in loss scores; chosen with a look at those folds."""


@dataclass(frozen=True)
class Predictors:
    """Boosters and networks over the same feature matrix.

    Parameters
    ----------
    boosters : Boosters
        Those named rank, loss and diverge.
    networks : Ensemble
        Its outputs are rank score and loss score.
    """

    boosters: Boosters
    networks: Ensemble

    def scores(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Return the predicted rank score and loss score of each row, shape (n_rows,) each."""
        rank, loss, _ = self.predict(matrix)
        return rank, loss

    def predict(self, matrix: Floats) -> tuple[Floats, Floats, Floats]:
        """Return rank score, loss score and the size of the loss score's error of each row, shape (n_rows,) each."""
        means, deviations = self.networks.predict(matrix)
        rank, loss = means.T.copy()
        weight = trees_weight(matrix)
        rows = weight > 0
        if rows.any():
            for name, scores in (("rank", rank), ("loss", loss)):
                trees = self.boosters.predict(name, matrix[rows])
                scores[rows] += weight[rows] * (trees - scores[rows])
        return rank, loss, error_size(deviations[:, LOSS])


def error_size(deviation: Floats) -> Floats:
    """Return the size of errors of a score, whose distribution has this standard deviation; any shape."""
    return np.hypot(deviation, UNTOLD)


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
