"""The surrogate: what a run of a configuration in a setup would probably give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus import SETUP
from ..features import Coverage, Encoder
from ..features.encoder import Table
from .boosting import MODELS, Boosters, Floats, Settings, Targets, draw_rows, fit_booster, setup_folds
from .calibration import LEVELS, Calibration, Residuals, Steps, Stretch
from .crossfit import HeldOut, predict_fold
from .noise import SeedNoise
from .parts import Part, make_parts
from .predictors import Predictors, fit_networks
from .targets import LossScale, random_runs, rank_quantiles

CALIBRATING: Final = 100_000
"""Runs that are cross-fitted, at most; of more, so many are drawn at random. Fits of more runs are also spread over
processes, and see their features as float32, which halves their memory."""
SIZE_CLASSES: Final = (1 / 3, 2 / 3)
"""Quantiles of the setups' sizes, between which errors are stretched alike."""


@dataclass(frozen=True)
class Surrogate:
    """Predicts rank, loss and divergence of configurations.

    Parameters
    ----------
    encoder : Encoder
        Makes the feature matrix from runs or queries.
    coverage : Coverage
        What the corpus covers.
    predictors : Predictors
        The fitted models.
    scale : LossScale
        Between losses and loss scores.
    calibration : Calibration
        From raw outputs to calibrated statements.
    noise : SeedNoise
        Between a configuration and its single runs.
    settings : Settings
        How the models were fitted.
    corpus : dict
        The corpus it was fitted on: ``rows``, ``setups`` and ``sha256``.
    """

    encoder: Encoder
    coverage: Coverage
    predictors: Predictors
    scale: LossScale
    calibration: Calibration
    noise: SeedNoise
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
        encoder, scale = Encoder.fit(runs), LossScale.fit(runs)
        matrix, targets = encoder.transform(runs), Targets.from_runs(runs, scale)
        many = len(runs) > CALIBRATING
        if many:
            matrix = matrix.astype(np.float32)
        drawn = draw_rows(len(runs), CALIBRATING, settings.seed)
        known, rows, goals = runs[drawn], matrix[drawn], targets.take(drawn)
        folds = list(setup_folds(known, settings.folds, settings.seed))
        parts = [
            Part(settings.network.members, partial(fit_networks, matrix, targets, encoder, settings)),
            *(
                Part(0.5, partial(fit_booster, name, matrix, getattr(targets, name), encoder, settings))
                for name in MODELS
            ),
            *(Part(1.0, partial(predict_fold, fold, rows, goals, encoder, settings)) for fold in folds),
        ]
        telling = None if progress is None else partial(progress, "fitting")
        networks, *made = make_parts(parts, apart=many, progress=telling)
        boosters = Boosters(dict(zip(MODELS, made, strict=False)))
        held_out = HeldOut.join(made[len(MODELS) :], folds)
        return cls(
            encoder,
            Coverage.from_runs(runs, encoder.hyperparameters),
            Predictors(boosters, networks),
            scale,
            _calibrate(known, goals, held_out),
            SeedNoise.fit(runs, targets.loss),
            settings,
            corpus or {},
        )

    def score(self, matrix: Floats) -> Floats:
        """Return each row's `ranking_score`, lower is better; feature matrix in, shape (n_rows,) out."""
        return ranking_score(*self.predictors.scores(matrix))

    @property
    def boosters(self) -> Boosters:
        """The trees among the predictors."""
        return self.predictors.boosters

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
        tasks = np.asarray(rows["task_type"], dtype=object)
        found = self.predict_matrix(self.encoder.transform(rows), tasks, (level,))
        names = {f"low_{level}": "low", f"high_{level}": "high"}
        return found.rename(columns=names)[["predicted_loss", "low", "high", "p_diverge", "expected_rank", "score"]]

    def predict_matrix(
        self, matrix: Floats, tasks: NDArray[np.object_], levels: tuple[float, ...] = LEVELS
    ) -> pd.DataFrame:
        """Return what `predict` returns for a feature matrix and its rows' tasks, with intervals of several levels.

        They are named ``low_<level>`` and ``high_<level>``. Losses on a task that the corpus lacks are null.
        """
        rank, loss, size = self.predictors.predict(matrix)
        spread, score = size * self._stretch(matrix, tasks), ranking_score(rank, loss)
        columns = {
            "score": score,
            "p_diverge": self.calibration.divergence(self.boosters.predict("diverge", matrix)),
            "expected_rank": self.calibration.expected_rank(score),
        }
        for level in levels:
            low, middle, high = (self.scale.losses(x, tasks) for x in self._interval(loss, spread, tasks, level))
            columns |= {f"low_{level}": low, f"high_{level}": high, "predicted_loss": middle}
        return pd.DataFrame(columns)

    def _stretch(self, matrix: Floats, tasks: NDArray[np.object_]) -> Floats:
        sizes, codes = (matrix[:, self.encoder.features.index(name)] for name in ("log_max_params", "architecture"))
        names = np.array([*self.encoder.architectures, None], dtype=object)
        architectures, found = names[np.where(np.isnan(codes), -1, codes).astype(int)], np.ones(len(matrix))
        for task in set(tasks) & set(self.calibration.stretches):
            rows = tasks == task
            found[rows] = self.calibration.stretches[task](sizes[rows], architectures[rows])
        return found

    def _interval(
        self, predicted: Floats, spread: Floats, tasks: NDArray[np.object_], level: float
    ) -> tuple[Floats, Floats, Floats]:
        low, middle, high = (np.full(len(predicted), np.nan) for _ in range(3))
        for task in set(tasks) & set(self.calibration.residuals):
            rows = tasks == task
            residuals = self.calibration.residuals[task]
            low[rows], middle[rows], high[rows] = residuals.bounds(predicted[rows], spread[rows], level)
        return low, middle, high


def ranking_score(rank: Floats, loss: Floats) -> Floats:
    """Return what configurations are ranked by: the mean of predicted rank score and predicted loss score.

    The first sets the configurations of one setup apart, the second also depths; in held-out setups the mean ranks
    better than either (benchmarks/results/surrogate_choices.md).
    """
    return (rank + loss) / 2


def _calibrate(runs: pd.DataFrame, targets: Targets, held_out: HeldOut) -> Calibration:
    tasks, architectures = (runs[name].to_numpy(object) for name in ("task_type", "architecture"))
    sizes, errors = np.log(runs["max_params"].to_numpy(float)), np.abs(targets.loss - held_out.loss) / held_out.spread
    edges = np.quantile(np.log(runs[list(SETUP)].drop_duplicates()["max_params"].to_numpy(float)), SIZE_CLASSES)
    residuals, stretches = {}, {}
    for task in sorted(set(tasks)):
        rows = tasks == task
        stretch = stretches[task] = Stretch.fit(errors[rows], sizes[rows], architectures[rows], edges)
        spread = held_out.spread[rows] * stretch(sizes[rows], architectures[rows])
        residuals[task] = Residuals.fit(held_out.loss[rows], spread, targets.loss[rows])
    score, random = ranking_score(held_out.rank, held_out.loss), random_runs(runs)
    return Calibration(
        residuals,
        stretches,
        expected_rank=Steps.fit(score[random], rank_quantiles(runs)[random]),
        divergence=Steps.fit(held_out.diverge, targets.diverge),
    )
