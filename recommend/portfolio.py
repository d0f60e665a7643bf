"""The choice of a few configurations among the elites, so that the best of the first k is good for every k."""

from __future__ import annotations

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


def choose_portfolio(elites: Elites, space: Space, n: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of n elites, best first.

    Draws of the true scores are taken from a normal distribution around the predicted ones, whose errors are
    correlated where configurations are near each other. Greedily, the configuration is added that lowers the expected
    best of the portfolio most (Nemhauser, Wolsey and Fisher 1978 bound what greed costs). The chosen are then put in
    the order of their own scores.
    """
    draws = _draws(elites, space, seed)
    chosen: list[int] = [0]
    best = draws[:, 0]
    while len(chosen) < min(n, len(elites.scores)):
        gains = np.minimum(best[:, None], draws).mean(axis=0)
        gains[chosen] = np.inf
        chosen.append(int(np.argmin(gains)))
        best = np.minimum(best, draws[:, chosen[-1]])
    return np.sort(np.array(chosen))


def _draws(elites: Elites, space: Space, seed: int) -> Floats:
    """Return draws of the true scores, shape (DRAWS, n_elites)."""
    distance = space.distance(elites.units, elites.units)
    covariance = np.exp(-0.5 * (distance / REACH) ** 2) + 1e-6 * np.eye(len(distance))
    noise = np.random.default_rng([seed, 1]).standard_normal((DRAWS, len(distance)))
    return elites.scores + UNCERTAINTY * noise @ np.linalg.cholesky(covariance).T
