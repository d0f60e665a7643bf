"""How much seed noise hides: from configurations that were trained with several seeds.

Notation: score y of a run (its loss score: normal score of its rank among the task's runs, `surrogate.targets`) of
configuration c in setup s; n_c runs of it; one-way analysis of variance with configurations nested in setups:

    S_seed   = sum over runs of (y - mean_c)^2,               df_seed   = sum (n_c - 1),
    S_config = sum over configurations of n_c (mean_c - mean_s)^2, df_config = sum (C_s - 1),
    n_0      = (N - sum_s sum_c n_c^2 / N_s) / df_config,

with C_s configurations and N_s runs in setup s. The components of variance are v_seed = S_seed / df_seed and v_config =
(S_config / df_config - v_seed) / n_0, cut at 0 (Searle, Casella and McCulloch 1992, chapter 3). *Hidden* is

    hidden = v_seed / (v_seed + v_config),

1 minus the intraclass correlation: the share of the differences between single runs of a setup that another seed would
not repeat. Its standard error is the jackknife's over setups. (Ranks within the setup would not do: its few
configurations lie in clumps, and ranks stretch clumps.) For scores that are normal, two configurations keep their order
under other seeds with the probability 1/2 + arcsin(1 - hidden) / pi (Sheppard 1899).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ..corpus.schema import SETUP
from ..surrogate.noise import repeated_runs
from ..surrogate.targets import LossScale, random_runs, rank_quantiles, setup_codes, usable_loss
from .sample import Floats

GROUPINGS: Final = ("all", "task_type", "architecture")
GOOD: Final = 0.2
"""Mean rank quantile of configurations that count as good."""
LEAST: Final = 10
"""Configurations in a group, at least."""


def seed_noise(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how much seed noise hides, over all and by task and architecture; no row where nothing was repeated.

    Returns
    -------
    DataFrame
        ``by``, ``group``, ``configurations`` (trained more than once), ``runs``, ``setups``, ``hidden`` and
        ``hidden_se`` (above), ``order_kept`` (probability, above), ``spread`` (median over configurations of the
        standard deviation of their finite losses over their mean), ``spread_good`` (the same of good ones), ``split``
        (share of configurations of which some seeds diverged and others did not).
    """
    found = configurations(runs)
    groups = [
        (by, key, part)
        for by in GROUPINGS
        for key, part in ([("all", found)] if by == "all" else found.groupby(by, sort=True))
    ]
    rows = [[by, key, *_row(part)] for by, key, part in groups if len(part) >= LEAST]
    return pd.DataFrame(rows, columns=["by", "group", *_COLUMNS])


_COLUMNS: Final = [
    "configurations", "runs", "setups", "hidden", "hidden_se", "order_kept", "spread", "spread_good", "split",
]  # fmt: skip


def configurations(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each repeated random configuration.

    That is: the columns of its setup, ``setup`` (its number), ``runs``, ``mean`` and ``squares`` (of its scores: sum of
    squared deviations), ``quantile`` (mean rank quantile in the setup), ``spread`` (null if two finite losses are
    lacking or their mean is not positive), ``split``.
    """
    keys = repeated_runs(runs).to_numpy()
    rows = np.flatnonzero((keys >= 0) & random_runs(runs))
    loss, score = usable_loss(runs)[rows], LossScale.fit(runs).scores(runs)[rows]
    finite = np.isfinite(loss)
    table = runs[list(SETUP)].iloc[rows].assign(
        setup=setup_codes(runs)[rows], quantile=rank_quantiles(runs)[rows], score=score,
        loss=np.where(finite, loss, np.nan), finite=finite,
    )  # fmt: skip
    groups = table.groupby(keys[rows])
    count, mean, deviation = groups["finite"].mean(), groups["loss"].mean(), groups["loss"].std()
    return groups[[*SETUP, "setup"]].first().assign(
        runs=groups.size(), mean=groups["score"].mean(), squares=groups["score"].var(ddof=0) * groups.size(),
        quantile=groups["quantile"].mean(), spread=(deviation / mean).where(mean > 0), split=(count > 0) & (count < 1),
    )  # fmt: skip


def _row(found: pd.DataFrame) -> list[object]:
    hidden, error = hidden_share(found)
    good = found["spread"][found["quantile"] <= GOOD].dropna()
    return [
        len(found),
        int(found["runs"].sum()),
        found["setup"].nunique(),
        hidden,
        error,
        0.5 + np.arcsin(1 - hidden) / np.pi,
        float(found["spread"].median()),
        float(good.median()) if len(good) >= LEAST else np.nan,
        float(found["split"].mean()),
    ]


def hidden_share(found: pd.DataFrame) -> tuple[float, float]:
    """Return ``hidden`` and its standard error for a table of `configurations`; NaN where it is unknown."""
    sums = _sums(found)
    everything, left = sums.sum(axis=0), sums.sum(axis=0) - sums
    n = len(sums)
    shares = _hidden(left)
    error = np.sqrt((n - 1) / n * ((shares - shares.mean()) ** 2).sum()) if n > 1 else np.nan
    return float(_hidden(everything[None])[0]), float(error)


def _sums(found: pd.DataFrame) -> Floats:
    """Return S_seed, df_seed, S_config, df_config and n_0 df_config of each setup, shape (n_setups, 5)."""
    setup = pd.factorize(found["setup"])[0]
    n, mean = found["runs"].to_numpy(np.float64), found["mean"].to_numpy(np.float64)
    size, count = np.bincount(setup, n), np.bincount(setup)
    centre = (np.bincount(setup, n * mean) / size)[setup]
    parts = [found["squares"].to_numpy(np.float64), n - 1, n * (mean - centre) ** 2]
    summed = [np.bincount(setup, part) for part in parts]
    return np.column_stack([*summed, count - 1, size - np.bincount(setup, n**2) / size])


def _hidden(sums: Floats) -> Floats:
    seed, seed_df, config, config_df, n0_df = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):  # a group without two configurations in a setup is NaN
        noise = seed / seed_df
        signal = np.maximum((config / config_df - noise) * config_df / n0_df, 0)
        return np.asarray(noise / (noise + signal))
