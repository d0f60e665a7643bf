"""Configurations of several setups and how good each is in its own: what every insight is drawn from.

The runs of a corpus are one such sample, random configurations that a surrogate has judged are another; the same
functions read good regions and moving optima off both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from ..corpus.schema import HP_PREFIX, SETUP, hparam_columns
from ..features import Hyperparameter
from ..surrogate.targets import random_runs, rank_quantiles, setup_codes

Floats = NDArray[np.float64]
BEST: Final = 0.05
"""Share of a setup's configurations that counts as its best part."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Random configurations, one row each, with their place in their setup.

    Parameters
    ----------
    table : DataFrame
        The columns of a setup, and ``hp_<name>``; null where a configuration lacks a hyperparameter.
    quantiles : ndarray of shape (n,)
        Rank quantile within the setup, in (0, 1); 0 is best.
    """

    table: pd.DataFrame
    quantiles: Floats

    @classmethod
    def from_runs(cls, runs: pd.DataFrame) -> Sample:
        """Take the random runs of a corpus (`surrogate.targets.random_runs`), the first of each configuration.

        A configuration that was trained with several seeds would else count several times.
        """
        configuration = [*SETUP, *hparam_columns(runs.columns)]
        kept = runs[random_runs(runs) & ~runs.duplicated(configuration).to_numpy(bool)].reset_index(drop=True)
        return cls(kept, rank_quantiles(kept))

    @cached_property
    def setups(self) -> NDArray[np.int64]:
        """The number of each row's setup, from 0; shape (n,)."""
        return setup_codes(self.table)

    @cached_property
    def scores(self) -> Floats:
        """The normal score of each quantile, shape (n,): Phi^-1(quantile), lower is better."""
        return np.asarray(ndtri(self.quantiles))

    @cached_property
    def best(self) -> NDArray[np.bool_]:
        """Which rows are in the best `BEST` of their setup; none in a setup of fewer than 1 / (2 `BEST`) rows."""
        return self.quantiles <= BEST

    def encoded(self, item: Hyperparameter) -> Floats:
        """Return a hyperparameter on its scale (a choice as its index), NaN where a row lacks it; shape (n,)."""
        column = HP_PREFIX + item.name
        if column not in self.table:
            return np.full(len(self.table), np.nan)
        values = self.table[column]
        if item.scale == "category":
            values = values.astype(object).where(values.notna(), None).map(str, na_action="ignore")
        return item.encode(values)


def known_hyperparameters(runs: pd.DataFrame) -> dict[str, Hyperparameter]:
    """Return every hyperparameter that some run has, by name, with its scale."""
    columns = [column for column in hparam_columns(runs.columns) if runs[column].notna().any()]
    names = [column.removeprefix(HP_PREFIX) for column in columns]
    return {name: Hyperparameter.from_values(name, runs[HP_PREFIX + name]) for name in names}


def merge_hyperparameters(
    corpus: dict[str, Hyperparameter], surrogate: dict[str, Hyperparameter]
) -> dict[str, Hyperparameter]:
    """Return the hyperparameters of both, so that the values of both can be encoded.

    A category has the choices of both; a number on different scales is compared on the linear one.

    Raises
    ------
    ValueError
        A hyperparameter is a number in one and a category in the other.
    """
    both = {name: _merge(item, surrogate[name]) for name, item in corpus.items() if name in surrogate}
    return surrogate | corpus | both


def _merge(one: Hyperparameter, other: Hyperparameter) -> Hyperparameter:
    if (one.scale == "category") != (other.scale == "category"):
        raise ValueError(
            f"{one.name} is a {_kind(one)} in the corpus, but a {_kind(other)} in the models; give models that were "
            f"fitted on runs like these, or none."
        )
    scale = one.scale if one.scale == other.scale else "linear"
    choices = tuple(sorted({*one.choices, *other.choices}))
    return Hyperparameter(one.name, scale, one.integer and other.integer, choices)


def _kind(item: Hyperparameter) -> str:
    return "choice" if item.scale == "category" else "number"


def decode(item: Hyperparameter, numbers: Floats) -> Floats:
    """Turn numbers on a hyperparameter's scale back into its values; whole ones are rounded, NaN stays."""
    values = np.exp(numbers) if item.scale == "log" else np.asarray(numbers, dtype=np.float64)
    return np.round(values) if item.integer else values


def mean_and_error(values: Floats) -> tuple[float, float, int]:
    """Return mean, standard error of the mean and number of the values that are not NaN; NaN where there are too few.

    The standard error is s / sqrt(n), with s the standard deviation with n - 1.
    """
    known = values[~np.isnan(values)]
    n = len(known)
    mean = float(known.mean()) if n else np.nan
    error = float(known.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return mean, error, n
