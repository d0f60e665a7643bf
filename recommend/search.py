"""Search of the surrogate: random configurations, refined by mutation and crossover, judged with their neighbourhood.

A vectorised evolutionary search: every generation is one call of the surrogate. Its elites enter an Optuna study, which
is what the rest of the package, and the user, works with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..features import Encoder
from ..features.coverage import STEPS
from ..features.dimension import Floats
from ..features.space import DEPTH, Space, as_rows
from ..surrogate import Surrogate
from ..surrogate.evolution import evolve
from .query import Query

if TYPE_CHECKING:
    import optuna

SPREADS: Final = tuple(0.15 / 2**generation for generation in range(5))
"""Standard deviations of the mutations, in the unit cube, of each generation."""
ELITES: Final = 64
"""Configurations that are judged with their neighbourhood and enter the study."""
NEIGHBOURS: Final = 8
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
    """

    units: Floats
    scores: Floats


def query_rows(query: Query, units: Floats) -> dict[str, NDArray[Any]]:
    """Turn points of the query's space into rows for the encoder, moved to the nearest that the corpus covers."""
    columns = query.space.columns(units)
    near = dict(query.covered_depths)
    asked = columns[DEPTH] if DEPTH in columns else np.full(len(units), query.covered_depths[0][0])
    depth = np.array([near[int(layers)] for layers in asked], dtype=np.float64)
    if STEPS in columns and query.covered_steps is not None:
        columns[STEPS] = np.clip(columns[STEPS].astype(np.float64), *query.covered_steps)
    return as_rows(columns, query.architecture, query.task, depth, query.covered_params)


def search_elites(surrogate: Surrogate, query: Query) -> Elites:
    """Return the best configurations of the query's space, by the surrogate, best first."""
    rng = np.random.default_rng(query.seed)
    space, encoder = query.space, surrogate.encoder

    def judge(units: Floats) -> Floats:
        return surrogate.score(_matrix(encoder, query, units))

    units, scores = evolve(judge, len(space.dimensions), SPREADS, rng)
    best = np.argsort(scores, kind="stable")
    best = best[: 2 * ELITES]  # generous, as some repeat each other
    best = best[_first_of_each(space, units[best])][:ELITES]
    robust = (scores[best] + _neighbourhood(units[best], judge, rng)) / 2
    order = np.argsort(robust, kind="stable")
    return Elites(units[best][order], robust[order])


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


def _matrix(encoder: Encoder, query: Query, units: Floats) -> Floats:
    return encoder.transform(query_rows(query, units))


def _first_of_each(space: Space, units: Floats) -> NDArray[np.int64]:
    """Return the rows of configurations that no earlier row repeats (categories and whole numbers may coincide)."""
    columns = space.columns(units)
    keys = [np.unique(values.astype(str), return_inverse=True)[1] for values in columns.values()]
    if not keys:
        return np.array([0])
    return np.sort(np.unique(np.column_stack(keys), axis=0, return_index=True)[1])


def _neighbourhood(units: Floats, judge: Any, rng: np.random.Generator) -> Floats:
    """Return the mean score of random neighbours of each point, shape (n,)."""
    steps = NEIGHBOURHOOD * rng.standard_normal((len(units), NEIGHBOURS, units.shape[1]))
    around = np.clip(units[:, None, :] + steps, 0, 1).reshape(len(units) * NEIGHBOURS, units.shape[1])
    return judge(around).reshape(len(units), NEIGHBOURS).mean(axis=1)
