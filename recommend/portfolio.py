"""The choice of a few configurations among the elites, so that the best of the first k is good for every k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..features import Space
from ..features.dimension import Floats
from .search import Elites

DRAWS: Final = 512
UNCERTAINTY: Final = 0.4
"""Standard deviation of the ranking score's systematic error, in normal scores."""
REACH: Final = 0.15
"""Distance in the unit cube over which the errors of two configurations are alike."""
WORTH: Final = 0.01
"""A configuration pays if its gain is at least this share of the first's."""


@dataclass(frozen=True)
class Portfolio:
    """Which elites to try, in which order, and what each adds.

    Parameters
    ----------
    chosen : ndarray of shape (n,)
        Rows of the elites.
    gains : ndarray of shape (n,)
        By how much each lowers the expected best ranking score of those before it, normal scores: 1 is one standard
        deviation among the outcomes of random configurations. The first is measured against an average random
        configuration, whose score is 0. Never rises.
    """

    chosen: NDArray[np.int64]
    gains: Floats

    @property
    def stop_after(self) -> int:
        """After how many it stops paying: the next one's gain is less than `WORTH` of the first's.

        All of them, where none is that small; 1, where even the first is no better than a random configuration.
        """
        small = self.gains < WORTH * self.gains[0]
        small[0] = self.gains[0] <= 0
        return max(int(np.argmax(small)), 1) if small.any() else len(self.gains)


def choose_portfolio(elites: Elites, space: Space, n: int, seed: int) -> Portfolio:
    """Choose n elites, the one with the best score first.

    Draws of the true scores are taken from a normal distribution around the predicted ones, whose errors are
    correlated where configurations are near each other. Of several tasks each draw takes one, with the probability of
    its share, for what the task at hand is like. Greedily, the configuration is added that lowers the expected best of
    the portfolio most (Nemhauser, Wolsey and Fisher 1978 bound what greed costs). The order is that of the choice, as
    it is for this order that the best of the first k is good for every k.
    """
    draws = _draws(elites, space, seed)
    chosen = [0]
    best = draws[:, 0]
    expected = [0.0, best.mean()]
    while len(chosen) < min(n, len(elites.scores)):
        means = np.minimum(best[:, None], draws).mean(axis=0)
        means[chosen] = np.inf
        chosen.append(int(np.argmin(means)))
        best = np.minimum(best, draws[:, chosen[-1]])
        expected.append(best.mean())
    return Portfolio(np.array(chosen), -np.diff(expected))


def _draws(elites: Elites, space: Space, seed: int) -> Floats:
    """Return draws of the true scores, shape (DRAWS, n_elites)."""
    distance = space.distance(elites.units, elites.units)
    covariance = np.exp(-0.5 * (distance / REACH) ** 2) + 1e-6 * np.eye(len(distance))
    noise = np.random.default_rng([seed, 1]).standard_normal((DRAWS, len(distance)))
    return _outlooks(elites, seed) + UNCERTAINTY * noise @ np.linalg.cholesky(covariance).T


def _outlooks(elites: Elites, seed: int) -> Floats:
    """Return what the draws are around, shape (n_elites,); with several tasks, one row a draw."""
    if elites.by_task is None:
        return elites.scores
    tasks = np.random.default_rng([seed, 2]).choice(len(elites.by_task), DRAWS, p=elites.shares)
    return np.asarray(elites.by_task[tasks])
