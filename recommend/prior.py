"""What a search believes before its first trial: the surrogate's scores of one setup, for any search space."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..features import Dimension
from ..features.dimension import Floats
from ..surrogate.library import get_surrogate
from .forecast import scores
from .query import Query
from .search import search_elites

Columns = Mapping[str, NDArray[Any]]


class Prior(Protocol):
    """Anything that judges configurations before a trial has been made."""

    @property
    def distributions(self) -> dict[str, Any]:
        """The parameters that it knows, as Optuna distributions, by name."""
        ...

    def score(self, columns: Columns, n: int) -> Floats:
        """Return a score for each of n configurations, shape (n,): lower is better, about variance 1 at random.

        Parameters
        ----------
        columns : mapping
            Parameter to its n values. It may lack some that the prior knows, have some that it does not, and have
            values that it never saw: the prior makes the best of it.
        n : int
        """
        ...


@dataclass(frozen=True)
class SurrogatePrior:
    """The surrogate's ranking score in the setup that a query asks about.

    A number outside what the surrogate covers counts as the nearest inside. A choice that the surrogate does not know,
    a hyperparameter that the study does not suggest, and a null count as that of the best configuration that a search
    of the surrogate finds.

    Parameters
    ----------
    query : Query
        The setup and the space.
    models : path, optional
        Folder that ``rnn-warmstart fit`` wrote. Default: the models shipped with the package.
    """

    query: Query
    models: str | os.PathLike[str] | None = None

    @property
    def distributions(self) -> dict[str, Any]:
        """The query's space, as Optuna distributions, by name."""
        return self.query.space.distributions()

    def score(self, columns: Columns, n: int) -> Floats:
        """Return the ranking score of each of n configurations, shape (n,); lower is better."""
        return scores(get_surrogate(self.models), self.query, self._units(columns, n))

    def _units(self, columns: Columns, n: int) -> Floats:
        units = np.empty((n, len(self.query.space.dimensions)))
        for axis, item in enumerate(self.query.space.dimensions):
            placed = place(item, columns[item.name]) if item.name in columns else np.full(n, np.nan)
            stray = np.isnan(placed)
            units[:, axis] = placed if not stray.any() else np.where(stray, self._best[axis], placed)
        return units

    @cached_property
    def _best(self) -> Floats:
        return np.asarray(search_elites(get_surrogate(self.models), self.query).units[0])


def place(item: Dimension, values: NDArray[Any]) -> Floats:
    """Return where values lie on a dimension, shape (n,): in [0, 1], or NaN for what it does not know."""
    if item.choices and isinstance(item.choices[0], str):
        places = {choice: (index + 0.5) / len(item.choices) for index, choice in enumerate(item.choices)}
        return np.array([places.get(value, np.nan) for value in values])
    numbers = np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"), dtype=np.float64)
    if item.choices:  # depths: the nearest
        known = np.array(item.choices, dtype=np.float64)
        nearest = np.abs(numbers[:, None] - known[None, :]).argmin(axis=1)
        return np.where(np.isnan(numbers), np.nan, (nearest + 0.5) / len(known))
    inside = np.clip(numbers, item.low, item.high)
    known = ~np.isnan(inside)
    placed = np.full(len(inside), np.nan)
    placed[known] = item.units(inside[known])
    return placed
