"""A search that starts from the recommendation: an Optuna study with the portfolio enqueued and the warm sampler."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..features.dimension import Value
from ..features.space import DEPTH
from .recommender import recommend

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

    from .cube import Axis
    from .recommendation import Recommendation, RecommendedConfiguration

MARGIN: Final = 0.1
"""How far a narrowed range goes beyond the elites, as a share of the whole range on its scale."""


def warm_study(
    arch: str,
    task: str,
    params: float,
    *,
    n: int = 5,
    depth: int | None = None,
    fixed: Mapping[str, Value] | None = None,
    exclude: Mapping[str, Iterable[Value] | Value] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    max_train_steps: int | None = None,
    max_seconds: float | None = None,
    seconds_per_step: float | None = None,
    storage: str | BaseStorage | None = None,
    study_name: str | None = None,
    direction: str = "minimize",
    pruner: BasePruner | None = None,
    seed: int = 0,
    models: str | os.PathLike[str] | None = None,
) -> Study:
    """Return an Optuna study that begins with the recommended configurations and goes on with a `WarmSampler`.

    The objective suggests what it likes, under the corpus's names (`warm_space` has narrowed distributions, and
    ``recommend(...).query.space.distributions()`` the whole ones); what it does not suggest is no part of the search.

    Any number of workers may call this with the same storage and study name: the one that creates the study enqueues
    the configurations, the others join. A study that exists, however it came about, gets nothing enqueued.

    Parameters
    ----------
    arch, task, params, n, depth, fixed, exclude, ranges, max_train_steps, max_seconds, seconds_per_step, models
        As for `recommend`.
    storage, study_name, pruner
        As for ``optuna.create_study``. Default: a new study in memory, Optuna's default pruner.
    direction : {"minimize", "maximize"}, default "minimize"
        Of the objective's values: "maximize" if it returns, say, an accuracy.
    seed : int, default 0
        Of the recommendation and of the sampler, whose suggestions depend on the trial's number too: workers share it.

    Returns
    -------
    Study
        Each enqueued trial has the user attributes ``rank`` (1 is to be tried first), ``predicted_loss``, ``interval``
        (90 %), ``p_diverge``, ``expected_rank``, ``gain``, ``n_layers`` and ``hidden_units``, as a
        `RecommendedConfiguration` has them.

    Raises
    ------
    ValueError
        As `recommend` does, or the study exists with another direction.
    """
    from .prior import SurrogatePrior
    from .sampler import WarmSampler

    found = recommend(
        arch,
        task,
        params,
        depth=depth,
        n=n,
        fixed=fixed,
        exclude=exclude,
        ranges=ranges,
        max_train_steps=max_train_steps,
        max_seconds=max_seconds,
        seconds_per_step=seconds_per_step,
        seed=seed,
        models=models,
    )
    sampler = WarmSampler(SurrogatePrior(found.query, models), seed=seed)
    study, created = _create_or_load(storage, study_name, direction, {"sampler": sampler, "pruner": pruner})
    for rank, item in enumerate(found if created else (), start=1):
        study.enqueue_trial(_parameters(found, item), user_attrs={"rank": rank, **_expected(item)})
    return study


def warm_space(found: Recommendation) -> dict[str, BaseDistribution]:
    """Return distributions narrowed to where the recommendation's elites lie, by parameter.

    A number's range is that of the elites and a tenth of the whole range, on its scale, beyond either end, but never
    beyond the whole range; a category keeps the choices that some elite has. The elites are the best few dozen
    configurations of the surrogate's search, so all recommended ones are inside. Pass them to ``study.ask``, or suggest
    from them by hand.

    Parameters
    ----------
    found : Recommendation
        From `recommend`, asked as the study.

    Returns
    -------
    dict
        Name to Optuna distribution, for everything that varies.
    """
    from .cube import Cube

    columns = found.query.space.columns(found.elites.units)
    return {
        axis.name: _narrow(axis, [value for value in columns[axis.name] if value is not None])
        for axis in Cube(found.query.space.distributions()).axes
    }


def _narrow(axis: Axis, values: list[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    whole: Any = axis.distribution
    if isinstance(whole, CategoricalDistribution):
        return CategoricalDistribution([choice for choice in whole.choices if choice in values])
    ends = np.array([axis.unit(min(values)) - MARGIN, axis.unit(max(values)) + MARGIN])
    low, high = axis.values(np.clip(ends, 0, 1))
    if isinstance(whole, IntDistribution):
        return IntDistribution(int(low), int(high), log=whole.log)
    return FloatDistribution(float(low), float(high), log=whole.log)


def _create_or_load(storage: Any, name: str | None, direction: Any, tools: dict[str, Any]) -> tuple[Study, bool]:
    """Return the study and whether this call made it; of any number of workers, the storage lets one make it."""
    import optuna
    from optuna.exceptions import DuplicatedStudyError

    try:
        return optuna.create_study(storage=storage, study_name=name, direction=direction, **tools), True
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage, **tools)
    known = [item.name.lower() for item in study.directions]
    if known != [direction]:
        raise ValueError(
            f"The study {name!r} exists with direction {', '.join(known)}, but direction={direction!r} was asked for; "
            f"ask for the study's own, or choose another study_name."
        )
    return study, False


def _parameters(found: Recommendation, item: RecommendedConfiguration) -> dict[str, Value]:
    depth = {DEPTH: item.n_layers} if DEPTH in found.query.space.names else {}
    return dict(item.hparams) | depth


def _expected(item: RecommendedConfiguration) -> dict[str, Any]:
    """Return what a study keeps of a configuration, as JSON values."""
    told = item.to_dict()
    names = ("predicted_loss", "interval", "p_diverge", "expected_rank", "gain", "n_layers", "hidden_units")
    return {name: told[name] for name in names}
