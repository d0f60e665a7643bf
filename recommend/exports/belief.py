"""Where the good values of a parameter lie: a centre and a spread, from the elites of the search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ...features import Dimension
from ...features.dimension import Value

NARROWEST: Final = 0.02
"""Smallest spread, as a share of the axis: elites that agree exactly are no proof that the neighbours are worse."""

UNIFORM: Final = 1 / math.sqrt(12)
"""Standard deviation of a uniform distribution on the axis."""
EDGE: Final = 0.02
"""How near to an end of the axis the mean of a beta distribution may be."""


@dataclass(frozen=True)
class Belief:
    """The prior of one parameter.

    A number's centre and spread are mean and standard deviation of the elites' values on the parameter's scale (of the
    logarithms for a log scale), each elite counting the same. A category has weights instead: a choice's share among
    the elites, each choice counted once more than it occurs, so that none is impossible.

    Parameters
    ----------
    centre : str, int or float
        The middle of the good values; of a category the most frequent choice.
    mean, spread : float
        The centre and the standard deviation as shares of the parameter's axis, 0 to 1; for a category 0.5 and 1.
    weights : tuple of float
        Probability of each choice, in the order of the dimension's choices; empty for a number.
    """

    centre: Value
    mean: float = 0.5
    spread: float = 1.0
    weights: tuple[float, ...] = ()

    @property
    def beta(self) -> tuple[float, float]:
        """The parameters (alpha, beta) of the beta distribution on the axis with that mean and spread.

        By moments: alpha + beta = mean (1 - mean) / spread**2 - 1. Where that makes one less than 1 (a density without
        bound), the distribution is the widest with this mean and both at least 1; see `bounded`.
        """
        mean, total, least = self._moments
        total = max(total, least)
        return max(mean * total, 1.0), max((1 - mean) * total, 1.0)

    @property
    def bounded(self) -> bool:
        """Whether `beta` is narrower than the spread."""
        _, total, least = self._moments
        return total < least

    @property
    def _moments(self) -> tuple[float, float, float]:
        """Mean, alpha + beta by moments, and the least alpha + beta that makes both at least 1."""
        mean = min(max(self.mean, EDGE), 1 - EDGE)
        return mean, mean * (1 - mean) / self.spread**2 - 1, 1 / min(mean, 1 - mean)


def believe(dimension: Dimension, values: Sequence[Value]) -> Belief:
    """Return the prior of a parameter.

    Parameters
    ----------
    dimension : Dimension
        The parameter, as exported.
    values : sequence
        Its values among the elites, all inside the dimension, best first. Without any (its condition holds for none of
        them): the middle of the axis and the spread of a uniform distribution, or equal weights.
    """
    if dimension.choices:
        counts = np.array([values.count(choice) for choice in dimension.choices])
        shares = (counts + 1) / (counts + 1).sum()
        return Belief(dimension.choices[int(np.argmax(counts))], weights=tuple(shares.tolist()))
    units = dimension.units(np.array(values)) if len(values) else np.array([0.5 - UNIFORM, 0.5 + UNIFORM])
    centre = dimension.values(np.array([units.mean()]))[0]
    return Belief(
        round(centre) if dimension.integer else float(centre),
        float(units.mean()),
        max(float(units.std()), NARROWEST),
    )
