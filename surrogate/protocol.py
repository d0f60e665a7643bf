"""The protocol: fit on one part of a corpus, judge on the other, and compare with what seed noise leaves to be known.

Predictions of each part are kept in a cache folder, one Parquet file named after everything that they depend on, so
that an evaluation that was interrupted or extended computes only what is missing.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.atomic import write_atomically
from ..corpus.schema import SETUP
from .boosting import Settings
from .metrics import score_divergence, score_setups
from .model import Surrogate
from .noise import repeated_runs
from .splits import Parts, run_ids
from .targets import random_runs, rank_quantiles

LEAST_RUNS: Final = 8
"""Setups with fewer judged runs are only counted."""
MANY_RUNS: Final = 30
"""From this many runs a setup's own figures mean something."""
FITTING: Final = tuple(
    f"{__package__.rpartition('.')[0]}.{name}"
    for name in (
        "features.derived", "features.encoder", "features.hyperparameters", "features.task_sizes", "surrogate.boosting",
        "surrogate.calibration", "surrogate.crossfit", "surrogate.model", "surrogate.network", "surrogate.noise",
        "surrogate.predictors", "surrogate.targets",
    )
)  # fmt: skip
"""Modules that decide what a fitted surrogate predicts: part of the cache's key."""
RESAMPLES: Final = 2000
"""Of the bootstrap over setups."""
ALIKE: Final = (
    (["architecture", "task_type", "n_layers"], 100),
    (["task_type", "n_layers"], 30),
    (["task_type"], 30),
)
"""Setups that are taken to be equally noisy: those that share the first of these columns in which so many
configurations were repeated."""
Predictor = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
"""From known runs and unseen runs to predictions of the unseen, as `score_setups` and `score_divergence` take them."""


def predict_with(settings: Settings) -> Predictor:
    """Return the predictor that fits a `Surrogate`."""

    def predict(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
        surrogate = Surrogate.fit(known, settings)
        return predict_levels(surrogate, unseen)

    return predict


def predict_levels(surrogate: Surrogate, runs: pd.DataFrame) -> pd.DataFrame:
    """Return score, predicted_loss, p_diverge and the intervals of all levels, one row a run.

    Tasks and architectures that the surrogate has never seen are predicted as unknown ones.
    """
    matrix = surrogate.encoder.transform(runs, strict=False)
    return surrogate.predict_matrix(matrix, runs["task_type"].to_numpy(object)).drop(columns="expected_rank")


def evaluate_split(
    runs: pd.DataFrame,
    parts: Parts,
    predictor: Predictor,
    key: dict[str, Any],
    *,
    cache: Path,
    jobs: int = 1,
    code: tuple[str, ...] = FITTING,
) -> Iterator[pd.DataFrame]:
    """Yield, part by part, the predictions of the runs that it holds out, with ``row`` (the run's number) and ``part``.

    Parameters
    ----------
    runs : DataFrame
        In the corpus schema.
    parts : dict
        Of `split_runs`.
    predictor : callable
        What is judged.
    key : dict
        What the predictor depends on beside the runs and its code (name, settings), ready for JSON: the cache's key.
    cache : path
        Folder of the cache; made if needed.
    jobs : int, default 1
        Parts at a time; -1 means one a core.
    code : tuple of str, default `FITTING`
        Modules that decide what the predictor says: part of the cache's key.
    """
    import joblib

    cache.mkdir(parents=True, exist_ok=True)
    ids, key = run_ids(runs), key | {"code": code_digest(code)}
    calls = (joblib.delayed(_one_part)(runs, rows, predictor, key, ids, cache) for rows in parts.values())
    found = joblib.Parallel(n_jobs=jobs, return_as="generator")(calls)
    for (part, rows), table in zip(parts.items(), found, strict=True):
        yield table.assign(row=np.flatnonzero(rows), part=part)


def _one_part(
    runs: pd.DataFrame,
    rows: NDArray[np.bool_],
    predictor: Predictor,
    key: dict[str, Any],
    ids: NDArray[np.str_],
    cache: Path,
) -> pd.DataFrame:
    path = cache / f"{_part_digest(key, ids, rows)[:32]}.parquet"
    if not path.exists():
        known, unseen = (runs[mask].reset_index(drop=True) for mask in (~rows, rows))
        write_atomically(path, predictor(known, unseen).to_parquet(index=False))
    return pd.read_parquet(path)


def _part_digest(key: dict[str, Any], ids: NDArray[np.str_], rows: NDArray[np.bool_]) -> str:
    text = json.dumps(key, sort_keys=True)
    return hashlib.sha256(text.encode() + "".join(ids).encode() + np.packbits(rows).tobytes()).hexdigest()


@lru_cache
def code_digest(names: tuple[str, ...]) -> str:
    """Return a digest of modules' code, which comments, docstrings and layout do not change."""
    digest = hashlib.sha256()
    for name in names:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"The module {name} has no source that could be told apart from an older one.")
        tree = ast.parse(Path(spec.origin).read_bytes())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [item for item in body if not _is_text(item)]  # type: ignore[attr-defined]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@dataclass(frozen=True)
class Judged:
    """What a predictor said of the runs that a split holds out, and its scores.

    Parameters
    ----------
    runs : DataFrame
        The runs, in the order of the corpus.
    predictions : DataFrame
        One row for each of them.
    scores : DataFrame
        One row for each of their setups, however few its runs: the columns of `score_setups`, and ``ceiling``.
    """

    runs: pd.DataFrame
    predictions: pd.DataFrame
    scores: pd.DataFrame

    @property
    def enough(self) -> pd.DataFrame:
        """The scores of the setups with at least `LEAST_RUNS` judged runs."""
        return self.scores[self.scores["runs"] >= LEAST_RUNS]


def judge_split(runs: pd.DataFrame, parts: Iterable[pd.DataFrame]) -> Judged:
    """Score the predictions of a split.

    Parameters
    ----------
    runs : DataFrame
        All runs of the corpus.
    parts : iterable of DataFrame
        Of `evaluate_split`.
    """
    predictions = pd.concat(parts).sort_values("row", kind="stable").reset_index(drop=True)
    judged = runs.iloc[predictions["row"].to_numpy()].reset_index(drop=True)
    scores = score_setups(judged, predictions)
    scores["ceiling"] = noise_ceiling(judged, runs).reindex(scores.index)
    return Judged(judged, predictions, scores)


def summarise_split(judged: Judged) -> dict[str, Any]:
    """Return the scores of a split: their distribution over setups, by task and by architecture, ready for JSON."""
    enough = judged.enough
    groups = {"all": enough}
    for level in ("task_type", "architecture"):
        groups |= {str(name): group for name, group in enough.groupby(level=level)}
    result: dict[str, Any] = {
        "setups_judged": len(enough),
        "setups_too_small": len(judged.scores) - len(enough),
        "groups": {name: _distribution(group) for name, group in groups.items() if len(group)},
    }
    if "coverage_0.9" in enough:
        result["intervals"] = _interval_figures(enough)
    if "p_diverge" in judged.predictions:
        diverged = judged.runs["diverged"].to_numpy(bool)
        result["divergence"] = score_divergence(diverged, judged.predictions["p_diverge"].to_numpy(np.float64))
    return result


def lead(ours: Judged, theirs: Judged, seed: int = 0) -> dict[str, list[float]]:
    """Return by how much one predictor is better than another on the same split: mean over setups, 95 % interval.

    The interval is the bootstrap's over setups (percentiles of `RESAMPLES` resamples of their differences).

    Parameters
    ----------
    ours, theirs : Judged
        The one predictor and the other.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    dict
        ``spearman``, ``better_than_first`` and ``regret_1`` to [mean, low, high], positive where the first predictor
        is better, over the setups with at least `LEAST_RUNS` judged runs.
    """
    rng, found = np.random.default_rng(seed), {}
    for name, sign in (("spearman", 1), ("better_than_first", -1), ("regret_1", -1)):
        differences = sign * (ours.enough[name] - theirs.enough[name].reindex(ours.enough.index))
        gains = differences.dropna().to_numpy()
        means = gains[rng.integers(len(gains), size=(RESAMPLES, len(gains)))].mean(axis=1)
        found[name] = [float(value) for value in (gains.mean(), *np.quantile(means, (0.025, 0.975)))]
    return found


def noise_ceiling(judged: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """Return, for each setup, the Spearman correlation that a predictor without error would reach, given seed noise.

    With u the rank of a run among its setup's, what the configuration tells of it is E[u | configuration], whose share
    of the variance is r = 1 - E[Var(u | configuration)] / Var(u), and it agrees with u by sqrt(r) (the correction for
    attenuation of Spearman 1904). No other function of the configuration does better, so it is a bound. Var(u) is that
    of the setup's random runs, Var(u | configuration) that of those which repeat a configuration (`repeated_runs`);
    setups of the same architecture, task and depth, or if those have too few repeated configurations, of the same task
    and depth, or of the same task (`ALIKE`), share one r, to which each setup contributes the same.

    Left out where the task, too, has too few.

    Parameters
    ----------
    judged : DataFrame
        Runs of the setups that are asked about.
    runs : DataFrame
        All runs of the corpus.
    """
    setups = judged[list(SETUP)].drop_duplicates().set_index(list(SETUP)).sort_index().index
    repeated, found = _repeated_setups(runs), np.full(len(setups), np.nan)
    for columns, least in ALIKE:
        known = _known_share(repeated, columns, least).reset_index()
        measured = setups.to_frame(index=False)[columns].merge(known, how="left", on=columns)["known"]
        found = np.where(np.isnan(found), measured.to_numpy(np.float64), found)
    return pd.Series(np.sqrt(np.maximum(found, 0.0)), index=setups).dropna()


def _repeated_setups(runs: pd.DataFrame) -> pd.DataFrame:
    """Return Var(u) of the setups that repeat configurations, E[Var(u | configuration)], and the number of those."""
    random, setup = random_runs(runs), list(SETUP)
    ranked = runs[setup].assign(key=repeated_runs(runs), u=rank_quantiles(runs))[random]
    everyone = ranked.groupby(setup, observed=True)["u"].var(ddof=0).rename("all")
    configurations = ranked[ranked["key"] >= 0].groupby([*setup, "key"], observed=True)["u"].var(ddof=1)
    within = configurations.groupby(level=setup, observed=True).agg(noise="mean", repeated="size")
    return within.join(everyone)


def _known_share(setups: pd.DataFrame, columns: list[str], least: int) -> pd.Series:
    """Return r of `noise_ceiling` for each group of setups that has so many repeated configurations."""
    groups = setups.groupby(level=columns, observed=True)
    means = groups.mean()
    return (1 - means["noise"] / means["all"])[groups["repeated"].sum() >= least].rename("known")


def _distribution(scores: pd.DataFrame) -> dict[str, Any]:
    """Return mean, median, 10 % quantile and minimum of every score over the setups."""
    names = [str(name) for name in scores if name != "runs"]
    out: dict[str, Any] = {"setups": len(scores)}
    for name in names:
        values = scores[name].dropna()
        if len(values):
            out[name] = {
                "mean": float(values.mean()),
                "median": float(values.median()),
                "low_10": float(values.quantile(0.1)),
                "high_90": float(values.quantile(0.9)),
                "min": float(values.min()),
            }
    many = scores[scores["runs"] >= MANY_RUNS]
    out["setups_with_many_runs"] = len(many)
    out["spearman_min_many"] = float(many["spearman"].min()) if len(many) else None
    return out


def _interval_figures(scores: pd.DataFrame) -> dict[str, Any]:
    """Return the share of setups with many runs that are covered by 80 to 97 %, and that of perfect intervals."""
    from scipy.stats import binom

    many = scores[scores["runs"] >= MANY_RUNS]
    if many.empty:
        return {}
    n = many["runs"].to_numpy()
    ideal = binom.cdf(np.floor(0.97 * n), n, 0.9) - binom.cdf(np.ceil(0.80 * n) - 1, n, 0.9)
    return {
        "setups_with_many_runs": len(many),
        "covered_80_to_97": float(many["coverage_0.9"].between(0.80, 0.97).mean()),
        "covered_80_to_97_if_perfect": float(ideal.mean()),
    }
