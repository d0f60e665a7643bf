"""One thing that varies: its values, their scale, and the same for Optuna and ConfigSpace."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .coverage import Condition, Domain
from .hyperparameters import Hyperparameter
from .spelling import unknown

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

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

    def suggest(self, trial: BaseTrial) -> Value:
        """Let an Optuna trial choose a value."""
        if self.choices:
            return self.check(trial.suggest_categorical(self.name, self.choices))
        if self.integer:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.scale == "log")
        return trial.suggest_float(self.name, self.low, self.high, log=self.scale == "log")

    def configspace(self) -> Any:
        """Return the same as a hyperparameter of ConfigSpace, which must be installed."""
        import ConfigSpace as cs

        if self.choices:
            return cs.CategoricalHyperparameter(self.name, list(self.choices))
        if self.integer:
            return cs.UniformIntegerHyperparameter(self.name, int(self.low), int(self.high), log=self.scale == "log")
        return cs.UniformFloatHyperparameter(self.name, self.low, self.high, log=self.scale == "log")

    def check(self, value: object, prefix: str = "") -> Value:
        """Return a value as str, int or float; ValueError, its text led by `prefix`, if it is not one of these."""
        if type(value) is float and self.low <= value <= self.high and not self.integer:
            return value  # most values: no reason to look further
        if self.choices:
            text = str(value)
            if text not in self.choices:
                raise unknown(f"value of {self.name}:", value, map(str, self.choices))
            return self.choices[self.choices.index(text)]
        number = _finite(prefix + self.name, value)
        if self.integer and number != round(number):
            raise ValueError(
                f"{prefix}{self.name} must be a whole number from {self.low:g} to {self.high:g}, but got {value!r}."
            )
        if not self.low <= number <= self.high:
            raise ValueError(
                f"{prefix}{self.name}={value!r} is outside the range that the corpus covers, {self.low:g} to "
                f"{self.high:g}; choose a value inside it."
            )
        return round(number) if self.integer else number

    def check_column(self, values: Any) -> NDArray[Any]:
        """Check many values, shape (n,): numbers come back as float64, categories as objects; nulls stay null."""
        given = np.asarray(values)
        if given.dtype.kind in "fiu" and not self.choices:
            numbers = given.astype(np.float64)
            good = np.isnan(numbers) | ((numbers >= self.low) & (numbers <= self.high))
            good &= np.isnan(numbers) | (not self.integer) | (numbers == np.round(numbers))
            if not good.all():
                self.check(given[int(np.argmin(good))].item())  # says what is wrong
            return numbers
        codes, distinct = pd.factorize(np.asarray(values, dtype=object))
        column = np.array([*map(self.check, distinct), None], dtype=object)[codes]
        return column if self.choices else column.astype(np.float64)


def _finite(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, but got {value!r}.")
    return float(value)
