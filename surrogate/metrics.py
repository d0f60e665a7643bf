"""Scores of predictions, setup by setup: how well they rank, how near they are, how honest their intervals are.

Everything is computed within one setup and then described by its distribution over setups; runs of different setups are
never pooled, except for divergence, which most setups never see.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from ..corpus.schema import SETUP
from .calibration import LEVELS
from .targets import random_runs, setup_codes, usable_loss

Floats = NDArray[np.float64]
CUT: Final = 2.0
"""Losses and predictions above this multiple of the task's median loss count as it where losses themselves are
compared: a run that fails a hundredfold is no worse an answer than one that fails twofold."""


def score_setups(runs: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Score predictions against the real losses of each setup.

    Parameters
    ----------
    runs : DataFrame of n_runs rows
        Runs in the corpus schema. A diverged run counts as worse than every other.
    prediction : DataFrame of n_runs rows, same order
        ``score`` (any scale, lower is better), and if they are to be judged, ``predicted_loss`` (task's unit) and for
        each level of `LEVELS` ``low_<level>`` and ``high_<level>``, e.g. ``low_0.9``.

    Returns
    -------
    DataFrame
        One row a setup, indexed by it: ``runs`` and

        - ``spearman``, ``kendall``: rank correlation of score and loss, 1 is perfect; null if either is constant;
        - ``spearman_random``: the same among the setup's random runs, which the noise ceiling is for;
        - ``tau_1``, ``tau_2``: Kendall's tau with predictions rounded to 1 or 2 decimals (sparse tau);
        - ``r2``, ``mae``: of the predicted mean (`predicted_mean`) and of predicted_loss, a median, on the runs that
          did not diverge, all cut (`CUT`);
        - ``regret_k`` for k = 1, 5, 10: (best loss among the k best scores - best) / (median - best), losses cut, 0 is
          perfect;
        - ``better_than_first``: share of the setup's runs better than the one with the best score, 0 is perfect;
        - ``coverage_<level>``, ``width_<level>``, ``pinball_<level>``: share of losses inside the interval; its mean
          width, cut, over the task's median loss; the mean pinball loss of both end points, cut, over the same.
    """
    table = prediction.assign(loss=usable_loss(runs), code=setup_codes(runs), random=random_runs(runs))
    finite = table["loss"].where(np.isfinite(table["loss"]))
    table["unit"] = finite.groupby(runs["task_type"].to_numpy()).transform("median")
    setups = runs.loc[:, list(SETUP)].assign(code=table["code"].to_numpy()).drop_duplicates("code").set_index("code")
    rows = {code: _score(group) for code, group in table.groupby("code", sort=True)}
    return setups.join(pd.DataFrame.from_dict(rows, orient="index")).sort_index().set_index(list(SETUP))


def _score(group: pd.DataFrame) -> dict[str, float]:
    loss, score = group["loss"].to_numpy(np.float64), group["score"].to_numpy(np.float64)
    fine, random, unit = np.isfinite(loss), group["random"].to_numpy(bool), float(group["unit"].iloc[0])
    out: dict[str, float] = {"runs": len(loss)} | _rankings(loss, score, CUT * unit)
    out["spearman_random"] = _correlation(spearmanr, loss[random], score[random])
    if "predicted_loss" in group and fine.sum() > 1 and group["predicted_loss"].notna().all():
        predicted = group["predicted_loss"].to_numpy(np.float64)
        out |= {f"tau_{d}": _correlation(kendalltau, loss, np.round(predicted, d)) for d in (1, 2)}
        limit = CUT * unit
        cut, middle, mean = np.minimum(loss, limit), np.minimum(predicted, limit), predicted_mean(group, limit)
        out |= {"r2": _explained(cut[fine], mean[fine]), "mae": float(np.abs(cut - middle)[fine].mean())}
    for level in LEVELS:
        if f"low_{level}" in group and group[f"low_{level}"].notna().all():
            out |= _intervals(loss, group[f"low_{level}"].to_numpy(), group[f"high_{level}"].to_numpy(), level, unit)
    return out


def _rankings(loss: Floats, score: Floats, limit: float) -> dict[str, float]:
    order, cut = np.argsort(score, kind="stable"), np.minimum(loss, limit)
    best, middle = cut.min(), np.median(cut)
    scale = middle - best if middle > best else np.nan
    regrets = {f"regret_{k}": float((cut[order[:k]].min() - best) / scale) for k in (1, 5, 10)}
    return {
        "spearman": _correlation(spearmanr, loss, score),
        "kendall": _correlation(kendalltau, loss, score),
        "better_than_first": float((loss < loss[order[0]]).mean()),
    } | regrets


def _correlation(measure: Any, x: Floats, y: Floats) -> float:
    if len(x) < 2 or (x == x[0]).all() or (y == y[0]).all():
        return np.nan
    return float(measure(x, y).statistic)


def predicted_mean(prediction: pd.DataFrame, limit: float) -> Floats:
    """Return the mean of each row's predicted distribution with losses cut at a limit, shape (n_rows,).

    Its quantiles are the intervals' end points and the median; each stands for the probability nearest to its own. It
    is the predicted loss where there are no intervals: other models predict a single number.
    """
    levels = [level for level in LEVELS if f"low_{level}" in prediction and prediction[f"low_{level}"].notna().all()]
    quantiles = {0.5: "predicted_loss"}
    for level in levels:
        quantiles |= {(1 - level) / 2: f"low_{level}", (1 + level) / 2: f"high_{level}"}
    shares = sorted(quantiles)
    borders = [0.0, *((low + high) / 2 for low, high in pairwise(shares)), 1.0]
    values = prediction[[quantiles[share] for share in shares]].to_numpy(np.float64)
    return np.minimum(values, limit) @ np.diff(borders)


def _explained(loss: Floats, predicted: Floats) -> float:
    spread = ((loss - loss.mean()) ** 2).sum()
    return float(1 - ((loss - predicted) ** 2).sum() / spread) if spread > 0 else np.nan


def _intervals(loss: Floats, low: Floats, high: Floats, level: float, unit: float) -> dict[str, float]:
    inside = float(((loss >= low) & (loss <= high)).mean())
    loss, low, high = (np.minimum(values, CUT * unit) for values in (loss, low, high))
    tail = (1 - level) / 2
    pinball = (_pinball(loss, low, tail) + _pinball(loss, high, 1 - tail)) / 2
    return {
        f"coverage_{level}": inside,
        f"width_{level}": float((high - low).mean() / unit),
        f"pinball_{level}": float(pinball / unit),
    }


def _pinball(loss: Floats, quantile: Floats, share: float) -> float:
    """Return the mean pinball loss of a predicted quantile (Koenker and Bassett 1978)."""
    above = loss - quantile
    return float(np.where(above >= 0, share * above, (share - 1) * above).mean())


def score_divergence(diverged: NDArray[np.bool_], probability: Floats, bins: int = 10) -> dict[str, Any]:
    """Score probabilities to diverge over all runs.

    Returns
    -------
    dict
        ``share`` diverged, ``auc`` (null if none or all diverged), ``brier``, and ``reliability``: for runs in bins of
        equal width of log10 probability, their number, mean probability and share that diverged.
    """
    from sklearn.metrics import roc_auc_score

    truth = diverged.astype(float)
    both = 0 < truth.mean() < 1
    edges = np.linspace(-4, 0, bins + 1)[1:-1]
    group = np.searchsorted(edges, np.log10(np.clip(probability, 1e-4, 1)))
    table = pd.DataFrame({"group": group, "predicted": probability, "diverged": truth}).groupby("group")
    curve = table.agg(runs=("diverged", "size"), predicted=("predicted", "mean"), diverged=("diverged", "mean"))
    return {
        "share": float(truth.mean()),
        "auc": float(roc_auc_score(truth, probability)) if both else None,
        "brier": float(((probability - truth) ** 2).mean()),
        "reliability": curve.to_dict("records"),
    }
