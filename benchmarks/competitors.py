"""Other ways to predict a run's outcome, under the same protocol as the surrogate.

Each is a function of (known runs, unseen runs) that returns predictions for `score_setups`: a score, and where it
predicts losses, ``predicted_loss``. All see the encoder's columns; those that cannot have null or categories get
standardised numbers (0 for what is missing) and one-hot categories. Settings are the library's where nothing is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from rnn_warmstart.features import Encoder
from rnn_warmstart.surrogate.targets import LossScale, rank_scores, setup_codes, usable_loss

THREADS = int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1
SEED = 0
LIGHTGBM = {"num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 20, "feature_fraction": 0.5, "seed": SEED,
            "bagging_fraction": 0.8, "bagging_freq": 1, "verbosity": -1, "num_threads": THREADS}  # fmt: skip
ROUNDS = 400
RELEVANCE = 15
LARGEST = 4.0
"""Standardised numbers are cut at this."""
Predict = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


def raw_columns(encoder: Encoder) -> list[str]:
    """Return the features that are not derived: hyperparameters and setup, in the encoder's order."""
    raw = {*encoder.hyperparameters, "architecture", "task_type", "n_layers", "log_max_params"}
    return [name for name in encoder.features if name in raw]


class Data:
    """Matrices and targets of one part of a split."""

    def __init__(self, known: pd.DataFrame, unseen: pd.DataFrame) -> None:
        self.known, self.unseen = known, unseen
        self.encoder, self.scale = Encoder.fit(known), LossScale.fit(known)
        self.x = self.encoder.transform(known)
        self.x_unseen = self.encoder.transform(unseen, strict=False)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return both matrices as tables whose categories have their type."""
        known, unseen = (pd.DataFrame(x, columns=list(self.encoder.features)) for x in (self.x, self.x_unseen))
        kinds = {
            name: pd.CategoricalDtype(np.arange(known[name].max() + 1, dtype=int)) for name in self.encoder.categorical
        }
        return known.astype(kinds), unseen.astype(kinds)

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both matrices without null or categories."""
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        codes = [self.encoder.features.index(name) for name in self.encoder.categorical]
        numbers = np.setdiff1d(np.arange(self.x.shape[1]), codes)
        scaler = StandardScaler().fit(self.x[:, numbers])
        encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(self.x[:, codes])

        def prepared(x: np.ndarray) -> np.ndarray:
            scaled = np.nan_to_num(scaler.transform(x[:, numbers]).clip(-LARGEST, LARGEST))
            return np.hstack([scaled, encoder.transform(x[:, codes])]).astype(np.float32)

        return prepared(self.x), prepared(self.x_unseen)

    def answer(self, scores: np.ndarray, losses: bool = True) -> pd.DataFrame:
        """Return the predictions: loss scores, with the losses that they stand for."""
        found = pd.DataFrame({"score": scores})
        if losses:
            found["predicted_loss"] = self.scale.losses(scores, self.unseen["task_type"].to_numpy(object))
        return found


def lightgbm_model(target: str = "loss", objective: str = "l2", raw: bool = False, **changes: Any) -> Predict:
    """LightGBM on the loss score within the task or the rank score within the setup; `raw` without derived columns."""

    def predict(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
        data = Data(known, unseen)
        encoder = data.encoder
        names = raw_columns(encoder) if raw else list(encoder.features)
        columns = [encoder.features.index(name) for name in names]
        y = data.scale.scores(known) if target == "loss" else rank_scores(known)
        dataset = lightgbm.Dataset(
            data.x[:, columns], y, feature_name=names,
            categorical_feature=[name for name in encoder.categorical if name in names], params={"verbosity": -1},
        )  # fmt: skip
        model = lightgbm.train(LIGHTGBM | {"objective": objective} | changes, dataset, ROUNDS)
        return data.answer(model.predict(data.x_unseen[:, columns]), losses=target == "loss")

    return predict


def lightgbm_log_loss(objective: str) -> Predict:
    """LightGBM on the log of the loss, clipped at three times the task's median, in units of the task's spread."""

    def predict(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
        data = Data(known, unseen)
        loss = usable_loss(known)
        limit = pd.Series(loss).where(np.isfinite(loss)).groupby(known["task_type"].to_numpy()).transform("median")
        logs = pd.Series(np.log(np.clip(np.minimum(loss, 3 * limit), 1e-6, None)))
        task = known["task_type"].to_numpy()
        middle, spread = (logs.groupby(task).transform(way) for way in ("mean", "std"))
        dataset = lightgbm.Dataset(data.x, (logs - middle) / spread, params={"verbosity": -1})
        model = lightgbm.train(LIGHTGBM | {"objective": objective}, dataset, ROUNDS)
        score = model.predict(data.x_unseen)
        tasks = unseen["task_type"]
        centre, width = (tasks.map(values.groupby(task).first()).to_numpy(float) for values in (middle, spread))
        return data.answer(score, losses=False).assign(predicted_loss=np.exp(centre + width * score))

    return predict


def lambdarank(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
    """LightGBM's LambdaRank, a setup a query, relevance in sixteen steps of the rank."""
    data = Data(known, unseen)
    codes = setup_codes(known)
    order = np.argsort(codes, kind="stable")
    best = pd.Series(usable_loss(known)).groupby(codes).rank(pct=True, ascending=False)
    relevance = np.minimum((best * (RELEVANCE + 1)).astype(int), RELEVANCE).to_numpy()
    gains = {"objective": "lambdarank", "label_gain": list(range(RELEVANCE + 1)), "lambdarank_truncation_level": 50}
    dataset = lightgbm.Dataset(data.x[order], relevance[order], group=np.bincount(codes), params={"verbosity": -1})
    model = lightgbm.train(LIGHTGBM | gains, dataset, ROUNDS)
    return data.answer(-model.predict(data.x_unseen), losses=False)


def one_a_task(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
    """LightGBM (L2 on loss scores), one model a task; on a task without runs, one on all."""
    score = np.empty(len(unseen))
    for task in unseen["task_type"].unique():
        mine = (known["task_type"] == task).to_numpy()
        table = known[mine if mine.any() else np.ones(len(known), bool)].reset_index(drop=True)
        rows = (unseen["task_type"] == task).to_numpy()
        score[rows] = lightgbm_model()(table, unseen[rows].reset_index(drop=True))["score"]
    return Data(known, unseen).answer(score)


def regressor(make: Callable[[], Any], dense: bool) -> Predict:
    """Any scikit-learn regressor on loss scores, from matrices that are dense or tables with null and categories."""

    def predict(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
        data = Data(known, unseen)
        x, x_unseen = data.dense() if dense else data.frames()
        return data.answer(np.asarray(make().fit(x, data.scale.scores(known)).predict(x_unseen), dtype=float))

    return predict


def catboost(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
    """CatBoost on loss scores; a category that is missing is one more."""
    from catboost import CatBoostRegressor

    data = Data(known, unseen)
    names = data.encoder.categorical
    x, x_unseen = (table.assign(**{name: table[name].cat.codes for name in names}) for table in data.frames())
    model = CatBoostRegressor(iterations=500, learning_rate=0.1, cat_features=names, thread_count=THREADS,
                              random_seed=SEED, verbose=False, allow_writing_files=False)  # fmt: skip
    return data.answer(model.fit(x, data.scale.scores(known)).predict(x_unseen))


def networks_alone(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
    """The surrogate's networks without its trees."""
    from rnn_warmstart.surrogate import Settings
    from rnn_warmstart.surrogate.network import Ensemble

    data, settings = Data(known, unseen), Settings()
    codes = [data.encoder.features.index(name) for name in data.encoder.categorical]
    targets = np.column_stack([rank_scores(known), data.scale.scores(known)])
    means, _ = Ensemble.fit(data.x, targets, codes, settings.network, settings.seed).predict(data.x_unseen)
    return data.answer(means[:, 1]).assign(score=means.mean(axis=1))


def trees_alone(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
    """The surrogate's trees without its networks."""
    from rnn_warmstart.surrogate import Settings
    from rnn_warmstart.surrogate.boosting import Targets, fit_booster

    data, settings = Data(known, unseen), Settings()
    targets = Targets.from_runs(known, data.scale)
    rank, loss = (
        fit_booster(name, data.x, getattr(targets, name), data.encoder, settings).predict(data.x_unseen)
        for name in ("rank", "loss")
    )
    return data.answer(loss).assign(score=(rank + loss) / 2)


def _hist() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=ROUNDS, learning_rate=0.05, random_state=SEED)


def _forest(name: str) -> Callable[[], Any]:
    def make() -> Any:
        import sklearn.ensemble

        return getattr(sklearn.ensemble, name)(
            n_estimators=100, min_samples_leaf=3, max_features=0.3, n_jobs=THREADS, random_state=SEED
        )

    return make


def _neighbours() -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(n_neighbors=20, weights="distance", n_jobs=THREADS)


def _ridge() -> Any:
    from sklearn.linear_model import RidgeCV

    return RidgeCV(alphas=np.logspace(-1, 4, 6))


def _xgboost() -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(n_estimators=ROUNDS, learning_rate=0.05, subsample=0.8, colsample_bytree=0.5, n_jobs=THREADS,
                        enable_categorical=True, random_state=SEED)  # fmt: skip


COMPETITORS: dict[str, Predict] = {
    "its networks alone": networks_alone,
    "its trees alone": trees_alone,
    "LightGBM, L2, loss score": lightgbm_model(),
    "LightGBM, L2, loss score, random splits": lightgbm_model(extra_trees=True),
    "LightGBM, L1, loss score": lightgbm_model(objective="l1"),
    "LightGBM, Huber, loss score": lightgbm_model(objective="huber"),
    "LightGBM, L2, rank score": lightgbm_model(target="rank"),
    "LightGBM, L2, rank score, raw columns": lightgbm_model(target="rank", raw=True),
    "LightGBM, L2, log loss": lightgbm_log_loss("l2"),
    "LightGBM, L1, log loss": lightgbm_log_loss("l1"),
    "LightGBM, one a task": one_a_task,
    "LightGBM, LambdaRank": lambdarank,
    "scikit-learn, histogram boosting": regressor(_hist, dense=False),
    "scikit-learn, random forest": regressor(_forest("RandomForestRegressor"), dense=True),
    "scikit-learn, extra trees": regressor(_forest("ExtraTreesRegressor"), dense=True),
    "scikit-learn, 20 nearest neighbours": regressor(_neighbours, dense=True),
    "scikit-learn, ridge": regressor(_ridge, dense=True),
    "XGBoost": regressor(_xgboost, dense=False),
    "CatBoost": catboost,
}
"""Name to predictor."""
PARTS_OF_THE_SURROGATE = ("its networks alone", "its trees alone")
CODE = (__name__, *(f"rnn_warmstart.{name}" for name in (
    "features.derived", "features.encoder", "features.hyperparameters", "features.task_sizes", "surrogate.targets",
)))  # fmt: skip
"""Modules that decide what the others predict."""
