"""Any Optuna search space as a unit cube: points for the search, columns for the surrogate, parameters for a trial.

A whole number, or a number with a step, owns the part of its axis that rounds to it, so that its end values are drawn
as often as the others; a category with k choices owns a k-th.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..features.dimension import Floats

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Axis:
    """One parameter.

    Parameters
    ----------
    name : str
        Its name in the study.
    distribution : BaseDistribution
        Its values.
    """

    name: str
    distribution: BaseDistribution

    @cached_property
    def choices(self) -> tuple[Any, ...]:
        """The choices of a category; empty for a number."""
        return tuple(getattr(self.distribution, "choices", ()))

    @property
    def continuous(self) -> bool:
        """Whether it takes any number between two ends."""
        return not self.choices and not self._step and not self.distribution.single()

    @cached_property
    def _step(self) -> float:
        return float(getattr(self.distribution, "step", None) or 0.0)

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """The ends of the axis, on its scale."""
        low, high = self.distribution.low - self._step / 2, self.distribution.high + self._step / 2  # type: ignore[attr-defined]
        return (float(np.log(low)), float(np.log(high))) if self._log else (low, high)

    @property
    def _log(self) -> bool:
        return bool(getattr(self.distribution, "log", False))

    def values(self, units: Floats) -> NDArray[Any]:
        """Map numbers in [0, 1] to values, same shape: float64, or objects for a category."""
        if self.choices:
            index = np.minimum((units * len(self.choices)).astype(int), len(self.choices) - 1)
            choices = np.empty(len(self.choices), dtype=object)
            choices[:] = self.choices
            return choices[index]
        low, high = self._limits
        numbers = low + units * (high - low)
        numbers = np.exp(numbers) if self._log else numbers
        start, end = self.distribution.low, self.distribution.high  # type: ignore[attr-defined]
        if self._step:
            numbers = start + np.round((numbers - start) / self._step) * self._step
        return np.clip(numbers, start, end)

    def unit(self, value: Any) -> float:
        """Map a value back into [0, 1]; what lies outside goes to the nearer end, an unknown choice to the middle."""
        if self.choices:
            known = [type(choice) is type(value) and choice == value for choice in self.choices]
            return (known.index(True) + 0.5) / len(known) if any(known) else 0.5
        (low, high), number = self._limits, float(value)
        if high == low or np.isnan(number):
            return 0.5
        number = float(np.log(max(number, np.finfo(float).tiny))) if self._log else number
        return float(np.clip((number - low) / (high - low), 0, 1))


class Cube:
    """A search space.

    Parameters
    ----------
    distributions : mapping
        Parameter to Optuna distribution; the axes are in the order of the names.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.axes = tuple(Axis(name, distributions[name]) for name in sorted(distributions))

    def __len__(self) -> int:
        return len(self.axes)

    @property
    def key(self) -> tuple[tuple[str, BaseDistribution], ...]:
        """What makes two cubes the same, hashable."""
        return tuple((axis.name, axis.distribution) for axis in self.axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of choices of each axis, 0 for a number."""
        return tuple(len(axis.choices) for axis in self.axes)

    def columns(self, units: Floats) -> dict[str, NDArray[Any]]:
        """Turn points of shape (n, n_axes) into named columns of shape (n,)."""
        return {axis.name: axis.values(units[:, index]) for index, axis in enumerate(self.axes)}

    def parameters(self, unit: Floats) -> dict[str, Any]:
        """Turn one point of shape (n_axes,) into an Optuna trial's parameters."""
        columns = self.columns(unit[None, :])
        return {axis.name: _plain(columns[axis.name][0], axis.distribution) for axis in self.axes}

    def units(self, trials: Sequence[Mapping[str, Any]]) -> Floats:
        """Turn n parameter dicts into points of shape (n, n_axes); what a dict lacks is put in the middle."""
        points = np.full((len(trials), len(self.axes)), 0.5)
        for index, axis in enumerate(self.axes):
            points[:, index] = [axis.unit(params[axis.name]) if axis.name in params else 0.5 for params in trials]
        return points


def _plain(value: Any, distribution: BaseDistribution) -> Any:
    if hasattr(distribution, "choices"):
        return value
    return distribution.to_external_repr(float(value))


def encode(units: Floats, sizes: tuple[int, ...]) -> Floats:
    """Turn points of a unit cube into points whose Euclidean distance means something: choices are 1 apart.

    Parameters
    ----------
    units : ndarray of shape (n, n_axes)
    sizes : tuple of int
        The number of choices of each axis, 0 for a number.

    Returns
    -------
    ndarray of shape (n, n_columns)
        A number's axis as it is, a category's as one column a choice, of 0 or sqrt(1/2).
    """
    blocks = []
    for index, size in enumerate(sizes):
        axis = units[:, index]
        if size:
            chosen = np.minimum((axis * size).astype(int), size - 1)
            blocks.append((chosen[:, None] == np.arange(size)) * np.sqrt(0.5))
        else:
            blocks.append(axis[:, None])
    return np.hstack(blocks) if blocks else np.zeros((len(units), 0))
