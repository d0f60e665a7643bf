"""What a corpus covers: for each architecture its hyperparameters with their ranges, its tasks, depths and sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from ..corpus.schema import HP_PREFIX
from .hyperparameters import Hyperparameter
from .spelling import unknown

PRESENT: Final = 0.02
"""A hyperparameter belongs to an architecture if at least this share of its runs has a value."""
STEPS: Final = "train_steps"
"""The hyperparameter that is the length of training, steps."""


@dataclass(frozen=True)
class Condition:
    """When a hyperparameter exists: only where the choice `parent` is one of `choices`."""

    parent: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """The values that one hyperparameter took in the runs of one architecture.

    Parameters
    ----------
    low, high : float or None
        Smallest and largest number that occurs, rounded outwards: to two digits on a log scale, to a digit of the span
        on the others. Random draws just miss the limits they were drawn from. None for a category.
    choices : tuple of str
        The values of a category, sorted; empty for numbers.
    condition : Condition or None
        When the hyperparameter exists; None if always.
    tasks : tuple of str or None
        The only tasks that have it; None if all have it.
    """

    low: float | None
    high: float | None
    choices: tuple[str, ...] = ()
    condition: Condition | None = None
    tasks: tuple[str, ...] | None = None

    def up_to(self, highest: float) -> Domain:
        """Return the same up to a positive number that occurs, rounded up to one digit (3,871 to 4,000)."""
        step = 10.0 ** np.floor(np.log10(highest))
        return replace(self, high=min(self.high or 0.0, float(np.ceil(highest / step) * step)))


@dataclass(frozen=True)
class ArchitectureCoverage:
    """What the runs of one architecture cover.

    Parameters
    ----------
    domains : dict
        Hyperparameter name to its `Domain`.
    depths : tuple of int
        The numbers of layers that occur.
    sizes : tuple of int
        The values of max_params that occur, ascending.
    tasks : dict
        Task to number of runs.
    longest : dict
        Each of `sizes` to the most training steps of its runs, steps; empty where runs record none.
    """

    domains: dict[str, Domain]
    depths: tuple[int, ...]
    sizes: tuple[int, ...]
    tasks: dict[str, int]
    longest: dict[int, int]

    def domains_of(self, task: str) -> dict[str, Domain]:
        """Return the domains of the hyperparameters that a task has."""
        return {name: item for name, item in self.domains.items() if item.tasks is None or task in item.tasks}

    def longest_at(self, size: float) -> int | None:
        """Return up to how many training steps a network of a size is covered; None where runs record none.

        That is the longest training of the nearest size, and at least what half of the sizes were trained for: long
        trainings of one size say little of another.
        """
        if not self.longest:
            return None
        nearest = min(self.longest, key=lambda known: abs(np.log(known / size)))
        return max(self.longest[nearest], int(np.median(list(self.longest.values()))))


@dataclass(frozen=True)
class Coverage:
    """What a whole corpus covers, by architecture."""

    architectures: dict[str, ArchitectureCoverage]

    @classmethod
    def from_runs(cls, runs: pd.DataFrame, hyperparameters: dict[str, Hyperparameter]) -> Coverage:
        """Read the coverage off a table of runs in the corpus schema; `hyperparameters` as an `Encoder` has them."""
        groups = runs.groupby("architecture", sort=True)
        return cls({str(name): _cover(group, hyperparameters) for name, group in groups})

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, sorted."""
        return tuple(sorted({task for entry in self.architectures.values() for task in entry.tasks}))

    def of(self, architecture: object, task: object) -> ArchitectureCoverage:
        """Return what is covered of an architecture; ValueError if it or the task is unknown."""
        if not isinstance(architecture, str) or architecture not in self.architectures:
            raise unknown("architecture", architecture, self.architectures)
        if not isinstance(task, str) or task not in self.tasks:
            raise unknown("task", task, self.tasks)
        return self.architectures[architecture]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {name: asdict(entry) for name, entry in self.architectures.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Coverage:
        """Rebuild from `to_dict`, or from its JSON."""
        return cls({name: _entry(entry) for name, entry in data.items()})


def _cover(runs: pd.DataFrame, hyperparameters: dict[str, Hyperparameter]) -> ArchitectureCoverage:
    present = [HP_PREFIX + name for name in hyperparameters if runs[HP_PREFIX + name].notna().mean() >= PRESENT]
    return ArchitectureCoverage(
        domains={
            column.removeprefix(HP_PREFIX): _domain(runs, hyperparameters[column.removeprefix(HP_PREFIX)], present)
            for column in present
        },
        depths=tuple(int(depth) for depth in sorted(runs["n_layers"].unique())),
        sizes=tuple(int(size) for size in sorted(runs["max_params"].unique())),
        tasks={
            str(task): int(count) for task, count in runs["task_type"].value_counts(sort=False).sort_index().items()
        },
        longest=_longest(runs),
    )


def _longest(runs: pd.DataFrame) -> dict[int, int]:
    column = HP_PREFIX + STEPS
    if column not in runs or not pd.api.types.is_numeric_dtype(runs[column]):
        return {}
    longest = runs.groupby("max_params")[column].max().dropna()
    return dict(zip(longest.index.astype(int).tolist(), longest.astype(int).tolist(), strict=True))


def _domain(runs: pd.DataFrame, hyperparameter: Hyperparameter, present: list[str]) -> Domain:
    column = HP_PREFIX + hyperparameter.name
    has = runs[column].notna()
    by_task = has.groupby(runs["task_type"]).any()
    tasks = None if by_task.all() else tuple(sorted(str(task) for task in by_task.index[by_task]))
    rows = runs if tasks is None else runs[runs["task_type"].isin(tasks)]
    condition = None if rows[column].notna().all() else _condition(rows, column, present)
    values = runs.loc[has, column]
    if hyperparameter.scale == "category":
        return Domain(None, None, tuple(sorted(values.astype(str).unique())), condition, tasks)
    low, high = _outward(float(values.min()), float(values.max()), hyperparameter.scale)
    return Domain(low, high, (), condition, tasks)


def _outward(low: float, high: float, scale: str) -> tuple[float, float]:
    if low == high:
        return low, high
    steps = [10.0 ** np.floor(np.log10(abs(x))) / 10 for x in ((low, high) if scale == "log" else (high - low,) * 2)]
    rounded = np.floor(low / steps[0] + 1e-9) * steps[0], np.ceil(high / steps[1] - 1e-9) * steps[1]
    return tuple(float(f"{x:.12g}") for x in rounded)  # type: ignore[return-value]


def _condition(runs: pd.DataFrame, column: str, present: list[str]) -> Condition | None:
    """Find the category whose choices decide whether `column` has a value; None if no single one does."""
    has = runs[column].notna()
    for parent in present:
        if parent == column or pd.api.types.is_numeric_dtype(runs[parent]) or runs[parent].isna().any():
            continue
        share = has.groupby(runs[parent].astype(str)).mean()
        if share.isin([0.0, 1.0]).all():
            choices = tuple(sorted(str(choice) for choice in share.index[share == 1.0]))
            return Condition(parent.removeprefix(HP_PREFIX), choices)
    return None


def _entry(data: dict[str, Any]) -> ArchitectureCoverage:
    domains = {}
    for name, domain in data["domains"].items():
        condition, tasks = domain["condition"], domain["tasks"]
        domains[name] = Domain(
            domain["low"],
            domain["high"],
            tuple(domain["choices"]),
            Condition(condition["parent"], tuple(condition["choices"])) if condition else None,
            None if tasks is None else tuple(tasks),
        )
    longest = {int(size): int(steps) for size, steps in data["longest"].items()}
    return ArchitectureCoverage(domains, tuple(data["depths"]), tuple(data["sizes"]), dict(data["tasks"]), longest)
