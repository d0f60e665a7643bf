"""Where the good configurations are: the values of the best part, compared with all."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ..features import Hyperparameter
from .sample import Floats, Sample, decode

MIDDLE: Final = (0.1, 0.5, 0.9)
"""Quantiles of the best part that a region is described by: its lower end, its middle, its upper end."""
LEAST: Final = 20
"""Fewest configurations in the best part that a region is read off."""


def ranges(sample: Sample, items: dict[str, Hyperparameter]) -> pd.DataFrame:
    """Return the region of every number: where the middle 80 % of the best part lie.

    Returns
    -------
    DataFrame
        One row each: ``hyperparameter``, ``best`` (configurations in the best part), ``low``, ``middle``, ``high`` (its
        10, 50 and 90 % quantiles, in the hyperparameter's unit), ``all_low``, ``all_middle``, ``all_high`` (those of
        all configurations), ``share`` (of all configurations that lie between low and high: 0.8 if the best lie like
        all, less the narrower the region).
    """
    numbers = [item for item in items.values() if item.scale != "category"]
    rows = [row for item in numbers if (row := _range(sample, item)) is not None]
    return pd.DataFrame(rows, columns=_RANGE)


_RANGE: Final = ["hyperparameter", "best", "low", "middle", "high", "all_low", "all_middle", "all_high", "share"]


def _range(sample: Sample, item: Hyperparameter) -> list[object] | None:
    values = sample.encoded(item)
    has = ~np.isnan(values)
    best = values[has & sample.best]
    if len(best) < LEAST:
        return None
    region, everyone = np.quantile(best, MIDDLE), np.quantile(values[has], MIDDLE)
    share = float(((values[has] >= region[0]) & (values[has] <= region[2])).mean())
    return [item.name, len(best), *decode(item, region).tolist(), *decode(item, everyone).tolist(), share]


def choices(sample: Sample, items: dict[str, Hyperparameter]) -> pd.DataFrame:
    """Return how often the best part makes each choice.

    Returns
    -------
    DataFrame
        One row a choice: ``hyperparameter``, ``choice``, ``best`` (configurations in the best part that have the
        hyperparameter), ``share`` (of them that make the choice), ``all_share`` (of all configurations).
    """
    rows = [
        row
        for item in items.values()
        if item.scale == "category"
        for row in _choices(item, sample.encoded(item), sample)
    ]
    return pd.DataFrame(rows, columns=["hyperparameter", "choice", "best", "share", "all_share"])


def _choices(item: Hyperparameter, codes: Floats, sample: Sample) -> list[list[object]]:
    has = ~np.isnan(codes)
    best, everyone = (
        np.bincount(codes[rows].astype(int), minlength=len(item.choices)) for rows in (has & sample.best, has)
    )
    if best.sum() < LEAST:
        return []
    made = zip(item.choices, best / best.sum(), everyone / everyone.sum(), strict=True)
    return [[item.name, choice, int(best.sum()), float(share), float(usual)] for choice, share, usual in made if usual]
