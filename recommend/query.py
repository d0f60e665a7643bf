"""The question: checked, placed against what the corpus covers, and turned into a space to search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final

from ..features import ARCHITECTURES, ArchitectureCoverage, Domain, Hyperparameter, unknown
from ..surrogate import Surrogate
from .space import DEPTH, Dimension, Space, Value

STEPS: Final = "train_steps"
"""The hyperparameter that a limit on training steps limits."""


@dataclass(frozen=True)
class Query:
    """What was asked, and how the surrogate will be asked.

    Parameters
    ----------
    architecture, task : str
        As the corpus spells them.
    params : int
        Parameter budget, parameters.
    depth : int or None
        Layers; None lets the search choose.
    n : int
        How many configurations.
    fixed : dict
        Hyperparameters that the user holds fixed.
    max_train_steps : int or None
        Most training steps, steps.
    seed : int
        Seed of the search.
    covered_params : int
        The budget nearest to `params` that the corpus covers: what the surrogate is asked about.
    covered_depths : tuple of (int, int)
        The depths to search, each with the nearest that the corpus covers.
    covered_steps : tuple of (float, float) or None
        Fewest and most training steps that the corpus covers; None where steps are no hyperparameter.
    space : Space
        What may vary.
    warnings : tuple of str
        Where the question leaves what the corpus covers, and what was done about it.
    """

    architecture: str
    task: str
    params: int
    depth: int | None
    n: int
    fixed: dict[str, Value]
    max_train_steps: int | None
    seed: int
    covered_params: int
    covered_depths: tuple[tuple[int, int], ...]
    covered_steps: tuple[float, float] | None
    space: Space
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the question as plain JSON values."""
        return {
            "arch": self.architecture,
            "task": self.task,
            "params": self.params,
            "depth": self.depth,
            "n": self.n,
            "fixed": dict(self.fixed),
            "max_train_steps": self.max_train_steps,
            "seed": self.seed,
        }


def build_query(
    surrogate: Surrogate,
    arch: str,
    task: str,
    params: float,
    depth: int | None,
    n: int,
    fixed: Mapping[str, Value] | None,
    max_train_steps: int | None,
    seed: int,
) -> Query:
    """Check every argument and build the `Query`; ValueError says what was given, what is allowed, what to do."""
    covered = surrogate.coverage.architectures
    if not isinstance(arch, str) or arch not in covered:
        raise unknown("architecture", arch, covered)
    if not isinstance(task, str) or task not in surrogate.coverage.tasks:
        raise unknown("task", task, surrogate.coverage.tasks)
    coverage = covered[arch]
    held = dict(fixed or {})
    budget = int(_number("params", params, 1))
    limit = None if max_train_steps is None else int(_number("max_train_steps", max_train_steps, 1))
    layers = _depth(depth, held.pop(DEPTH, None))
    count, start = _whole("n", n, 1), _whole("seed", seed, 0)
    warnings: list[str] = []
    if task not in coverage.tasks:
        warnings.append(f"No run of {arch} on {task} is in the corpus; {arch} on other tasks and {task} with other "
                        f"architectures stand in.")  # fmt: skip
    covered_params = _cover_params(budget, coverage, arch, warnings)
    depths = _cover_depths(layers, coverage, arch, warnings)
    domains = {name: item for name, item in coverage.domains.items() if item.tasks is None or task in item.tasks}
    known = surrogate.encoder.hyperparameters
    held = _check_fixed(held, domains, known, arch, warnings)
    space = _space(domains, known, held, limit, layers, depths, arch, warnings)
    _check_width(arch, task, budget, depths, surrogate)
    steps = domains.get(STEPS)
    bounds = None if steps is None else (float(steps.low or 0), float(steps.high or 0))
    return Query(
        arch, task, budget, layers, count, held, limit, start, covered_params, depths, bounds, space, tuple(warnings)
    )


def _number(name: str, value: object, least: int) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < least:
        raise ValueError(f"{name} must be a finite number of at least {least}, but got {value!r}.")
    return float(value)


def _whole(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, but got {value!r}.")
    return int(value)


def _depth(depth: int | None, fixed: object) -> int | None:
    if fixed is None:
        return None if depth is None else _whole("depth", depth, 1)
    chosen = _whole("fixed['n_layers']", fixed, 1)
    if depth is not None and _whole("depth", depth, 1) != chosen:
        raise ValueError(f"depth={depth} and fixed['n_layers']={chosen} contradict each other; give one of them.")
    return chosen


def _cover_params(params: int, coverage: ArchitectureCoverage, arch: str, warnings: list[str]) -> int:
    low, high = coverage.sizes[0], coverage.sizes[-1]
    near = min(max(params, low), high)
    if near != params:
        factor = params / high if params > high else low / params
        warnings.append(
            f"params={params:,} lies outside the {low:,} to {high:,} parameters that the corpus covers for {arch} "
            f"({factor:.3g} times {'above' if params > high else 'below'}): the surrogate was asked about {near:,}, so "
            f"losses, intervals and risks are those of {near:,} parameters; hidden_units and num_params are for "
            f"{params:,}."
        )
    return near


def _cover_depths(
    depth: int | None, coverage: ArchitectureCoverage, arch: str, warnings: list[str]
) -> tuple[tuple[int, int], ...]:
    if depth is None:
        return tuple((layers, layers) for layers in coverage.depths)
    near = min(coverage.depths, key=lambda layers: (abs(math.log(layers / depth)), layers))
    if near != depth:
        known = ", ".join(map(str, coverage.depths))
        warnings.append(
            f"depth={depth} is not among the depths that the corpus covers for {arch} ({known}): the surrogate was "
            f"asked about {near} layers, {abs(near - depth)} away."
        )
    return ((depth, near),)


def _check_fixed(
    fixed: dict[str, Value],
    domains: dict[str, Domain],
    known: dict[str, Hyperparameter],
    arch: str,
    warnings: list[str],
) -> dict[str, Value]:
    checked: dict[str, Value] = {}
    for name, value in fixed.items():
        if name not in domains:
            raise unknown(f"hyperparameter of {arch} in fixed:", name, domains)
        checked[name] = _fixed_value(name, value, domains[name], known[name], arch, warnings)
    for name in checked:
        condition = domains[name].condition
        if condition and condition.parent in checked and checked[condition.parent] not in condition.choices:
            raise ValueError(
                f"fixed {name}={checked[name]!r} contradicts fixed {condition.parent}={checked[condition.parent]!r}: "
                f"{name} exists only where {condition.parent} is {' or '.join(map(repr, condition.choices))}. "
                f"Drop one of them."
            )
    return checked


def _fixed_value(
    name: str, value: object, domain: Domain, hyperparameter: Hyperparameter, arch: str, warnings: list[str]
) -> Value:
    if hyperparameter.scale == "category":
        if value not in domain.choices:
            raise unknown(f"value of {name} for {arch}:", value, domain.choices)
        return str(value)
    low, high = domain.low or 0.0, domain.high or 0.0
    number = _finite(name, value)
    if hyperparameter.integer and number != round(number):
        raise ValueError(f"fixed {name} must be a whole number from {low:g} to {high:g}, but got {value!r}.")
    if name == STEPS and number >= 1:
        if not low <= number <= high:
            warnings.append(_outside_steps(f"fixed train_steps={number:.0f}", number, low, high))
    elif not low <= number <= high:
        raise ValueError(
            f"fixed {name}={value!r} is outside the range that the corpus covers for {arch}, {low:g} to {high:g}; "
            f"choose a value inside it."
        )
    return round(number) if hyperparameter.integer else number


def _finite(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"fixed {name} must be a finite number, but got {value!r}.")
    return float(value)


def _outside_steps(what: str, given: float, low: float, high: float) -> str:
    near = min(max(given, low), high)
    factor = given / high if given > high else low / given
    return (
        f"{what} lies outside the {low:.0f} to {high:.0f} training steps that the corpus covers ({factor:.3g} times "
        f"{'above' if given > high else 'below'}): losses, intervals and risks are those of {near:.0f} steps."
    )


def _space(
    domains: dict[str, Domain],
    known: dict[str, Hyperparameter],
    fixed: dict[str, Value],
    limit: int | None,
    depth: int | None,
    depths: tuple[tuple[int, int], ...],
    arch: str,
    warnings: list[str],
) -> Space:
    held = dict(fixed)
    if limit is not None:
        held = _limit_steps(held, limit, domains, arch, warnings)
    dimensions = [Dimension.from_domain(known[name], item) for name, item in domains.items() if name not in held]
    dimensions = [_below(item, limit) if item.name == STEPS and limit is not None else item for item in dimensions]
    held |= {item.name: item.choices[0] for item in dimensions if len(item.choices) == 1}
    held |= {item.name: item.low for item in dimensions if not item.choices and item.low == item.high}
    dimensions = [item for item in dimensions if item.name not in held]
    if depth is None:
        dimensions.append(Dimension(DEPTH, "linear", choices=tuple(layers for layers, _ in depths)))
    conditions = {name: domains[name].condition for name in held}
    return Space(tuple(dimensions), held, {name: item for name, item in conditions.items() if item is not None})


def _limit_steps(
    held: dict[str, Value], limit: int, domains: dict[str, Domain], arch: str, warnings: list[str]
) -> dict[str, Value]:
    if STEPS not in domains:
        raise ValueError(f"max_train_steps={limit} needs runs with the hyperparameter {STEPS}, but {arch} has none; "
                         f"leave it out.")  # fmt: skip
    if STEPS in held:
        if float(held[STEPS]) > limit:
            raise ValueError(
                f"fixed train_steps={held[STEPS]} contradicts max_train_steps={limit}; raise the limit or lower the "
                f"fixed value."
            )
        return held
    low, high = float(domains[STEPS].low or 0), float(domains[STEPS].high or 0)
    if limit < low:
        warnings.append(_outside_steps(f"max_train_steps={limit}", limit, low, high))
        return held | {STEPS: limit}
    if limit > high:
        warnings.append(
            f"max_train_steps={limit} allows more than the {high:.0f} training steps that the corpus covers "
            f"({limit / high:.3g} times): configurations of at most {high:.0f} steps are recommended."
        )
    return held


def _below(dimension: Dimension, limit: int) -> Dimension:
    return Dimension(
        dimension.name, dimension.scale, dimension.low, min(dimension.high, limit), (), dimension.integer,
        dimension.condition,
    )  # fmt: skip


def _check_width(arch: str, task: str, params: int, depths: tuple[tuple[int, int], ...], surrogate: Surrogate) -> None:
    if arch not in ARCHITECTURES or task not in surrogate.encoder.task_sizes:
        return
    cell, sizes = ARCHITECTURES[arch], surrogate.encoder.task_sizes[task]
    for layers, _ in depths:
        least = int(cell.num_params(1, layers, *sizes))
        if params < least:
            raise ValueError(
                f"params={params} cannot hold one hidden unit: {arch} of {layers} layers on {task} needs at least "
                f"{least} parameters."
            )
