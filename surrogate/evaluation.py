"""How good a surrogate is, measured setup by setup on runs it has not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import SETUP
from .targets import setup_codes, usable_loss


def score_setups(runs: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Score predictions against the real losses of each setup.

    Parameters
    ----------
    runs : DataFrame of n_runs rows
        Runs in the corpus schema. A diverged run counts as worse than every other.
    prediction : DataFrame of n_runs rows
        What `Surrogate.predict` gave for them, same order.

    Returns
    -------
    DataFrame
        One row a setup, indexed by it: ``runs``; ``spearman`` (rank correlation of score and loss, 1 is perfect, null
        if either is constant); ``better_than_first`` (share of the setup's runs that are better than the run with the
        best score, 0 is perfect); ``coverage`` (share of losses inside the interval).
    """
    codes, loss = setup_codes(runs), usable_loss(runs)
    table = pd.DataFrame({"code": codes, "loss": loss, "score": prediction["score"].to_numpy()})
    ranks = table.groupby("code")[["loss", "score"]].rank()
    spearman = _correlation(ranks["loss"].to_numpy(), ranks["score"].to_numpy(), codes)
    first = table.loc[table.groupby("code")["score"].idxmin()].set_index("code")["loss"]
    better = (table["loss"] < table["code"].map(first)).groupby(codes).mean()
    inside = (loss >= prediction["low"].to_numpy()) & (loss <= prediction["high"].to_numpy())
    setups = runs.loc[:, list(SETUP)].assign(code=codes).drop_duplicates("code").set_index("code").sort_index()
    setups["runs"] = table.groupby("code").size()
    setups["spearman"] = spearman
    setups["better_than_first"] = better
    setups["coverage"] = pd.Series(inside).groupby(codes).mean()
    return setups.set_index(list(SETUP))


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64], group: NDArray[np.int64]) -> pd.Series:
    """Return Pearson's correlation of x and y in each group (of ranks: Spearman's rho)."""
    frame = pd.DataFrame({"x": x, "y": y})
    centred = frame - frame.groupby(group).transform("mean")
    products = pd.DataFrame({"xy": centred["x"] * centred["y"], "xx": centred["x"] ** 2, "yy": centred["y"] ** 2})
    sums = products.groupby(group).sum()
    spread = (sums["xx"] * sums["yy"]) ** 0.5
    return sums["xy"] / spread.where(spread > 0)
