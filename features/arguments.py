"""Arguments of the public functions, checked."""

from __future__ import annotations

import math
from numbers import Integral, Real


def check_number(name: str, value: object, least: float) -> float:
    """Return a finite number of at least `least`; ValueError names the argument and what it was."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < least:
        raise ValueError(f"{name} must be a finite number of at least {least}, but got {value!r}.")
    return float(value)


def check_whole(name: str, value: object, least: int) -> int:
    """Return a whole number of at least `least`; ValueError names the argument and what it was."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, but got {value!r}.")
    return int(value)
