"""The question: checked, placed against what the corpus covers, and turned into a space to search."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ..corpus.schema import UNKNOWN_SIZE
from ..features import ArchitectureCoverage, Dimension, Domain, Encoder, Space, check_number, check_whole
from ..features.coverage import STEPS
from ..features.space import DEPTH
from ..features.spelling import unknown
from ..surrogate import Surrogate
from .limits import Limits
from .narrowing import Narrowing
from .task_spec import TaskSpec

ANY: Final = "any"
"""The task of whoever wants what works on all tasks."""


@dataclass(frozen=True)
class Query:
    """What was asked, and how the surrogate will be asked.

    Parameters
    ----------
    architecture, task : str
        As the corpus spells them; the task may be "any", or the name of a task that was described.
    params : int
        Parameter budget, parameters.
    depth : int or None
        Layers; None lets the search choose.
    n : int
        How many configurations.
    limits : Limits
        What the user allows; `fixed` as checked, the depth aside.
    seed : int
        Seed of the search.
    spec : TaskSpec or None
        The task's description, where it was described.
    weights : dict
        Each task that the surrogate is asked about to its share in the judgement; the shares sum to 1.
    covered_params : int
        The budget nearest to `params` that the corpus covers: what the surrogate is asked about.
    covered_depths : tuple of (int, int)
        The depths to search, each with the nearest that the corpus covers.
    covered_steps : tuple of (float, float) or None
        Fewest and most training steps that the corpus covers; None where steps are no hyperparameter.
    space : Space
        What may vary.
    owners : dict
        Each hyperparameter that only some of the tasks have to these tasks.
    warnings : tuple of str
        Where the question leaves what the corpus covers, and what was done about it.
    """

    architecture: str
    task: str
    params: int
    depth: int | None
    n: int
    limits: Limits
    seed: int
    spec: TaskSpec | None
    weights: dict[str, float]
    covered_params: int
    covered_depths: tuple[tuple[int, int], ...]
    covered_steps: tuple[float, float] | None
    space: Space
    owners: dict[str, tuple[str, ...]]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the question as plain JSON values."""
        return {
            "arch": self.architecture,
            "task": self.task if self.spec is None else asdict(self.spec),
            "params": self.params,
            "depth": self.depth,
            "n": self.n,
            **self.limits.to_dict(),
            "seed": self.seed,
        } | ({} if self.spec is None else {"weights": self.weights})


def build_query(
    surrogate: Surrogate,
    arch: str,
    task: str | TaskSpec,
    params: float,
    depth: int | None,
    n: int,
    limits: Limits,
    seed: int,
) -> Query:
    """Check every argument and build the `Query`; ValueError says what was given, what is allowed, what to do."""
    warnings: list[str] = []
    spec = task if isinstance(task, TaskSpec) else None
    anywhere = spec is not None or task == ANY
    coverage = _coverage(surrogate, arch, None if anywhere else task)
    weights = _weights(arch, task, coverage, warnings)
    budget, held = int(check_number("params", params, 1)), dict(limits.fixed)
    layers = _depth(depth, held.pop(DEPTH, None))
    count, start = check_whole("n", n, 1), check_whole("seed", seed, 0)
    covered_params = _cover_params(budget, coverage, arch, warnings)
    depths = limits.depths(_cover_depths(layers, coverage, arch, warnings), layers, coverage.depths)
    domains = _domains(coverage, weights, covered_params)
    narrowing = Narrowing(replace(limits, fixed=held), domains, surrogate.encoder.hyperparameters, arch, warnings)
    narrowed, constant, held = narrowing.apply()
    space = Space.covered(narrowed, surrogate.encoder.hyperparameters, constant)
    if layers is None:
        choices = Dimension(DEPTH, "linear", choices=tuple(pair[0] for pair in depths))
        space = replace(space, dimensions=(*space.dimensions, choices))
    for known in weights if spec is None else (spec.name,):
        for asked, _ in depths:
            encoder_for(surrogate, spec).check_width(arch, known, asked, budget)
    return Query(
        architecture=arch,
        task=str(task) if spec is None else spec.name,
        params=budget,
        depth=layers,
        n=count,
        limits=replace(limits, fixed=held),
        seed=start,
        spec=spec,
        weights=weights,
        covered_params=covered_params,
        covered_depths=depths,
        covered_steps=_bounds(domains.get(STEPS)),
        space=space,
        owners={name: item.tasks for name, item in domains.items() if item.tasks and len(weights) > 1},
        warnings=tuple(warnings),
    )


def _coverage(surrogate: Surrogate, arch: str, task: object) -> ArchitectureCoverage:
    """Return what is covered of an architecture; ValueError if it, or a task that is not None, is unknown."""
    known = surrogate.coverage.tasks
    if task is not None and task not in known:
        raise ValueError(
            f'{unknown("task", task, known)} For another task, describe it (`recommend.TaskSpec`), or ask for "{ANY}".'
        )
    return surrogate.coverage.of(arch, known[0] if task is None else task)


def encoder_for(surrogate: Surrogate, spec: TaskSpec | None) -> Encoder:
    """Return the surrogate's encoder; with a description, it knows the widths of that task's networks too."""
    encoder = surrogate.encoder
    if spec is None:
        return encoder
    return replace(encoder, task_sizes=encoder.task_sizes | {spec.name: (spec.n_in, spec.n_out)})


def _weights(arch: str, task: str | TaskSpec, coverage: ArchitectureCoverage, warnings: list[str]) -> dict[str, float]:
    if isinstance(task, TaskSpec):
        return task.weights(coverage.tasks)
    if task == ANY:
        return dict.fromkeys(coverage.tasks, 1 / len(coverage.tasks))
    if task not in coverage.tasks:
        warnings.append(f"No run of {arch} on {task} is in the corpus; {arch} on other tasks and {task} with other "
                        f"architectures stand in.")  # fmt: skip
    return {task: 1.0}


def _domains(coverage: ArchitectureCoverage, weights: dict[str, float], params: int) -> dict[str, Domain]:
    """Return what is covered of every hyperparameter that one of the tasks has, training as long as of that size."""
    domains = {name: item for task in weights for name, item in coverage.domains_of(task).items()}
    longest = coverage.longest_at(params)
    if STEPS in domains and longest is not None:
        domains[STEPS] = domains[STEPS].up_to(longest)
    return domains


def _bounds(steps: Domain | None) -> tuple[float, float] | None:
    return None if steps is None else (float(steps.low or 0), float(steps.high or 0))


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
