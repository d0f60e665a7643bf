"""How much each coordinate of the unit cube matters to a function: Sobol's main and total effects.

Notation: f a function of points u uniform in the unit cube of d axes, V its variance, a and b independent points, a_i
the point a with axis i taken from b. The share of V that axis i explains alone (main effect, first-order index) and
together with all others (total effect) are estimated as Saltelli et al. (2010, Computer Physics Communications 181) and
Jansen (1999, Computer Physics Communications 117) do:

    main_i  = E[f(b) (f(a_i) - f(a))] / V,
    total_i = E[(f(a) - f(a_i))^2] / (2 V).

The total effect sums up what functional ANOVA (Hutter, Hoos and Leyton-Brown 2014) gives to all terms with the axis;
the difference of both is interaction. Without interactions they are equal and sum to 1 over the axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .sample import Floats


@dataclass(frozen=True, eq=False)
class Indices:
    """Main and total effects of d axes on several functions.

    Parameters
    ----------
    main, total : ndarray of shape (n_functions, d)
        NaN where a function is constant. Estimates, so main may be below 0.
    """

    main: Floats
    total: Floats


def sobol_indices(judge: Callable[[Floats], Floats], dimensions: int, pairs: int, rng: np.random.Generator) -> Indices:
    """Estimate the indices from one call of the function with pairs * (dimensions + 2) points.

    Parameters
    ----------
    judge : callable
        Points of shape (n, dimensions) -> values of shape (n, n_functions).
    dimensions : int
        d.
    pairs : int
        Pairs (a, b): a Latin hypercube of 2 d axes.
    rng : Generator
        Where chance comes from.
    """
    a, b = np.hsplit(latin_hypercube(pairs, 2 * dimensions, rng), 2)
    axes = np.arange(dimensions)
    mixed = np.repeat(a[None], dimensions, axis=0)
    mixed[axes, :, axes] = b.T
    values = judge(np.concatenate([a[None], b[None], mixed]).reshape(-1, dimensions))
    values = values.reshape(dimensions + 2, pairs, -1)
    values -= values[:2].mean(axis=(0, 1))
    ends, moved = values[:2], values[2:]
    variance = ends.var(axis=(0, 1), ddof=1)
    variance = np.where(variance > 0, variance, np.nan)
    step = moved - ends[0]
    main, total = (ends[1] * step).mean(axis=1) / variance, (step**2).mean(axis=1) / (2 * variance)
    return Indices(main.T, total.T)


def latin_hypercube(n: int, dimensions: int, rng: np.random.Generator) -> Floats:
    """Return n points of the unit cube, one in each n-th of every axis (McKay et al. 1979); shape (n, dimensions)."""
    cells = rng.permuted(np.tile(np.arange(n), (dimensions, 1)), axis=1).T
    return (cells + rng.random((n, dimensions))) / n
