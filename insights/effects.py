"""How much each hyperparameter matters, by the runs alone: no model stands between.

Notation: n runs of one setup, each with a score y (normal score of its rank, lower is better); K groups of runs with
similar values of one hyperparameter, group k of size n_k; S_total = sum (y - mean)^2, S_between = sum n_k (mean_k -
mean)^2. The share of variance that the groups explain, corrected for chance (epsilon squared, Kelley 1935), is

    e2 = 1 - (n - 1) / (n - K) (1 - S_between / S_total).

Under a random permutation of y the expectation of S_between / S_total is (K - 1) / (n - 1), so that of e2 is exactly 0.
Groups lose what varies within them: e2 is a lower bound of the share that the hyperparameter alone explains. Seed noise
is in S_total: a share of 1 is out of reach.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..features import Hyperparameter
from .sample import Floats, Sample, mean_and_error

GROUP: Final = 8
"""Runs in a group of similar numbers, at least."""
MOST_GROUPS: Final = 8
Codes = NDArray[np.int64]


def effects(
    sample: Sample, items: dict[str, Hyperparameter], progress: Callable[[float], None] | None = None
) -> pd.DataFrame:
    """Return the effect of each hyperparameter within setups, averaged over the setups that tell.

    A setup tells of a hyperparameter if at least 2 `GROUP` of its runs have it, in two groups or more.

    Returns
    -------
    DataFrame
        Indexed by the hyperparameter: ``explained`` (mean e2) and ``explained_se`` (standard error over setups),
        ``trend`` (mean Spearman correlation with the loss's rank: negative if larger values are better; null for
        choices), ``trend_se``, ``setups`` (that tell). Null where unknown.
    """
    rows = {}
    for name, item in items.items():
        rows[name] = _effect(sample, item)
        if progress is not None:
            progress(len(rows) / len(items))
    columns = ["explained", "explained_se", "trend", "trend_se", "setups"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _effect(sample: Sample, item: Hyperparameter) -> tuple[float, float, float, float, int]:
    values = sample.encoded(item)
    has = ~np.isnan(values)
    values, scores, setups = values[has], sample.scores[has], sample.setups[has]
    category = item.scale == "category"
    groups = values.astype(np.int64) if category else similar(values, setups)
    share = explained(scores, groups, setups)
    correlation = np.full(1, np.nan) if category else correlations(values, sample.quantiles[has], setups)
    mean, error, told = mean_and_error(share)
    return mean, error, *mean_and_error(correlation)[:2], told


def similar(values: Floats, setups: Codes) -> Codes:
    """Part each setup's runs into groups of similar values, about equally large; ties stay together. Shape (n,)."""
    n = np.bincount(setups)[setups]
    groups = np.clip(n // GROUP, 1, MOST_GROUPS)
    return np.floor((ranks(values, setups) - 0.5) / n * groups).astype(np.int64)


def explained(scores: Floats, groups: Codes, setups: Codes) -> Floats:
    """Return e2 of each setup, shape (n_setups,); NaN where it does not tell (see `effects`)."""
    n = np.bincount(setups)
    centred = scores - (np.bincount(setups, scores) / np.maximum(n, 1))[setups]
    cells, cell = np.unique(setups * (groups.max(initial=0) + 1) + groups, return_inverse=True)
    owner = cells // (groups.max(initial=0) + 1)
    between = np.bincount(owner, np.bincount(cell, centred) ** 2 / np.bincount(cell), minlength=len(n))
    total, count = np.bincount(setups, centred**2), np.bincount(owner, minlength=len(n))
    tells = (n >= 2 * GROUP) & (count > 1) & (n > count) & (total > 0)
    n, count, total = (np.where(tells, x, np.nan) for x in (n, count, total))
    return np.asarray(1 - (n - 1) / (n - count) * (1 - between / total))


def correlations(x: Floats, y: Floats, setups: Codes) -> Floats:
    """Return Spearman's correlation of x and y in each setup, shape (n_setups,); NaN in small and constant ones."""
    n = np.bincount(setups)
    a, b = (ranks(each, setups) - (n[setups] + 1) / 2 for each in (x, y))
    products, squares = np.bincount(setups, a * b), np.bincount(setups, a * a) * np.bincount(setups, b * b)
    tells = (n >= 2 * GROUP) & (squares > 0)
    return np.asarray(np.where(tells, products / np.sqrt(np.where(tells, squares, 1)), np.nan), dtype=np.float64)


def ranks(values: Floats, setups: Codes) -> Floats:
    """Return each value's rank among its setup's, from 1; ties share their mean rank. Shape (n,)."""
    return np.asarray(pd.Series(values).groupby(setups).rank(), dtype=np.float64)
