"""A surrogate as a benchmark: the search for hyperparameters of one setup, a ten-thousandth of a second a training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ..corpus.schema import HP_PREFIX
from ..features import Condition, Coverage, Space, check_number, check_whole
from ..features.coverage import STEPS
from ..features.dimension import Floats, Value
from .evolution import evolve
from .library import Folder, fingerprint, get_surrogate, relevant_runs
from .replay import Optimum, Replay
from .setup_model import SetupModel
from .storage import ModelError

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

    from .model import Surrogate

SPREADS: Final = tuple(np.geomspace(0.2, 0.005, 40).tolist())
"""Standard deviations of the mutations, generation by generation, in the search for the optimum."""


@dataclass(frozen=True)
class Fidelity:
    """A hyperparameter that trades cost for quality.

    Parameters
    ----------
    name : str
        Its name in a configuration.
    low, high : int
        Its bounds; `high` is what a configuration without it gets.
    """

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Benchmark:
    """Hyperparameter search on one setup, answered by the surrogate.

    The objective is the loss on the test part at the end of training, in the task's unit, lower is better. It is what
    the models believe, not what a training would give: `replay` has the real runs.

    ``train_steps`` is a fidelity: it is not in `space`, a configuration that does not name it is trained for
    ``fidelity.high`` steps, and one that does for as many as it says, at a cost in proportion. Its highest value is
    that of the corpus's longest training in the setup, or with the nearest size, rounded up to one digit. Longer
    training may be worse, as it is in reality.

    The same call gives the same number in every thread and process on a machine; one configuration alone and among
    others in a batch, but for the rounding of float32, with which the networks compute. A pickled benchmark holds the
    question and the checksum of the models, a few hundred bytes; where it is unpickled, the models are loaded when
    first needed, and others than those it was made with are refused.

    Parameters
    ----------
    arch, task : str
        Architecture and task, both covered by the corpus, and together.
    depth : int
        Layers, one of those that the corpus covers.
    params : float
        Parameter budget, parameters; anything between the smallest and the largest that the corpus covers for that
        architecture, task and depth. Kept as a whole number.
    models : path, optional
        Folder that ``rnn-warmstart fit`` wrote. Default: the models shipped with the package.

    Raises
    ------
    ValueError
        An argument is unknown or outside what the corpus covers; the message says what is allowed. A damaged or missing
        models folder is a `ModelError`, which is a ValueError too.

    Examples
    --------
    >>> import optuna
    >>> from rnn_warmstart import Benchmark
    >>> benchmark = Benchmark("gru", "rcf", depth=2, params=10_000)
    >>> study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    >>> study.optimize(benchmark.trial_objective, n_trials=10)
    >>> bool(study.best_value >= benchmark.optimum.loss)
    True

    The fidelity: the more steps, the lower the loss of a good configuration.

    >>> best = benchmark.optimum.config
    >>> losses = [benchmark.objective(best | {"train_steps": steps}) for steps in (100, 400, 1600, 4000)]
    >>> losses == sorted(losses, reverse=True)
    True
    """

    arch: str
    task: str
    depth: int
    params: float
    models: str | os.PathLike[str] | None = field(default=None, kw_only=True)
    fingerprint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        models = None if self.models is None else os.path.abspath(self.models)
        surrogate = get_surrogate(models)
        checked = _check_setup(surrogate, models, self.arch, self.task, self.depth, self.params)
        for name, value in (*checked.items(), ("models", models), ("fingerprint", fingerprint(models))):
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def _model(self) -> SetupModel:
        found = fingerprint(self.models)
        if found != self.fingerprint:
            where = "The models shipped with this package" if self.models is None else f"The models in {self.models}"
            raise ModelError(
                f"{where} are not those that this benchmark was made with: SHA-256 of their registry expected "
                f"{self.fingerprint}, got {found or 'nothing'}. Make the benchmark again, or bring back its models."
            )
        models = None if self.models is None else os.fspath(self.models)
        return _setup_model(models, self.fingerprint, self.arch, self.task, self.depth, int(self.params))

    @cached_property
    def _varying(self) -> Space:
        """What a search varies: everything but the fidelity."""
        space = self._model.space
        return Space(
            tuple(item for item in space.dimensions if item.name != STEPS),
            {name: value for name, value in space.fixed.items() if name != STEPS},
            space.conditions,
        )

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """What to search, as Optuna distributions, by name; `conditions` says which exist only under a condition."""
        return self._varying.distributions()

    @property
    def conditions(self) -> dict[str, Condition]:
        """The conditional hyperparameters of `space`: each exists only where its parent is one of the choices.

        A configuration may leave out what does not exist; given all the same, it makes no difference.
        """
        return {item.name: item.condition for item in self._varying.dimensions if item.condition}

    @property
    def fidelity(self) -> Fidelity | None:
        """The fidelity ``train_steps``, in steps; None where the corpus has no such hyperparameter."""
        found = [item for item in self._model.space.dimensions if item.name == STEPS]
        return Fidelity(STEPS, int(found[0].low), int(found[0].high)) if found else None

    def configspace(self) -> ConfigurationSpace:
        """Return `space`, with its conditions, for the package ConfigSpace.

        Raises
        ------
        ModuleNotFoundError
            ConfigSpace is not installed: ``pip install 'rnn-warmstart[configspace]'``.
        """
        return self._varying.configspace(f"{self.arch} on {self.task}")

    def objective(self, config: Mapping[str, Any], seed: int | None = None) -> float:
        """Return the loss of a configuration, in the task's unit, lower is better.

        Parameters
        ----------
        config : mapping
            A value for every name in `space`, conditional ones where they exist, and the fidelity, if it is not to be
            the highest.
        seed : int, optional
            Default: the median over seeds, always the same. With a seed, the loss that one training might have: with
            noise as between real runs that differ in nothing but their seeds, and NaN if it diverged, which happens
            with the predicted probability. Optuna records a NaN as a failed trial and goes on. Noise is independent
            between configurations, seeds and setups, and the same for the same three.

        Raises
        ------
        ValueError
            A name is unknown, a value is missing or outside the space, or the models know no seed noise.
        """
        full = self._complete(config)
        if seed is None:
            return self._model.loss(full)
        return self._model.draw(full, check_whole("seed", seed, 0))

    def batch(self, frame: pd.DataFrame | Mapping[str, Any], seed: int | None = None) -> Floats:
        """Return what `objective` returns for many configurations at once, shape (n,).

        Parameters
        ----------
        frame : DataFrame or mapping
            A row a configuration, a column a hyperparameter; null where a hyperparameter does not exist. A column of
            fidelities may be left out.
        seed : int, optional
            As for `objective`.
        """
        columns = self._columns(frame)
        if seed is None:
            return self._model.losses(columns)
        return self._model.draws(columns, check_whole("seed", seed, 0))

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Draw n random configurations of `space`, uniformly on the scale of each hyperparameter, for `batch`."""
        space = self._varying
        columns = space.columns(space.sample(check_whole("n", n, 1), np.random.default_rng(seed)))
        return pd.DataFrame(columns)[list(self.space)]

    def suggest(self, trial: BaseTrial) -> dict[str, Value]:
        """Let an Optuna trial choose a configuration of `space`; only what exists is suggested."""
        return self._varying.suggest(trial)

    def trial_objective(self, trial: BaseTrial) -> float:
        """Suggest and judge: ``study.optimize(benchmark.trial_objective, n_trials=100)``.

        For trainings with noise, ``lambda trial: benchmark.objective(benchmark.suggest(trial), seed=trial.number)``.
        """
        return self.objective(self.suggest(trial))

    @property
    def optimum(self) -> Optimum:
        """The best known configuration and its `objective`, at the highest fidelity.

        The better of two: the best of the configurations that were really run in this setup, and the best of an
        evolutionary search of the surrogate; its `source` says which. The search runs when first asked for, and finds
        the same every time.
        """
        return replace(self._optimum, config=dict(self._optimum.config))

    @cached_property
    def _optimum(self) -> Optimum:
        found = self._searched_optimum()
        known = self._run_columns()
        losses = self.batch(known)
        if not len(losses) or losses.min() >= found.loss:
            return found
        best = known.iloc[[int(np.argmin(losses))]]
        config = self._varying.as_configurations(self._varying.complete_columns(best))[0]
        return Optimum(config, self.objective(config), "run")

    def _searched_optimum(self) -> Optimum:
        space, rng = self._varying, np.random.default_rng(0)
        judge = lambda units: self._model.losses(self._columns(space.columns(units)))  # noqa: E731
        units, losses = evolve(judge, len(space.dimensions), SPREADS, rng)
        config = space.configurations(units[[int(np.argmin(losses))]])[0]
        return Optimum(config, self.objective(config), "search")

    def replay(self) -> Replay:
        """Return the real runs of this setup as a benchmark of its own, which knows only their configurations.

        Raises
        ------
        ValueError
            No run of exactly this setup is in the corpus; the message says which sizes have some.
        """
        mine = _real_runs(self.models, self.arch, self.task, self.depth)
        runs = mine[mine["max_params"] == self.params]
        if runs.empty:
            sizes = ", ".join(f"{size:,}" for size in sorted(mine["max_params"].unique()))
            raise ValueError(
                f"No run of {self} is in the corpus; with that architecture, task and depth it has runs of these "
                f"sizes: {sizes or 'none'}."
            )
        return Replay.from_runs(repr(self), runs)

    def _run_columns(self) -> pd.DataFrame:
        """Return the real runs of this setup as `batch` takes them, without the fidelity; only complete ones."""
        runs = _real_runs(self.models, self.arch, self.task, self.depth)
        runs = runs.rename(columns=lambda name: name.removeprefix(HP_PREFIX))
        known = runs[runs["max_params"] == self.params].reindex(columns=list(self._varying.names))
        needed = [name for name in self._varying.names if name not in self._varying.all_conditions]
        return known.dropna(subset=needed)

    def _complete(self, config: Mapping[str, Any]) -> dict[str, Value]:
        default = self._default_fidelity
        return self._model.space.complete({**default, **config})

    def _columns(self, table: pd.DataFrame | Mapping[str, Any]) -> dict[str, Any]:
        columns: dict[str, Any] = {str(name): values for name, values in table.items()}
        rows = len(table) if isinstance(table, pd.DataFrame) else max(map(len, columns.values()), default=0)
        default = {name: np.full(rows, value) for name, value in self._default_fidelity.items()}
        return self._model.space.complete_columns(default | columns)

    @cached_property
    def _default_fidelity(self) -> dict[str, int]:
        return {} if self.fidelity is None else {self.fidelity.name: self.fidelity.high}


@lru_cache(maxsize=32)
def _setup_model(models: str | None, version: str, arch: str, task: str, depth: int, params: int) -> SetupModel:
    surrogate = get_surrogate(models)
    coverage = surrogate.coverage.architectures[arch]
    runs = _real_runs(models, arch, task, depth)
    if STEPS in coverage.domains and not runs.empty:
        distance = np.abs(np.log(runs["max_params"].to_numpy(np.float64) / params))
        steps = coverage.domains[STEPS].up_to(float(runs[HP_PREFIX + STEPS][distance == distance.min()].max()))
        coverage = replace(coverage, domains=coverage.domains | {STEPS: steps})
    return SetupModel(replace(surrogate, coverage=Coverage({arch: coverage})), arch, task, depth, params)


def _real_runs(models: Folder, arch: str, task: str, depth: int) -> pd.DataFrame:
    runs = relevant_runs(models, arch, task)
    return runs[(runs["architecture"] == arch) & (runs["n_layers"] == depth)]


def _check_setup(
    surrogate: Surrogate, models: Folder, arch: str, task: str, depth: object, params: object
) -> dict[str, Any]:
    """Check the arguments of a `Benchmark`; ValueError says what is allowed."""
    coverage = surrogate.coverage.of(arch, task)
    if task not in coverage.tasks:
        raise ValueError(
            f"No run of {arch} on {task} is in the corpus, so that nothing says how good a benchmark would be. Choose "
            f"one of {', '.join(sorted(coverage.tasks))}."
        )
    layers, budget = check_whole("depth", depth, 1), int(check_number("params", params, 1))
    if layers not in coverage.depths:
        raise ValueError(
            f"depth={depth} is none of those that the corpus covers for {arch}: {', '.join(map(str, coverage.depths))}."
        )
    sizes = _real_runs(models, arch, task, layers)["max_params"].unique().tolist() or coverage.sizes
    if not min(sizes) <= budget <= max(sizes):
        raise ValueError(
            f"params={params} lies outside the {min(sizes):,} to {max(sizes):,} parameters that the corpus covers for "
            f"{arch} of {layers} layers on {task}; choose a budget between them."
        )
    surrogate.encoder.check_width(arch, task, layers, budget)
    return {"arch": arch, "task": task, "depth": layers, "params": budget}
