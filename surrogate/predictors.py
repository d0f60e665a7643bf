"""The models behind a surrogate, taken together: trees and networks share in the scores, trees say the rest.

Networks rank unseen setups of known tasks better than trees, trees rank some unseen tasks better than networks, and the
mean of both is near the better one everywhere (benchmarks/results/protocol.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..features import Encoder
from .boosting import Boosters, Floats, Settings, Targets, fit_booster
from .network import Ensemble


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
        """Return the predicted rank score and loss score of each row, the means of trees and networks."""
        networks = self.networks.predict(matrix)
        rank, loss = (self.boosters.predict(name, matrix) for name in ("rank", "loss"))
        return (rank + networks[:, 0]) / 2, (loss + networks[:, 1]) / 2

    def with_spread(self, spread: Boosters) -> Predictors:
        """Return the same with the model of the error's size."""
        return replace(self, boosters=Boosters(self.boosters.models | spread.models))
