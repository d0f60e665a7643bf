"""What the user allows: hyperparameters held fixed, choices left out, ranges narrowed, training length limited."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from ..features import check_number, unknown
from ..features.dimension import Value
from ..features.space import DEPTH

Pair = tuple[float, float]


@dataclass(frozen=True)
class Limits:
    """The user's limits on the space, all that `recommend` takes; what they say is checked against a corpus later.

    Parameters
    ----------
    fixed : dict
        Hyperparameter to the one value it shall have.
    exclude : dict
        Category (or ``n_layers``) to the choices that it shall not have.
    ranges : dict
        Number (or ``n_layers``) to the (lowest, highest) value that it may have.
    max_train_steps : int or None
        Most training steps, steps.
    max_seconds : float or None
        Longest training, seconds of wall time; needs `seconds_per_step`.
    seconds_per_step : float or None
        Measured wall time of one training step, seconds; needs `max_seconds`.
    """

    fixed: dict[str, Value] = field(default_factory=dict)
    exclude: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    ranges: dict[str, Pair] = field(default_factory=dict)
    max_train_steps: int | None = None
    max_seconds: float | None = None
    seconds_per_step: float | None = None

    @classmethod
    def check(
        cls,
        fixed: Mapping[str, Value] | None = None,
        exclude: Mapping[str, Iterable[Value] | Value] | None = None,
        ranges: Mapping[str, Pair] | None = None,
        max_train_steps: float | None = None,
        max_seconds: float | None = None,
        seconds_per_step: float | None = None,
    ) -> Limits:
        """Take what a user gave; ValueError if it is malformed or contradicts itself without looking at a corpus."""
        steps = None if max_train_steps is None else int(check_number("max_train_steps", max_train_steps, 1))
        return cls(
            dict(fixed or {}),
            {name: _several(name, values) for name, values in (exclude or {}).items()},
            {name: _pair(name, values) for name, values in (ranges or {}).items()},
            steps,
            *_seconds(max_seconds, seconds_per_step),
        )

    @property
    def steps(self) -> tuple[int, str] | None:
        """The most training steps, by whichever limit is tighter, and how to name it; None without a limit."""
        found: list[tuple[int, str]] = []
        if self.max_train_steps is not None:
            found.append((self.max_train_steps, f"max_train_steps={self.max_train_steps}"))
        if self.max_seconds is not None and self.seconds_per_step is not None:
            # the factor gives back what rounding takes: 0.3 / 0.1 is 2.9999999999999996
            steps = math.floor(self.max_seconds / self.seconds_per_step * (1 + 1e-12))
            text = f"max_seconds={self.max_seconds:g} at seconds_per_step={self.seconds_per_step:g} ({steps} steps)"
            found.append((steps, text))
        return min(found, default=None)

    def depths(
        self, pairs: tuple[tuple[int, int], ...], asked: int | None, covered: tuple[int, ...]
    ) -> tuple[tuple[int, int], ...]:
        """Return which of the (depth, nearest covered depth) pairs are allowed; `asked` is the depth the user gave."""
        left_out, (low, high) = self.exclude.get(DEPTH, ()), self.ranges.get(DEPTH, (0.0, math.inf))
        for layers in left_out:
            if layers not in covered and layers != asked:
                raise unknown("value of n_layers:", layers, map(str, covered))
        allowed = tuple(pair for pair in pairs if pair[0] not in left_out and low <= pair[0] <= high)
        if allowed:
            return allowed
        both: dict[str, Mapping[str, Any]] = {"exclude": self.exclude, "ranges": self.ranges}
        given = " with ".join(f"{what}['n_layers']={x[DEPTH]!r}" for what, x in both.items() if DEPTH in x)
        if asked is not None:
            raise ValueError(f"depth={asked} contradicts {given}; drop one of them.")
        raise ValueError(
            f"{given} leaves nothing: the corpus covers the depths {', '.join(map(str, covered))}; leave at least one."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "fixed": dict(self.fixed),
            "exclude": {name: list(values) for name, values in self.exclude.items()},
            "ranges": {name: list(pair) for name, pair in self.ranges.items()},
            "max_train_steps": self.max_train_steps,
            "max_seconds": self.max_seconds,
            "seconds_per_step": self.seconds_per_step,
        }


def _several(name: str, values: object) -> tuple[Value, ...]:
    if isinstance(values, (str, Real)):
        return (values,)  # type: ignore[return-value]
    if not isinstance(values, Iterable):
        raise ValueError(f"exclude[{name!r}] must be a list of choices, but got {values!r}.")
    return tuple(values)


def _pair(name: str, values: object) -> Pair:
    pair = tuple(values) if isinstance(values, (tuple, list)) else ()
    numbers = [x for x in pair if isinstance(x, Real) and not isinstance(x, bool) and math.isfinite(x)]
    if len(pair) != 2 or len(numbers) != 2:
        raise ValueError(f"ranges[{name!r}] must be a pair (low, high) of finite numbers, but got {values!r}.")
    if pair[0] > pair[1]:
        raise ValueError(f"ranges[{name!r}]={pair!r} is empty: low <= high must hold; swap them.")
    return pair[0], pair[1]


def _seconds(limit: object, per_step: object) -> tuple[float | None, float | None]:
    given = {"max_seconds": limit, "seconds_per_step": per_step}
    if limit is None and per_step is None:
        return None, None
    for name, value in given.items():
        other = "seconds_per_step" if name == "max_seconds" else "max_seconds"
        if value is None:
            raise ValueError(
                f"{other}={given[other]!r} needs {name} too: the limit on training steps is max_seconds / "
                f"seconds_per_step; give both, or max_train_steps alone."
            )
        if check_number(name, value, 0) == 0:
            raise ValueError(f"{name} must be a finite number above 0, but got {value!r}.")
    allowed, cost = float(limit), float(per_step)  # type: ignore[arg-type]
    if allowed < cost:
        raise ValueError(f"max_seconds={allowed:g} buys no step at seconds_per_step={cost:g}; raise the limit.")
    return allowed, cost
