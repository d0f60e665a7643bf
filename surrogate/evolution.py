"""A vectorised evolutionary search of the unit cube: each generation is one call of the function that judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from .boosting import Floats

RANDOM: Final = 800
"""Random points to start from."""
CHILDREN: Final = 250
"""Points a generation."""
PARENTS: Final = 20


def evolve(
    judge: Callable[[Floats], Floats], dimensions: int, spreads: Sequence[float], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Minimise a function on the unit cube.

    Parameters
    ----------
    judge : callable
        Points of shape (n, dimensions) -> scores of shape (n,), lower is better.
    dimensions : int
        0 is allowed: the one point is judged.
    spreads : sequence of float
        Standard deviation of the mutations in each generation; their number is that of the generations.
    rng : Generator
        Where chance comes from.

    Returns
    -------
    units, scores : ndarray of shape (n, dimensions), ndarray of shape (n,)
        All points that were judged, in the order in which they were.
    """
    units = rng.random((RANDOM if dimensions else 1, dimensions))
    scores = judge(units)
    for spread in spreads if dimensions else ():
        best = np.argsort(scores, kind="stable")[:PARENTS]
        children = _children(units[best], spread, rng)
        units, scores = np.vstack([units, children]), np.concatenate([scores, judge(children)])
    return units, scores


def _children(parents: Floats, spread: float, rng: np.random.Generator) -> Floats:
    """Cross two parents gene by gene, then move a third of the genes by a normal step, reflected at the borders."""
    shape = (CHILDREN, parents.shape[1])
    first, second = (parents[rng.integers(len(parents), size=CHILDREN)] for _ in range(2))
    child = np.where(rng.random(shape) < 0.5, first, second)
    return _reflect(child + spread * rng.standard_normal(shape) * (rng.random(shape) < 1 / 3))


def _reflect(units: Floats) -> Floats:
    return 1 - np.abs(1 - np.abs(units) % 2)
