"""The gradient-boosted models behind a surrogate, and how they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..features import Encoder
from .network import NetworkSettings
from .targets import LossScale, rank_scores, setup_codes

if TYPE_CHECKING:
    import lightgbm

MODELS: Final = ("rank", "loss", "diverge")
"""rank: rank score (L2); loss: loss score (L2); diverge: probability to diverge (log loss); see `targets`."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How the models are fitted.

    Parameters
    ----------
    trees : int
        Boosting rounds of the rank and the loss model.
    diverge_trees : int
        Boosting rounds of the divergence model: divergence is rare, so it needs and bears fewer.
    learning_rate, leaves, min_leaf, feature_fraction, bagging_fraction : numbers
        LightGBM's learning_rate, num_leaves, min_data_in_leaf, feature_fraction, bagging_fraction (every round).
    network : NetworkSettings
        How the networks that share in the rank and the loss score are fitted.
    folds : int
        Folds of the cross-fitting by setup that calibrates.
    seed : int
        Seed of everything random.
    """

    trees: int = 800
    diverge_trees: int = 200
    learning_rate: float = 0.05
    leaves: int = 31
    min_leaf: int = 20
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.8
    network: NetworkSettings = field(default_factory=NetworkSettings)
    folds: int = 5
    seed: int = 0

    def parameters(self, model: str) -> dict[str, Any]:
        """Return LightGBM's parameters for one of `MODELS`.

        Extremely randomised splits average out the noise of single runs. That helps the risk to diverge, and scores as
        long as runs are few (benchmarks/results/surrogate_choices.md). Of a hundred thousand runs exact splits rank
        unseen tasks better, by more than they lose on unseen architectures (benchmarks/results/protocol.md compares
        LightGBM with both). num_threads 0 keeps the machine's core count out of the saved file.
        """
        return {
            "objective": "binary" if model == "diverge" else "l2",
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "extra_trees": model == "diverge",
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 0,
            "verbosity": -1,
        }

    def rounds(self, model: str) -> int:
        """Return the boosting rounds of one of `MODELS`."""
        return self.diverge_trees if model == "diverge" else self.trees

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """Rebuild from `to_dict`, or from its JSON."""
        return cls(**data | {"network": NetworkSettings(**data["network"])})


@dataclass(frozen=True)
class Targets:
    """What the models are fitted on, one value a run, shape (n_runs,) each."""

    rank: Floats
    loss: Floats
    diverge: Floats

    @classmethod
    def from_runs(cls, runs: pd.DataFrame, scale: LossScale) -> Targets:
        """Compute all targets of a table of runs."""
        return cls(rank_scores(runs), scale.scores(runs), runs["diverged"].to_numpy(np.float64))

    def take(self, rows: NDArray[np.bool_]) -> Targets:
        """Return the targets of some rows."""
        return Targets(self.rank[rows], self.loss[rows], self.diverge[rows])


@dataclass(frozen=True)
class Boosters:
    """The fitted models, by name."""

    models: dict[str, lightgbm.Booster] = field(repr=False)

    def predict(self, name: str, matrix: Floats) -> Floats:
        """Return one model's raw prediction for each row of a feature matrix, shape (n_rows,)."""
        return np.asarray(self.models[name].predict(matrix))


def fit_booster(
    name: str,
    matrix: Floats,
    target: Floats,
    encoder: Encoder,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> lightgbm.Booster:
    """Fit one of `MODELS` on a feature matrix of shape (n_runs, n_features) and a target of shape (n_runs,).

    `progress` is called with the share done, 0 to 1, after each round.
    """
    import lightgbm

    data = lightgbm.Dataset(
        matrix,
        target,
        feature_name=list(encoder.features),
        categorical_feature=encoder.categorical,
        params={"verbosity": -1},
    )
    told = [] if progress is None else [lambda now: progress((now.iteration + 1) / now.end_iteration)]
    return lightgbm.train(settings.parameters(name), data, settings.rounds(name), callbacks=told)


def draw_rows(count: int, most: int, seed: int) -> NDArray[np.bool_]:
    """Return a mask of shape (count,) of `most` rows drawn at random, or of all rows where there are no more."""
    rows = np.full(count, count <= most)
    if count > most:
        rows[np.random.default_rng(seed).choice(count, most, replace=False)] = True
    return rows


def setup_folds(runs: pd.DataFrame, folds: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the rows held out in each fold; no setup is in two folds. Masks of shape (n_runs,)."""
    codes = setup_codes(runs)
    count = codes.max() + 1
    if count < folds:
        raise ValueError(
            f"The corpus has {count} setups (architecture, task_type, n_layers, max_params), fewer than the {folds} "
            f"folds that calibrate the surrogate; add runs of other setups."
        )
    fold = np.random.default_rng(seed).permutation(count) % folds
    for index in range(folds):
        yield fold[codes] == index
