"""How the optimum moves: the best part's centre, setup by setup, compared between tasks, architectures, depths, sizes.

Notation: in setup s, b_s is the mean of the best part's values on the hyperparameter's scale, a_s that of all its
configurations; for a category both are vectors, the shares of its choices. A group's optimum is the mean of its setups'
b_s, with the standard error of a mean over setups. How far a grouping explains where the optimum is, is measured on the
shifts b_s - a_s, so that setups which merely tried other values do not count as having another optimum: epsilon squared
(`effects`) of the shifts over the groups, sums of squares added up over the choices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import SETUP
from ..features import Hyperparameter
from .sample import Floats, Sample, decode

GROUPINGS: Final = ("task_type", "architecture", "n_layers", "max_params")
LEAST: Final = 3
"""Setups in a group, at least."""


@dataclass(frozen=True, eq=False)
class Centres:
    """The centres of one hyperparameter in the setups that have a best part.

    Parameters
    ----------
    item : Hyperparameter
    setups : DataFrame of n_setups rows
        The columns of a setup.
    best, everyone : ndarray of shape (n_setups, 1), or (n_setups, n_choices) for a category
        b_s and a_s.
    """

    item: Hyperparameter
    setups: pd.DataFrame
    best: Floats
    everyone: Floats

    @classmethod
    def of(cls, sample: Sample, item: Hyperparameter) -> Centres:
        """Compute them from a sample."""
        values = sample.encoded(item)
        rows = np.flatnonzero(~np.isnan(values))
        table = _columns(values[rows], item)
        codes, best = sample.setups[rows], sample.best[rows]
        everyone, centre = table.groupby(codes).mean(), table[best].groupby(codes[best]).mean()
        setups = sample.table[list(SETUP)].groupby(sample.setups).first().loc[centre.index]
        return cls(item, setups.reset_index(drop=True), centre.to_numpy(), everyone.loc[centre.index].to_numpy())

    def groups(self, by: str) -> Iterator[tuple[Any, NDArray[np.int64]]]:
        """Yield each group of at least `LEAST` setups with the numbers of its setups; nothing if it is only one."""
        indices: dict[Any, Any] = self.setups.groupby(by).indices
        found = {key: np.asarray(rows) for key, rows in indices.items() if len(rows) >= LEAST}
        if len(found) > 1:
            for key in sorted(found):
                yield key, found[key]

    def explained(self, by: str) -> float:
        """Return which share of the shifts' variance between setups a grouping explains, corrected for chance."""
        groups, shifts = [rows for _, rows in self.groups(by)], self.best - self.everyone
        n, count = sum(map(len, groups)), len(groups)
        if count < 2 or n <= count:
            return np.nan
        kept = shifts[np.concatenate(groups)]
        total = ((kept - kept.mean(axis=0)) ** 2).sum()
        within = sum(((shifts[rows] - shifts[rows].mean(axis=0)) ** 2).sum() for rows in groups)
        return float(1 - (n - 1) / (n - count) * within / total) if total > 0 else np.nan


def _columns(values: Floats, item: Hyperparameter) -> pd.DataFrame:
    if item.scale != "category":
        return pd.DataFrame(values)
    return pd.DataFrame((values[:, None] == np.arange(len(item.choices))).astype(np.float64))


def moves(sample: Sample, items: dict[str, Hyperparameter]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return where the optimum is in every group, for numbers and for choices, and how far groupings explain it.

    Returns
    -------
    numbers : DataFrame
        ``hyperparameter``, ``by`` (one of `GROUPINGS`), ``group``, ``setups``, ``best`` (the group's optimum, in the
        hyperparameter's unit), ``low``, ``high`` (two standard errors either side), ``all`` (centre of all
        configurations).
    choices : DataFrame
        ``hyperparameter``, ``by``, ``group``, ``setups``, ``choice``, ``share`` (of the best part, mean over setups),
        ``share_se``, ``all_share``.
    explained : DataFrame
        ``hyperparameter``, ``by``, ``explained``.
    """
    centres = [Centres.of(sample, item) for item in items.values()]
    numbers = [row for each in centres if each.item.scale != "category" for row in _numbers(each)]
    made = [row for each in centres if each.item.scale == "category" for row in _choices(each)]
    shares = [[each.item.name, by, each.explained(by)] for each in centres for by in GROUPINGS]
    return (
        pd.DataFrame(numbers, columns=["hyperparameter", "by", "group", "setups", "best", "low", "high", "all"]),
        pd.DataFrame(
            made,
            columns=["hyperparameter", "by", "group", "setups", "choice", "share", "share_se", "all_share"],
        ),
        pd.DataFrame(shares, columns=["hyperparameter", "by", "explained"]).dropna(ignore_index=True),
    )


def _numbers(centres: Centres) -> Iterator[list[object]]:
    for by in GROUPINGS:
        for group, rows in centres.groups(by):
            best, error = _mean(centres.best[rows])
            ends = np.concatenate([best, best - 2 * error, best + 2 * error, centres.everyone[rows].mean(axis=0)])
            yield [centres.item.name, by, group, len(rows), *decode(centres.item, ends).tolist()]


def _choices(centres: Centres) -> Iterator[list[object]]:
    for by in GROUPINGS:
        for group, rows in centres.groups(by):
            share, error = _mean(centres.best[rows])
            usual = centres.everyone[rows].mean(axis=0)
            for choice, *numbers in zip(centres.item.choices, share, error, usual, strict=True):
                yield [centres.item.name, by, group, len(rows), choice, *map(float, numbers)]


def _mean(values: Floats) -> tuple[Floats, Floats]:
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
