"""The space of configurations of one architecture: what may vary, between which bounds, under which conditions.

Three representations: the *unit cube* (one number in [0, 1] a dimension, equal steps are equal steps on the
hyperparameter's scale), *columns* (what the encoder takes), and *configurations* (dicts, what a user sees).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..corpus.schema import HP_PREFIX
from ..features import Condition, Domain, Hyperparameter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DEPTH: Final = "n_layers"
"""Name of the depth where the search chooses it."""
Floats = NDArray[np.float64]
Value = str | int | float


@dataclass(frozen=True)
class Dimension:
    """One thing that varies.

    Parameters
    ----------
    name : str
        Hyperparameter, or `DEPTH`.
    scale : {"category", "linear", "log", "logit"}
        Scale on which steps are equal.
    low, high : float
        Bounds of a number; 0 and 0 for a category.
    choices : tuple
        The values of a category, or the depths.
    integer : bool
        Whether only whole numbers are allowed.
    condition : Condition or None
        When the dimension exists.
    """

    name: str
    scale: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Value, ...] = ()
    integer: bool = False
    condition: Condition | None = None

    @classmethod
    def from_domain(cls, hyperparameter: Hyperparameter, domain: Domain) -> Dimension:
        """Take the range that the corpus covers."""
        if hyperparameter.scale == "category":
            return cls(hyperparameter.name, "category", choices=domain.choices, condition=domain.condition)
        low, high = domain.low or 0.0, domain.high or 0.0
        integer = hyperparameter.integer
        return cls(hyperparameter.name, hyperparameter.scale, low, high, (), integer, domain.condition)

    def values(self, unit: Floats) -> NDArray[Any]:
        """Map numbers in [0, 1] to values, same shape."""
        if self.choices:
            index = np.minimum((unit * len(self.choices)).astype(int), len(self.choices) - 1)
            return np.array(self.choices, dtype=object)[index]
        if self.scale == "log":
            numbers = np.exp(np.log(self.low) + unit * (np.log(self.high) - np.log(self.low)))
        else:
            numbers = self.low + unit * (self.high - self.low)
        return np.clip(np.round(numbers) if self.integer else numbers, self.low, self.high)

    def units(self, values: NDArray[Any]) -> Floats:
        """Map values back into [0, 1]: a choice to the middle of its interval."""
        if self.choices:
            return np.array([(self.choices.index(value) + 0.5) / len(self.choices) for value in values])
        numbers = np.asarray(values, dtype=np.float64)
        if self.high == self.low:
            return np.full(len(numbers), 0.5)
        if self.scale == "log":
            return np.log(numbers / self.low) / np.log(self.high / self.low)
        return (numbers - self.low) / (self.high - self.low)

    def distribution(self) -> BaseDistribution:
        """Return the same as an Optuna distribution."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.scale == "log")
        return FloatDistribution(self.low, self.high, log=self.scale == "log")


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
        conditions = {item.name: item.condition for item in self.dimensions if item.condition} | self.conditions
        for name, condition in conditions.items():
            absent = ~np.isin(columns[condition.parent].astype(str), condition.choices)
            if absent.any():
                columns[name] = columns[name].astype(object)
                columns[name][absent] = None
        return columns

    def configurations(self, units: Floats) -> list[dict[str, Value]]:
        """Turn points of the unit cube into dicts, names sorted, without what does not exist."""
        columns = self.columns(units)
        integers = {item.name for item in self.dimensions if item.integer}
        names = sorted(columns)
        return [
            {
                name: _plain(columns[name][row], name in integers or isinstance(self.fixed.get(name), int))
                for name in names
                if columns[name][row] is not None
            }
            for row in range(len(units))
        ]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return what varies as Optuna distributions, by name."""
        return {item.name: item.distribution() for item in self.dimensions}

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
