"""A search that starts from the recommendation: an Optuna study with the portfolio enqueued and the warm sampler."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..corpus.schema import UNKNOWN_SIZE
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
    from .task_spec import TaskSpec

MARGIN: Final = 0.1
"""How far a narrowed range goes beyond the elites, as a share of the whole range on its scale."""


def warm_study(
    arch: str,
    task: str | TaskSpec,
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
        `RecommendedConfiguration` has them, and ``evidence_1`` to ``evidence_3``: the nearest real runs, a line
        each. The study that is made has ``question`` (see `told_question`), ``stop_after`` and ``warnings``, as the
        `Recommendation` has them.

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
    if created:
        _seed(study, found)
    return study


def told_question(found: Recommendation) -> str:
    """Return what was asked in one line, e.g. "arch=gru, task=rcf, params=10000, n=5, seed=0"."""
    return ", ".join(f"{name}={value}" for name, value in found.query.to_dict().items() if value not in (None, {}))


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
        Name to Optuna distribution, for everything that varies. A hyperparameter whose condition holds for no elite is
        not among them.
    """
    from .cube import Cube

    columns = found.query.space.columns(found.elites.units)
    found_values = {name: [value for value in column if value is not None] for name, column in columns.items()}
    axes = Cube(found.query.space.distributions()).axes
    return {axis.name: narrow(axis, found_values[axis.name]) for axis in axes if found_values[axis.name]}


def narrow(axis: Axis, values: list[Any]) -> BaseDistribution:
    """Return an axis's distribution narrowed to some values, at least one, and `MARGIN` beyond them."""
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


def _seed(study: Study, found: Recommendation) -> None:
    """Write into a new study what was asked and answered, and enqueue the configurations."""
    told = {"question": told_question(found), "stop_after": found.stop_after, "warnings": list(found.warnings)}
    for name, value in told.items():
        study.set_user_attr(name, value)
    for rank, item in enumerate(found, start=1):
        study.enqueue_trial(_parameters(found, item), user_attrs={"rank": rank, **expected(item)})


def _parameters(found: Recommendation, item: RecommendedConfiguration) -> dict[str, Value]:
    depth = {DEPTH: item.n_layers} if DEPTH in found.query.space.names else {}
    return dict(item.hparams) | depth


def expected(item: RecommendedConfiguration) -> dict[str, Any]:
    """Return what a study keeps of a configuration beside its parameters, as JSON values."""
    told = item.to_dict()
    names = ("predicted_loss", "interval", "p_diverge", "expected_rank", "gain", "n_layers", "hidden_units")
    evidence = {f"evidence_{rank}": _told_run(run) for rank, run in enumerate(item.evidence, start=1)}
    return {name: told[name] for name in names} | evidence


def _told_run(run: Mapping[str, Any]) -> str:
    """Return a real run in one line."""
    loss = "diverged" if run["eval_loss"] is None else f"loss {run['eval_loss']:.4g}"
    size = "" if run["max_params"] == UNKNOWN_SIZE else f", {run['max_params']:,} parameters"
    layers = f"{run['n_layers']} layer" + "s" * (run["n_layers"] > 1)
    setup = f"{run['architecture']} on {run['task_type']}, {layers}{size}"
    return f"{loss}: {setup}, {run['similarity']:.0%} alike, from {run['source']}"
