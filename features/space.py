"""The space of configurations of one architecture: what may vary, between which bounds, under which conditions.

Three representations: the *unit cube* (one number in [0, 1] a dimension, equal steps are equal steps on the
hyperparameter's scale), *columns* (what the encoder takes), and *configurations* (dicts, what a user sees).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import HP_PREFIX
from .coverage import Condition, Domain
from .dimension import Dimension, Floats, Value
from .hyperparameters import Hyperparameter
from .spelling import unknown

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

DEPTH: Final = "n_layers"
"""Name of the depth where the search chooses it."""


@dataclass(frozen=True)
class Space:
    """All configurations that may be recommended.

    Parameters
    ----------
    dimensions : tuple of Dimension
        What varies; the axes of the unit cube.
    fixed : dict
        Name to the one value of what does not vary.
    conditions : dict
        Name to the condition of fixed hyperparameters that have one.
    """

    dimensions: tuple[Dimension, ...]
    fixed: dict[str, Value]
    conditions: dict[str, Condition]

    @classmethod
    def covered(
        cls, domains: Mapping[str, Domain], known: Mapping[str, Hyperparameter], fixed: Mapping[str, Value]
    ) -> Space:
        """Span what a corpus covers; what is fixed, or took one value only, does not vary.

        Parameters
        ----------
        domains : mapping
            Hyperparameter to its `Domain`: those that the architecture has for the task.
        known : mapping
            The encoder's hyperparameters.
        fixed : mapping
            Hyperparameter to the value to hold.
        """
        dimensions = [Dimension.from_domain(known[name], item) for name, item in domains.items() if name not in fixed]
        held = dict(fixed)
        held |= {item.name: item.choices[0] for item in dimensions if len(item.choices) == 1}
        held |= {item.name: item.low for item in dimensions if not item.choices and item.low == item.high}
        conditions = {name: condition for name in held if (condition := domains[name].condition) is not None}
        return cls(tuple(item for item in dimensions if item.name not in held), held, conditions)

    @cached_property
    def all_conditions(self) -> dict[str, Condition]:
        """The condition of every hyperparameter, varying or fixed, that has one."""
        return {item.name: item.condition for item in self.dimensions if item.condition} | self.conditions

    @property
    def names(self) -> tuple[str, ...]:
        """Every hyperparameter, varying or fixed."""
        return tuple(self._by_name)

    @cached_property
    def _by_name(self) -> dict[str, Dimension]:
        """All dimensions by name; what is fixed is one of a single value."""
        return {item.name: item for item in self.dimensions} | {
            name: Dimension(name, "category", choices=(value,))
            if isinstance(value, str)
            else Dimension(name, "linear", float(value), float(value))
            for name, value in self.fixed.items()
        }

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n configurations uniformly, each dimension on its scale. Shape (n, n_dimensions)."""
        return rng.random((n, len(self.dimensions)))

    def columns(self, units: Floats) -> dict[str, NDArray[Any]]:
        """Turn points of the unit cube, shape (n, n_dimensions), into named columns of shape (n,).

        A hyperparameter whose condition does not hold is None. The depth, where it varies, is among them.
        """
        columns = {item.name: item.values(units[:, axis]) for axis, item in enumerate(self.dimensions)}
        for name, value in self.fixed.items():
            columns[name] = np.full(len(units), value, dtype=object if isinstance(value, str) else np.float64)
        self._drop_absent(columns)
        return columns

    def _drop_absent(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.bool_]]:
        """Make null, in place, what does not exist under its condition; return where, by name."""
        absent = {
            name: ~np.isin(columns[condition.parent].astype(str), condition.choices)
            for name, condition in self.all_conditions.items()
        }
        for name, rows in absent.items():
            if rows.any():
                columns[name] = columns[name].astype(object)
                columns[name][rows] = None
        return absent

    def complete(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """Check a configuration, add what is fixed, leave out what does not exist under its condition.

        A hyperparameter that does not exist may be given, be null, or be left out: it makes no difference.

        Raises
        ------
        ValueError
            A name is unknown, a value is none of the space's, or a hyperparameter that exists is missing.
        """
        self._refuse_strangers(config)
        full: dict[str, Value] = dict(self.fixed)
        for name, value in config.items():
            if value is not None and value == value:  # NaN, too, is null
                full[name] = self._by_name[name].check(value)
        absent = [
            name
            for name, condition in self.all_conditions.items()
            if str(full.get(condition.parent)) not in condition.choices
        ]
        for name in absent:
            full.pop(name, None)
        if len(full) + len(absent) < len(self._by_name):
            self._refuse_missing([name for name in self._by_name if name not in full and name not in absent])
        return full

    def complete_columns(self, table: pd.DataFrame | Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Do the same as `complete` with many configurations: a column of shape (n,) for every hyperparameter."""
        self._refuse_strangers(table)
        n = len(table) if isinstance(table, pd.DataFrame) else max(map(len, table.values()), default=0)
        columns = {name: self._column(name, table, n) for name in self._by_name}
        absent = self._drop_absent(columns)
        for name, values in columns.items():
            missing = np.asarray(pd.isna(values)) & ~absent.get(name, np.zeros(n, dtype=bool))
            if missing.any():
                self._refuse_missing([name], f" in row {int(np.argmax(missing))}")
        return columns

    def _column(self, name: str, table: pd.DataFrame | Mapping[str, Any], n: int) -> NDArray[Any]:
        given = self._by_name[name].check_column(table[name] if name in table else np.full(n, np.nan))
        if name in self.fixed:
            given[np.asarray(pd.isna(given))] = self.fixed[name]
        return given

    def _refuse_strangers(self, names: Any) -> None:
        for name in names:
            if name not in self._by_name:
                raise unknown("hyperparameter", name, sorted(self._by_name))

    def _refuse_missing(self, names: list[str], where: str = "") -> None:
        raise ValueError(
            f"The configuration{where} lacks {', '.join(names)}: every hyperparameter of the space must have a value, "
            f"unless its condition makes it absent."
        )

    def configurations(self, units: Floats) -> list[dict[str, Value]]:
        """Turn points of the unit cube into dicts, names sorted, without what does not exist."""
        return self.as_configurations(self.columns(units))

    def as_configurations(self, columns: Mapping[str, NDArray[Any]]) -> list[dict[str, Value]]:
        """Turn columns of shape (n,) into n dicts, names sorted, without nulls."""
        integers = {item.name for item in self.dimensions if item.integer}
        names = sorted(columns)
        return [
            {
                name: _plain(columns[name][row], name in integers or isinstance(self.fixed.get(name), int))
                for name in names
                if columns[name][row] is not None
            }
            for row in range(len(columns[names[0]]) if names else 1)
        ]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return what varies as Optuna distributions, by name."""
        return {item.name: item.distribution() for item in self.dimensions}

    def suggest(self, trial: BaseTrial) -> dict[str, Value]:
        """Let an Optuna trial choose a configuration: conditions are looked at, so that nothing absent is suggested."""
        chosen: dict[str, Value] = dict(self.fixed)
        for item in sorted(self.dimensions, key=lambda item: item.condition is not None):
            condition = item.condition
            if condition is None or str(chosen[condition.parent]) in condition.choices:
                chosen[item.name] = item.suggest(trial)
        return {item.name: chosen[item.name] for item in self.dimensions if item.name in chosen}

    def configspace(self, name: str) -> ConfigurationSpace:
        """Return the same as a named ConfigSpace space, with its conditions; what is fixed is left out.

        Raises
        ------
        ModuleNotFoundError
            ConfigSpace is not installed; the message says how to install it.
        """
        try:
            import ConfigSpace as cs
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "configspace() needs the package ConfigSpace: pip install 'rnn-warmstart[configspace]'.",
                name=error.name,
            ) from error
        space = cs.ConfigurationSpace(name=name)
        space.add([item.configspace() for item in self.dimensions])
        space.add(
            [
                cs.InCondition(space[item.name], space[item.condition.parent], list(item.condition.choices))
                for item in self.dimensions
                if item.condition and item.condition.parent not in self.fixed
            ]
        )
        return space

    def distance(self, units: Floats, others: Floats) -> Floats:
        """Root mean square distance of points in the unit cube; different choices are 1 apart. Shape (n, m)."""
        if not self.dimensions:
            return np.zeros((len(units), len(others)))
        total = np.zeros((len(units), len(others)))
        for axis, item in enumerate(self.dimensions):
            gap = np.abs(units[:, axis, None] - others[None, :, axis])
            if item.scale == "category" and item.choices:
                count = len(item.choices)
                gap = (
                    np.minimum(units[:, axis] * count // 1, count - 1)[:, None]
                    != np.minimum(others[:, axis] * count // 1, count - 1)[None, :]
                ).astype(np.float64)
            total += gap**2
        return np.sqrt(total / len(self.dimensions))


def as_rows(
    columns: dict[str, NDArray[Any]], architecture: str, task: str, depth: NDArray[Any], max_params: float
) -> dict[str, NDArray[Any]]:
    """Turn columns of a space into the rows that the encoder takes; `depth` has shape (n,)."""
    n = len(depth)
    setup = {
        "architecture": np.full(n, architecture, dtype=object),
        "task_type": np.full(n, task, dtype=object),
        "n_layers": depth,
        "max_params": np.full(n, max_params),
    }
    return setup | {HP_PREFIX + name: values for name, values in columns.items() if name != DEPTH}


def _plain(value: Any, integer: bool) -> Value:
    if isinstance(value, str):
        return value
    return int(value) if integer else float(value)
