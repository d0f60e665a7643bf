"""The surrogate: what a run of a configuration in a setup would probably give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..features import Coverage, Encoder
from ..features.encoder import Table
from .boosting import Boosters, Floats, Settings, Targets, setup_folds
from .calibration import LEVELS, Calibration, Residuals, Steps
from .targets import LossScale, rank_quantiles


@dataclass(frozen=True)
class Surrogate:
    """Predicts rank, loss and divergence of configurations.

    Parameters
    ----------
    encoder : Encoder
        Makes the feature matrix from runs or queries.
    coverage : Coverage
        What the corpus covers.
    boosters : Boosters
        The fitted models.
    scale : LossScale
        Between losses and loss scores.
    calibration : Calibration
        From raw outputs to calibrated statements.
    settings : Settings
        How the models were fitted.
    corpus : dict
        The corpus it was fitted on: ``rows``, ``setups`` and ``sha256``.
    """

    encoder: Encoder
    coverage: Coverage
    boosters: Boosters
    scale: LossScale
    calibration: Calibration
    settings: Settings = field(default_factory=Settings)
    corpus: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        runs: pd.DataFrame,
        settings: Settings | None = None,
        corpus: dict[str, Any] | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> Surrogate:
        """Fit on a table of runs in the corpus schema.

        Parameters
        ----------
        runs : DataFrame
            At least `settings.folds` setups.
        settings : Settings, optional
            Default: `Settings()`.
        corpus : dict, optional
            Provenance to keep with the surrogate.
        progress : callable, optional
            Called with (what is being done, share done from 0 to 1).
        """
        settings = settings or Settings()
        tell = progress or (lambda what, share: None)
        encoder, scale = Encoder.fit(runs), LossScale.fit(runs)
        matrix, targets = encoder.transform(runs), Targets.from_runs(runs, scale)
        held_out = {name: np.empty(len(runs)) for name in ("rank", "loss", "diverge")}
        for index, rows in enumerate(setup_folds(runs, settings.folds, settings.seed)):
            tell("calibrating", index / (settings.folds + 1))
            fold = Boosters.fit(matrix[~rows], targets.take(~rows), encoder, settings)
            for name, values in held_out.items():
                values[rows] = fold.predict(name, matrix[rows])
        tell("fitting", settings.folds / (settings.folds + 1))
        boosters = Boosters.fit(matrix, targets, encoder, settings)
        tell("fitted", 1.0)
        calibration = _calibrate(runs, targets, held_out)
        return cls(
            encoder,
            Coverage.from_runs(runs, encoder.hyperparameters),
            boosters,
            scale,
            calibration,
            settings,
            corpus or {},
        )

    def score(self, matrix: Floats) -> Floats:
        """Return each row's `ranking_score`, lower is better; feature matrix in, shape (n_rows,) out."""
        return ranking_score(self.boosters.predict("rank", matrix), self.boosters.predict("loss", matrix))

    def predict(self, rows: Table, level: float = 0.9) -> pd.DataFrame:
        """Predict the outcome of runs or queries.

        Parameters
        ----------
        rows : DataFrame or mapping
            As `Encoder.transform` takes them.
        level : {0.5, 0.8, 0.9, 0.95}
            Probability with which the interval holds the loss of one real run, on average over unseen setups.

        Returns
        -------
        DataFrame
            One row each: ``predicted_loss`` (median, task's unit), ``low``, ``high`` (interval, same unit),
            ``p_diverge`` (probability), ``expected_rank`` (share of random configurations of the setup that are
            better, 0 to 1), ``score`` (see `score`).
        """
        if level not in LEVELS:
            raise ValueError(f"Intervals exist for the levels {LEVELS}, got {level!r}.")
        matrix = self.encoder.transform(rows)
        tasks = np.asarray(rows["task_type"], dtype=object)
        raw = {name: self.boosters.predict(name, matrix) for name in ("rank", "loss", "diverge")}
        low, middle, high = self._interval(raw["loss"], tasks, level)
        score = ranking_score(raw["rank"], raw["loss"])
        return pd.DataFrame(
            {
                "predicted_loss": self.scale.losses(middle, tasks),
                "low": self.scale.losses(low, tasks),
                "high": self.scale.losses(high, tasks),
                "p_diverge": self.calibration.divergence(raw["diverge"]),
                "expected_rank": self.calibration.expected_rank(score),
                "score": score,
            }
        )

    def _interval(self, predicted: Floats, tasks: NDArray[np.object_], level: float) -> tuple[Floats, Floats, Floats]:
        low, middle, high = (np.full(len(predicted), np.nan) for _ in range(3))
        for task in set(tasks) & set(self.calibration.residuals):
            rows = tasks == task
            low[rows], middle[rows], high[rows] = self.calibration.residuals[task].bounds(predicted[rows], level)
        return low, middle, high


def ranking_score(rank: Floats, loss: Floats) -> Floats:
    """Return what configurations are ranked by: the mean of predicted rank score and predicted loss score.

    The first sets the configurations of one setup apart, the second also depths; in held-out setups the mean ranks
    better than either (benchmarks/results/surrogate_choices.md).
    """
    return (rank + loss) / 2


def _calibrate(runs: pd.DataFrame, targets: Targets, held_out: dict[str, Floats]) -> Calibration:
    tasks = runs["task_type"].to_numpy(object)
    residuals = {
        str(task): Residuals.fit(held_out["loss"][tasks == task], targets.loss[tasks == task])
        for task in sorted(set(tasks))
    }
    score = ranking_score(held_out["rank"], held_out["loss"])
    return Calibration(
        residuals,
        expected_rank=Steps.fit(score, rank_quantiles(runs)),
        divergence=Steps.fit(held_out["diverge"], targets.diverge),
    )
