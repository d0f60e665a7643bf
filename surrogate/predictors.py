"""The models behind a surrogate, taken together: networks and trees share in the scores, trees say the rest.

Networks rank unseen setups of known tasks better than trees, trees rank some unseen tasks better than networks; with a
quarter of the weight, trees cost nothing on the former and help on the latter (benchmarks/results/protocol.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from ..features import Encoder
from .boosting import Boosters, Floats, Settings, Targets, fit_booster
from .network import Ensemble

Score = TypeVar("Score", float, Floats)
TREES: Final = 0.25
"""Weight of the trees in a score; the networks have the rest. Chosen on the folds that benchmarks/protocol.py reports,
by setup: 0.5 gave 0.831, 0.25 gives 0.837, 0 gives 0.837."""


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

    @classmethod
    def fit(
        cls,
        matrix: Floats,
        targets: Targets,
        encoder: Encoder,
        settings: Settings,
        progress: Callable[[float], None] | None = None,
    ) -> Predictors:
        """Fit all but the spread on a feature matrix of shape (n_runs, n_features)."""
        models = {
            name: fit_booster(name, matrix, getattr(targets, name), encoder, settings)
            for name in ("rank", "loss", "diverge")
        }
        both = np.column_stack([targets.rank, targets.loss])
        codes = [encoder.features.index(name) for name in encoder.categorical]
        return cls(Boosters(models), Ensemble.fit(matrix, both, codes, settings.network, settings.seed, progress))

    def scores(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Return the predicted rank score and loss score of each row, shape (n_rows,) each."""
        networks = self.networks.predict(matrix)
        rank, loss = (self.boosters.predict(name, matrix) for name in ("rank", "loss"))
        return mix_scores(rank, networks[:, 0]), mix_scores(loss, networks[:, 1])

    def with_spread(self, spread: Boosters) -> Predictors:
        """Return the same with the model of the error's size."""
        return replace(self, boosters=Boosters(self.boosters.models | spread.models))


def mix_scores(trees: Score, networks: Score) -> Score:
    """Return the weighted mean of the scores that trees and networks predict."""
    return TREES * trees + (1 - TREES) * networks
