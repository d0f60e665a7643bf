"""Search of the surrogate: random configurations, refined by mutation and crossover, judged with their neighbourhood.

A vectorised evolutionary search: every generation is one call of the surrogate. Its elites enter an Optuna study, which
is what the rest of the package, and the user, works with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..features.dimension import Floats
from ..features.space import Space
from ..surrogate import Surrogate
from ..surrogate.evolution import evolve
from .forecast import Forecast, scores, second_opinions
from .query import Query
from .tolerance import RUNGS, ladder, number_axes, points_on, strains

if TYPE_CHECKING:
    import optuna

SPREADS: Final = tuple(0.15 * 0.7**generation for generation in range(10))
"""Standard deviations of the mutations, in the unit cube, of each generation."""
ELITES: Final = 64
"""Configurations that are judged with their neighbourhood and enter the study."""
EACH: Final = 16
"""Where several tasks are asked about, the best of each alone that join them."""
NEIGHBOURS: Final = 8
RATE: Final = "lr_init"
"""The learning rate's name."""
NEIGHBOURHOOD: Final = 0.045
"""Standard deviation of a neighbour in the unit cube: a factor of 1.5 on a scale of four decades."""


@dataclass(frozen=True)
class Elites:
    """The best configurations found.

    Parameters
    ----------
    units : ndarray of shape (n, n_dimensions)
        Points of the space's unit cube, best first.
    scores : ndarray of shape (n,)
        Ranking score, averaged over the neighbourhood; lower is better.
    by_task : ndarray of shape (n_tasks, n), optional
        What the score is if one of several tasks counts alone, in the order of the query's weights.
    shares : ndarray of shape (n_tasks,), optional
        These weights.
    """

    units: Floats
    scores: Floats
    by_task: Floats | None = None
    shares: Floats | None = None


def search_elites(surrogate: Surrogate, query: Query, judge: Callable[[Floats], Floats] | None = None) -> Elites:
    """Return the best configurations of the query's space, by the surrogate, best first.

    A judge takes the place of the surrogate's scores: points of shape (n, n_dimensions) -> scores, lower is better. The
    best that it finds are judged with their neighbourhood, and with the trees' opinion. Of several tasks the best of
    each alone join them, since the task at hand may be like any one of them rather than like their mean.

    Where at least as many as were asked for tolerate a factor of 1.5 in the learning rate either way, as far as the
    space goes, only those are kept.
    """
    rng = np.random.default_rng(query.seed)
    judge = judge or (lambda units: scores(surrogate, query, units))
    units, found = _search(judge, query.space, ELITES, rng)
    alone = [partial(scores, surrogate, replace(query, weights={task: 1.0})) for task in query.weights]
    if len(alone) > 1:
        others = np.vstack([_search(each, query.space, EACH, rng)[0] for each in alone])
        units = np.vstack([units, others])
        first = _first_of_each(query.space, units)
        units, found = units[first], np.concatenate([found, judge(others)])[first]
    robust = (found + _neighbourhood(units, judge, rng)) / 2 + second_opinions(surrogate, query, units)
    order = np.argsort(robust, kind="stable")
    kept = order[_sturdy(surrogate, query, units[order])]
    if len(alone) == 1:
        return Elites(units[kept], robust[kept])
    by_task, shares = np.stack([each(units[kept]) for each in alone]), np.array(list(query.weights.values()))
    return Elites(units[kept], robust[kept], by_task + (robust[kept] - shares @ by_task), shares)


def _search(
    judge: Callable[[Floats], Floats], space: Space, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the points that a judge likes best, none twice, and their scores, best first."""
    units, found = evolve(judge, len(space.dimensions), SPREADS, rng)
    best = np.argsort(found, kind="stable")[: 2 * count]  # generous, as some repeat each other
    best = best[_first_of_each(space, units[best])][:count]
    return units[best], found[best]


def as_study(query: Query, elites: Elites) -> optuna.Study:
    """Return an in-memory Optuna study whose completed trials are the elites (value: their score, to minimise)."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the user asked for no study, so hears of none
    try:
        study = optuna.create_study(direction="minimize", study_name=f"{query.architecture} on {query.task}")
    finally:
        optuna.logging.set_verbosity(level)
    distributions = query.space.distributions()
    for hparams, score in zip(query.space.configurations(elites.units), elites.scores, strict=True):
        params = {name: value for name, value in hparams.items() if name in distributions}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions={name: distributions[name] for name in params}, value=float(score)
            )
        )
    return study


def _sturdy(surrogate: Surrogate, query: Query, units: Floats) -> NDArray[np.bool_]:
    """Return which configurations tolerate another learning rate; all, if fewer than the query's n do."""
    axes = [axis for axis in number_axes(query.space) if query.space.dimensions[axis].name == RATE]
    if not axes:
        return np.ones(len(units), dtype=bool)
    near = ladder(query.space, units, axes)[..., : RUNGS.index(1.0) + 1]
    forecast = Forecast.of(surrogate, query, np.vstack([units, points_on(near, units, axes)]))
    strain = strains(forecast.part(slice(0, len(units))), forecast.part(slice(len(units), None)))
    sturdy = np.asarray((strain <= 1).all(axis=1))
    return sturdy if sturdy.sum() >= query.n else np.ones(len(units), dtype=bool)


def _first_of_each(space: Space, units: Floats) -> NDArray[np.int64]:
    """Return the rows of configurations that no earlier row repeats (categories and whole numbers may coincide)."""
    columns = space.columns(units)
    keys = [np.unique(values.astype(str), return_inverse=True)[1] for values in columns.values()]
    if not keys:
        return np.array([0])
    return np.sort(np.unique(np.column_stack(keys), axis=0, return_index=True)[1])


def _neighbourhood(units: Floats, judge: Callable[[Floats], Floats], rng: np.random.Generator) -> Floats:
    """Return the mean score of random neighbours of each point, shape (n,)."""
    steps = NEIGHBOURHOOD * rng.standard_normal((len(units), NEIGHBOURS, units.shape[1]))
    around = np.clip(units[:, None, :] + steps, 0, 1).reshape(len(units) * NEIGHBOURS, units.shape[1])
    return judge(around).reshape(len(units), NEIGHBOURS).mean(axis=1)
