"""An Optuna sampler that starts from the surrogate and learns from the study's trials how far to believe it."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..features.dimension import Floats
from ..surrogate.evolution import RANDOM, evolve
from .correction import Correction, kernel_scales
from .cube import Cube, encode
from .prior import Prior

SPREADS: Final = tuple(0.15 / 2**generation for generation in range(5))
"""Standard deviations of the mutations, in the unit cube, of each generation of the pool."""
FOUND: Final = 224
"""Points of the pool that the search of the prior found best; the others are random."""
STARTS: Final = 48
"""Points of the pool around which candidates are drawn, and as many of the best trials."""
CHILDREN: Final = 6
"""Candidates around each start."""
MOVES: Final = (0.02, 0.08, 0.25)
"""Standard deviations, in the unit cube, of a candidate's moves; each candidate has one of them."""
LATEST: Final = 200
"""Trials that the correction learns from: so many of the latest, and as many of the best before them."""
SILENT: Final = 8
"""At most so many of the trials that are being asked for at the same moment are guessed."""
BELIEVED: Final = 3
"""So many trials at first the prior is believed, unless more were enqueued."""
PROBES: Final = (0, 3)
"""Which of the trials thereafter are drawn at random in any case."""
STARTUP: Final = 10
"""So many of the trials thereafter may be."""

_log = logging.getLogger(__name__)


class Pool(NamedTuple):
    """Points of a cube that the prior has judged, once for all trials.

    Parameters
    ----------
    units : ndarray of shape (n, n_axes)
        Random ones, and the best of an evolutionary search of the prior.
    prior : ndarray of shape (n,)
        Their scores.
    scales : list of ndarray
        Kernels, from `kernel_scales`.
    """

    units: Floats
    prior: Floats
    scales: list[Floats]


class Evidence(NamedTuple):
    """The trials at hand, as points of a cube.

    Parameters
    ----------
    units, losses : ndarray of shape (n, n_axes) and (n,)
        Finished ones; lower is better, infinite where nothing came of it.
    pending : ndarray of shape (p, n_axes)
        Those that run, or wait in the queue.
    silent : int
        How many began before the one to be chosen, and have no parameters yet.
    """

    units: Floats
    losses: Floats
    pending: Floats
    silent: int


class WarmSampler(BaseSampler):
    """Samples where a prior, corrected by the study's own trials, expects most.

    For each trial, candidates around the best points that the prior knows, around the best trials, and at random are
    judged by their expected improvement under the prior and a Gaussian process that has learned from the trials where
    it errs (see `correction`). The weight of the prior is learned too: it counts fully at first, and no longer where
    the trials contradict it. Failed and pruned trials count as worse than all others; trials that run, or wait in the
    queue, keep others away from where they are.

    Safeguard: of ten trials, after the first three and all that are enqueued, each is drawn at random with the
    probability, given the trials so far, that the prior says nothing (`Correction.doubt`): where the prior is good that
    is soon none, where it misleads nearly all, as in a cold search. The first and the fourth are drawn in any case:
    only such a trial can tell when all that the prior likes is bad. What comes after them starts from there, with the
    weight that the prior deserves.

    Suggestions depend on the seed, the trial's number and the trials that the storage holds, on nothing else: a study
    that is interrupted and goes on continues the same, and workers on one storage need no seeds of their own.

    The space is what the study's trials suggested so far, and before the first trial what the objective asks for.
    Parameters that the prior does not know are learned from the trials alone, the first time drawn at random; a log
    line names them.

    Parameters
    ----------
    prior : Prior
        For example a `SurrogatePrior`.
    seed : int, optional
        Default: another one every time.

    Notes
    -----
    For studies with one objective, minimised or maximised.
    """

    def __init__(self, prior: Prior, *, seed: int | None = None) -> None:
        self.prior = prior
        self._seed: Any = np.random.SeedSequence(seed).entropy
        self._pools: dict[Any, Pool] = {}
        self._plans: dict[int, dict[str, Any]] = {}
        self._told: set[str] = set()
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lock": None, "_pools": {}, "_plans": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_lock": threading.RLock()})

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the study's trials suggested so far, by name: of each parameter the latest distribution."""
        self._raise_error_if_multi_objective(study)
        seen: dict[str, BaseDistribution] = {}
        for other in study.get_trials(deepcopy=False):
            seen |= other.distributions
        self._tell(set(seen))
        return {name: seen[name] for name in sorted(seen)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Choose all parameters of a space together; those that the trial has already keep their values."""
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        held = {name: trial.params[name] for name in search_space if name in trial.params}
        chosen = self._choose(study, trial, search_space, held)
        self._plans[trial._trial_id] = chosen
        return chosen

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Choose a parameter that the study never suggested, or not with such values, to go with those chosen already.

        In a study's first trials the prior's parameters are chosen together, in the hope that all will be asked for.
        """
        self._raise_error_if_multi_objective(study)
        plan = self._plans.get(trial._trial_id, {}) | trial.params
        if param_name in plan and param_name not in trial.params and _holds(param_distribution, plan[param_name]):
            return plan[param_name]
        if param_name not in self.prior.distributions:
            self._tell({param_name})
            return self._draw(trial, param_name, param_distribution)
        plan.pop(param_name, None)
        space = self._space(study, trial) | {param_name: param_distribution}
        chosen = self._choose(study, trial, space, {name: plan[name] for name in space if name in plan})
        self._plans[trial._trial_id] = plan | chosen
        return chosen[param_name]

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Forget what was planned for the trial."""
        self._plans.pop(trial._trial_id, None)

    def _space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what to plan for: the trial's own parameters, and the prior's as long as the study's are unknown."""
        finished = any(other.state.is_finished() for other in study.get_trials(deepcopy=False))
        return ({} if finished else dict(self.prior.distributions)) | trial.distributions

    def _draw(self, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        rng = np.random.default_rng([self._seed, trial.number, zlib.crc32(name.encode())])
        return Cube({name: distribution}).parameters(rng.random(1))[name]

    def _choose(
        self, study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution], held: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return parameters of the space, `held` among them, with the highest expected improvement found."""
        rng = np.random.default_rng([self._seed, trial.number, len(held)])
        cube = Cube(space)
        pool, evidence = self._pool(cube), _evidence(study, trial, cube)
        search = _Search(self.prior, cube, pool, evidence, held)
        place = trial.number - _believed(study)
        if place in PROBES or (0 <= place < STARTUP and rng.random() < search.doubt):
            drawn = cube.parameters(rng.random(len(cube))) | dict(held)
            if search.is_new(drawn):
                return drawn
        return cube.parameters(search.best(rng)) | dict(held)

    def _pool(self, cube: Cube) -> Pool:
        with self._lock:  # threads of one study would all do the same work
            if cube.key not in self._pools:
                rng = np.random.default_rng([self._seed])
                judge = lambda units: self.prior.score(cube.columns(units), len(units))  # noqa: E731
                units, scores = evolve(judge, len(cube), SPREADS, rng)
                found = RANDOM + np.argsort(scores[RANDOM:], kind="stable")[:FOUND]
                kept = np.concatenate([np.arange(RANDOM), found])
                self._pools[cube.key] = Pool(units[kept], scores[kept], kernel_scales(judge, cube.sizes, rng))
            return self._pools[cube.key]

    def _tell(self, names: set[str]) -> None:
        strange = sorted(names - set(self.prior.distributions) - self._told)
        if strange:
            self._told |= set(strange)
            _log.warning(
                "The surrogate does not know %s: drawn at random at first, then learned from the study's trials alone.",
                ", ".join(strange),
            )


class _Search:
    """The search for one trial's parameters."""

    def __init__(self, prior: Prior, cube: Cube, pool: Pool, evidence: Evidence, held: Mapping[str, Any]) -> None:
        self._prior, self._cube, self._pool, self._evidence = prior, cube, pool, evidence
        self._held = [index for index, axis in enumerate(cube.axes) if axis.name in held]
        self._held_units = cube.units([held])[0] if held else np.full(len(cube), 0.5)
        self._pending, self._pending_prior = evidence.pending, self._score(evidence.pending)
        self._correction = Correction.fit(
            self._encode(evidence.units), self._score(evidence.units), evidence.losses, pool.scales
        )

    @property
    def doubt(self) -> float:
        """The probability that the prior says nothing."""
        return self._correction.doubt

    def is_new(self, params: Mapping[str, Any]) -> bool:
        """Return whether no trial has tried, or will have tried, these parameters."""
        return bool(self._untried(self._cube.units([params]))[0])

    def best(self, rng: np.random.Generator) -> Floats:
        """Return the point of the highest expected improvement."""
        units, prior = self._starts()
        for _ in range(self._evidence.silent):  # what others, who ask at this moment, will probably take
            taken = int(np.argmax(self._improvement(units, prior)))
            self._await(units[taken], prior[taken])
        order = np.argsort(-self._improvement(units, prior), kind="stable")[:STARTS]
        trials = self._evidence.units[np.argsort(self._evidence.losses, kind="stable")[:STARTS]]
        candidates = self._hold(_around(np.vstack([units[order], trials]), self._free(), rng))
        candidates = candidates[self._new(candidates)]
        gains = self._improvement(candidates, self._score(candidates))
        return np.asarray(candidates[int(np.argmax(gains))])

    def _free(self) -> list[int]:
        """Return the axes of which every candidate moves one: continuous, so that no two trials' are alike."""
        free = [axis for axis in range(len(self._cube)) if axis not in self._held]
        return [axis for axis in free if self._cube.axes[axis].continuous] or free or list(range(len(self._cube)))

    def _starts(self) -> tuple[Floats, Floats]:
        """Return the pool's points that nobody has tried, and their prior."""
        units = self._hold(self._pool.units)
        prior = self._score(units) if self._held else self._pool.prior
        new = self._new(units)
        return units[new], prior[new]

    def _await(self, unit: Floats, prior: float) -> None:
        self._pending = np.vstack([self._pending, unit])
        self._pending_prior = np.append(self._pending_prior, prior)

    def _improvement(self, units: Floats, prior: Floats) -> Floats:
        pending = self._encode(self._pending)
        return self._correction.improvement(self._encode(units), prior, pending, self._pending_prior)

    def _encode(self, units: Floats) -> Floats:
        return encode(units, self._cube.sizes)

    def _score(self, units: Floats) -> Floats:
        return self._prior.score(self._cube.columns(units), len(units)) if len(units) else np.zeros(0)

    def _hold(self, units: Floats) -> Floats:
        units = units.copy()
        units[:, self._held] = self._held_units[self._held]
        return units

    def _new(self, units: Floats) -> NDArray[np.bool_]:
        """Return which points no trial has tried, or will have tried; all of them, if there is no such point."""
        new = self._untried(units)
        return new if new.any() else ~new

    def _untried(self, units: Floats) -> NDArray[np.bool_]:
        seen = set(self._values(np.vstack([self._evidence.units, self._evidence.pending])))
        return np.array([values not in seen for values in self._values(units)])

    def _values(self, units: Floats) -> list[tuple[Any, ...]]:
        return list(zip(*self._cube.columns(units).values(), strict=True))


def _around(starts: Floats, axes: list[int], rng: np.random.Generator) -> Floats:
    """Return `CHILDREN` points around each start: a third of the axes moved, one of `axes` always, reflected inside."""
    parents = np.repeat(starts, CHILDREN, axis=0)
    spread = rng.choice(MOVES, size=(len(parents), 1))
    moved = rng.random(parents.shape) < 1 / 3
    moved[np.arange(len(parents)), rng.choice(axes, size=len(parents))] = True
    points = parents + spread * rng.standard_normal(parents.shape) * moved
    return np.asarray(1 - np.abs(1 - np.abs(points) % 2))


def _believed(study: Study) -> int:
    """Return how many trials come before the prior is doubted."""
    return max(BELIEVED, sum(bool(_queued(other)) for other in study.get_trials(deepcopy=False)))


def _evidence(study: Study, trial: FrozenTrial, cube: Cube) -> Evidence:
    """Read the study's trials, but for the one to be chosen."""
    others = [other for other in study.get_trials(deepcopy=False) if other._trial_id != trial._trial_id]
    finished = [other for other in others if other.state.is_finished() and other.params]
    losses = np.array([_loss(study, other) for other in finished])
    kept = np.arange(len(finished))
    if len(kept) > 2 * LATEST:
        best = np.argsort(losses[:-LATEST], kind="stable")[:LATEST]
        kept = np.concatenate([np.sort(best), kept[-LATEST:]])
    unfinished = [(other, _queued(other) | other.params) for other in others if not other.state.is_finished()]
    pending = [params for _, params in unfinished if params]
    silent = sum(not params and other.number < trial.number for other, params in unfinished)
    units = cube.units([finished[row].params for row in kept])
    return Evidence(units, losses[kept], cube.units(pending), min(silent, SILENT))


def _loss(study: Study, trial: FrozenTrial) -> float:
    """Return a finished trial's value, lower is better; infinite unless it is complete."""
    if trial.state != TrialState.COMPLETE or trial.value is None or np.isnan(trial.value):
        return np.inf
    return -trial.value if study.direction == StudyDirection.MAXIMIZE else trial.value


def _queued(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters that a trial was enqueued with."""
    return dict(trial.system_attrs.get("fixed_params", {}))


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False
