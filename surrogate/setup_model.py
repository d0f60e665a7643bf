"""A surrogate narrowed to one setup: the same predictions, to float32's rounding, for a fraction of the time."""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..features import Space
from ..features.dimension import Value
from ..features.row import RowEncoder
from ..features.space import as_rows
from .boosting import Floats
from .calibration import LEVELS
from .forest import Forest
from .model import Surrogate
from .network_row import NetworkRow
from .predictors import LOSS, UNTOLD, error_size
from .pruning import prune_model
from .targets import KNOTS

Columns = dict[str, NDArray[Any]]


class SetupModel:
    """Predicts the losses of one setup's configurations.

    Every method takes complete configurations (`Space.complete`) or complete columns (`Space.complete_columns`).

    Parameters
    ----------
    surrogate : Surrogate
        Knows the task.
    architecture, task, n_layers, max_params : str, str, int, int
        The setup, covered by the surrogate's corpus.
    """

    def __init__(self, surrogate: Surrogate, architecture: str, task: str, n_layers: int, max_params: int) -> None:
        self.setup = (architecture, task, n_layers, max_params)
        domains = surrogate.coverage.architectures[architecture].domains_of(task)
        self.space = Space.covered(domains, surrogate.encoder.hyperparameters, {})
        self._surrogate = surrogate
        self._encode = RowEncoder(surrogate.encoder, *self.setup)
        columns = {name: column for column, name in enumerate(surrogate.encoder.features)}
        known = {columns[name]: value for name, value in self._known().items() if name in columns}
        self._networks = surrogate.predictors.networks.narrowed(known)
        self._network_row = NetworkRow(self._networks, LOSS)
        residuals, scale = surrogate.calibration.residuals[task], surrogate.scale
        self._residuals = residuals
        size, name = np.log([float(max_params)]), np.array([architecture], dtype=object)
        self._stretch = float(surrogate.calibration.stretches[task](size, name)[0])
        self._scores, self._losses = np.linspace(scale.lowest[task], scale.highest[task], KNOTS), scale.knots[task]

    @cached_property
    def _diverge(self) -> Forest:
        return Forest(prune_model(self._surrogate.boosters.models["diverge"].model_to_string(), self._known()))

    def _known(self) -> dict[str, float]:
        """Return the features that are the same for all configurations of the setup, by name."""
        absent = set(self._surrogate.encoder.hyperparameters) - set(self.space.names)
        return self._encode.setup_features | dict.fromkeys(absent, np.nan)

    def loss(self, config: Mapping[str, Value]) -> float:
        """Return the median loss of a configuration, in the task's unit."""
        score = self._median_score(self._encode(config))
        return float(np.interp(score, self._scores, self._losses))  # LossScale.losses, one number

    def losses(self, columns: Columns) -> Floats:
        """Return the median loss of many configurations, shape (n,)."""
        return self._to_losses(self._median_scores(self._matrix(columns)))

    def draw(self, config: Mapping[str, Value], seed: int) -> float:
        """Return the loss that one training with a seed might have; NaN if it diverged."""
        row = self._encode(config)
        score = self._median_score(row)
        drawn = self._perturb(score, self._risks(self._diverge.one(row)), config, seed)
        return float(self._to_losses(np.array([drawn]))[0])

    def draws(self, columns: Columns, seed: int) -> Floats:
        """Return what `draw` returns for many configurations, shape (n,)."""
        matrix = self._matrix(columns)
        scores, risks = self._median_scores(matrix), self._risks(self._diverge.many(matrix))
        each = zip(scores.tolist(), risks.tolist(), self.space.as_configurations(columns), strict=True)
        return self._to_losses(np.array([self._perturb(score, risk, config, seed) for score, risk, config in each]))

    def _perturb(self, score: float, risk: float, config: Mapping[str, Value], seed: int) -> float:
        """Return a score with seed noise, or NaN: chance depends on setup, configuration and seed alone."""
        text = json.dumps([self.setup, config], sort_keys=True)
        words = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), dtype="<u4")
        rng = np.random.default_rng([seed, *words.tolist()])
        if rng.random() < risk:
            return np.nan
        return float(self._surrogate.noise.draw(np.array([score]), self._tasks(1), np.array([self.setup[2]]), rng)[0])

    def _median_score(self, row: Floats) -> float:
        # Predictors.predict, error_size, Stretch and Residuals.bounds for one row
        score, deviation = self._network_row(row)
        median = self._residuals.median[bisect_left(self._residuals.edges, score)]
        return score + math.hypot(deviation, UNTOLD) * self._stretch * median

    def _median_scores(self, matrix: Floats) -> Floats:
        means, deviations = self._networks.predict(matrix)
        spread = error_size(deviations[:, LOSS]) * self._stretch
        return self._residuals.bounds(means[:, LOSS], spread, LEVELS[0])[1]

    def _risks(self, raw: Any) -> Any:
        return self._surrogate.calibration.divergence(raw)

    def _to_losses(self, scores: Floats) -> Floats:
        return self._surrogate.scale.losses(scores, self._tasks(len(scores)))

    def _tasks(self, n: int) -> NDArray[np.object_]:
        return np.full(n, self.setup[1], dtype=object)

    def _matrix(self, columns: Columns) -> Floats:
        architecture, task, n_layers, max_params = self.setup
        n = len(next(iter(columns.values()))) if columns else 1
        rows = as_rows(columns, architecture, task, np.full(n, float(n_layers)), float(max_params))
        return self._surrogate.encoder.transform(rows)
