"""The question: checked, placed against what the corpus covers, and turned into a space to search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..corpus.schema import UNKNOWN_SIZE
from ..features import (
    ArchitectureCoverage,
    Dimension,
    Domain,
    Hyperparameter,
    Space,
    check_number,
    check_whole,
    unknown,
)
from ..features.coverage import STEPS
from ..features.dimension import Value
from ..features.space import DEPTH
from ..surrogate import Surrogate


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
    coverage = surrogate.coverage.of(arch, task)
    held = dict(fixed or {})
    budget = int(check_number("params", params, 1))
    limit = None if max_train_steps is None else int(check_number("max_train_steps", max_train_steps, 1))
    layers = _depth(depth, held.pop(DEPTH, None))
    count, start = check_whole("n", n, 1), check_whole("seed", seed, 0)
    warnings: list[str] = []
    if task not in coverage.tasks:
        warnings.append(f"No run of {arch} on {task} is in the corpus; {arch} on other tasks and {task} with other "
                        f"architectures stand in.")  # fmt: skip
    covered_params = _cover_params(budget, coverage, arch, warnings)
    depths = _cover_depths(layers, coverage, arch, warnings)
    domains = coverage.domains_of(task)
    longest = coverage.longest_at(covered_params)
    if STEPS in domains and longest is not None:
        domains |= {STEPS: domains[STEPS].up_to(longest)}
    known = surrogate.encoder.hyperparameters
    held = _check_fixed(held, domains, known, arch, warnings)
    space = _space(domains, known, held, limit, layers, depths, arch, warnings)
    for layers, _ in depths:
        surrogate.encoder.check_width(arch, task, layers, budget)
    steps = domains.get(STEPS)
    bounds = None if steps is None else (float(steps.low or 0), float(steps.high or 0))
    return Query(
        arch, task, budget, layers, count, held, limit, start, covered_params, depths, bounds, space, tuple(warnings)
    )


def _depth(depth: int | None, fixed: object) -> int | None:
    if fixed is None:
        return None if depth is None else check_whole("depth", depth, 1)
    chosen = check_whole("fixed['n_layers']", fixed, 1)
    if depth is not None and check_whole("depth", depth, 1) != chosen:
        raise ValueError(f"depth={depth} and fixed['n_layers']={chosen} contradict each other; give one of them.")
    return chosen


def _cover_params(params: int, coverage: ArchitectureCoverage, arch: str, warnings: list[str]) -> int:
    low, high = coverage.sizes[0], coverage.sizes[-1]
    if high == UNKNOWN_SIZE:
        warnings.append(f"The corpus records no sizes for {arch}: params={params:,} changes nothing.")
        return UNKNOWN_SIZE
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
        checked[name] = _fixed_value(Dimension.from_domain(known[name], domains[name]), value, warnings)
    for name in checked:
        condition = domains[name].condition
        if condition and condition.parent in checked and checked[condition.parent] not in condition.choices:
            raise ValueError(
                f"fixed {name}={checked[name]!r} contradicts fixed {condition.parent}={checked[condition.parent]!r}: "
                f"{name} exists only where {condition.parent} is {' or '.join(map(repr, condition.choices))}. "
                f"Drop one of them."
            )
    return checked


def _fixed_value(dimension: Dimension, value: object, warnings: list[str]) -> Value:
    if dimension.name != STEPS:
        return dimension.check(value, "fixed ")
    steps = replace(dimension, low=1.0, high=math.inf).check(value, "fixed ")
    if not dimension.low <= float(steps) <= dimension.high:
        what = f"fixed train_steps={steps:.0f}"
        warnings.append(_outside_steps(what, float(steps), dimension.low, dimension.high))
    return steps


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
    if limit is not None and STEPS not in held:
        domains = domains | {STEPS: _below(domains[STEPS], limit)}
    space = Space.covered(domains, known, held)
    if depth is not None:
        return space
    layers = Dimension(DEPTH, "linear", choices=tuple(layers for layers, _ in depths))
    return replace(space, dimensions=(*space.dimensions, layers))


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


def _below(steps: Domain, limit: int) -> Domain:
    return replace(steps, high=float(min(steps.high or 0.0, limit)))
