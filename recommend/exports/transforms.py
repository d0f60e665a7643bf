"""Values as the user spells them: momentum from its logit, a choice under another name, a rate per thousand steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, Final

import numpy as np

from ...features import Dimension, Space, unknown
from ...features.dimension import Value
from .export import listed
from .warm_start import Config, WarmStart

Transform = str | Mapping[Any, Value] | Callable[[Any], Value]


def _sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)); the corpus's optimizer_logit_momentum is the logit of the momentum."""
    return 1 / (1 + math.exp(-logit))


NAMED: Final[dict[str, Callable[[float], float]]] = {"sigmoid": _sigmoid, "log": math.log, "log10": math.log10}
"""Transforms by name; their results are searched on a linear scale."""
PROBES: Final = 33
"""Values of a range at which a function is looked at: whether it rises or falls throughout."""


def transformed(start: WarmStart, transforms: Mapping[str, Transform]) -> WarmStart:
    """Return the same with the values of some hyperparameters changed.

    Parameters
    ----------
    start : WarmStart
        In the corpus's names.
    transforms : mapping
        Hyperparameter to "sigmoid", "log" or "log10"; to a dict from the corpus's choices to the user's (what it does
        not name stays); or to a function of a number that rises or falls throughout. A function's results are searched
        on a logarithmic scale where the hyperparameter is and they are positive, else on a linear one.

    Raises
    ------
    ValueError
        A hyperparameter or a name of a transform is unknown, two choices become the same, or a function neither rises
        nor falls throughout.
    """
    for name, how in transforms.items():
        if name not in start.space.names:
            raise unknown("hyperparameter in transforms:", name, sorted(start.space.names))
        item = next(item for item in start.space.dimensions if item.name == name)
        start = _spelled(start, item, how) if isinstance(how, Mapping) else _moved(start, item, _function(name, how))
        if item.scale == "logit" and not isinstance(how, Mapping):
            start = start.losing(f"{name} is searched on a linear scale after its transform, no longer on its logit.")
    return start


def _function(name: str, how: object) -> tuple[Callable[[Any], Value], bool]:
    """Return the function, and whether its results may keep a logarithmic scale."""
    if callable(how):
        return how, True
    if not isinstance(how, str) or how not in NAMED:
        raise ValueError(
            f"transforms[{name!r}]={how!r} is no transform; give one of {listed(sorted(NAMED))}, a dict of choices, or "
            f"a function."
        )
    return NAMED[how], False


def _spelled(start: WarmStart, item: Dimension, spelling: Mapping[Any, Value]) -> WarmStart:
    """Give the choices of a category other names, also in the conditions of others."""
    new = {choice: spelling.get(choice, choice) for choice in item.choices}
    if len(set(new.values())) < len(new):
        raise ValueError(f"transforms[{item.name!r}] makes two choices the same; give each its own name.")
    strangers = [choice for choice in spelling if choice not in item.choices]
    texts = [f"transforms[{item.name!r}] names {listed(map(repr, strangers))}: no choice here."] if strangers else []
    changed = [_respell(other, item.name, new) for other in start.space.dimensions]
    return _changed(start, item.name, new.__getitem__, changed).losing(*texts)


def _respell(other: Dimension, parent: str, new: Mapping[Any, Value]) -> Dimension:
    if other.name == parent:
        return replace(other, choices=tuple(new[choice] for choice in other.choices))
    if other.condition is None or other.condition.parent != parent:
        return other
    choices = tuple(str(new.get(choice, choice)) for choice in other.condition.choices)
    return replace(other, condition=replace(other.condition, choices=choices))


def _moved(start: WarmStart, item: Dimension, how: tuple[Callable[[Any], Value], bool]) -> WarmStart:
    """Apply a function to a number's values and range."""
    function, keeps = how
    if item.scale == "category":
        return _spelled(start, item, {choice: function(choice) for choice in item.choices})
    probes = item.values(np.linspace(0, 1, PROBES))
    probes[[0, -1]] = item.low, item.high  # exactly, as a point may lie there
    results = [_result(function, round(x) if item.integer else float(x)) for x in probes]
    steps = np.sign(np.diff(np.array(results, dtype=np.float64)))[np.diff(probes) != 0]
    if not (steps > 0).all() and not (steps < 0).all():
        raise ValueError(
            f"The transform of {item.name} must rise or fall throughout {item.low:g} to {item.high:g}, and all its "
            f"results must be finite numbers, but they are not."
        )
    low, high = sorted((float(results[0]), float(results[-1])))
    scale = "log" if keeps and item.scale == "log" and low > 0 else "linear"
    whole = item.integer and all(isinstance(result, int) for result in results)
    changed = replace(item, low=low, high=high, scale=scale, integer=whole)
    dimensions = [changed if other is item else other for other in start.space.dimensions]
    return _changed(start, item.name, function, dimensions)


def _result(function: Callable[[Any], Any], value: float) -> float:
    """Return the function's result; NaN where it has none."""
    try:
        result = function(value)
    except (ValueError, ArithmeticError):
        return math.nan
    known: float = result if isinstance(result, Real) and math.isfinite(result) else math.nan  # type: ignore[assignment]
    return known


def _changed(start: WarmStart, name: str, function: Callable[[Any], Value], dimensions: list[Dimension]) -> WarmStart:
    points, elites = (
        tuple(_with(config, name, function) for config in group) for group in (start.points, start.elites)
    )
    return replace(start, points=points, elites=elites, space=Space(tuple(dimensions), {}, {}))


def _with(config: Config, name: str, function: Callable[[Any], Value]) -> Config:
    return config | {name: function(config[name])} if name in config else config
