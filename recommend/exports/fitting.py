"""A user's own space: what of a recommendation fits into it, and what is done about the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from numbers import Real
from typing import Any, Final, Literal

import numpy as np

from ...features import Dimension, Space
from ...features.dimension import Value
from .export import listed
from .warm_start import Config, WarmStart

OnMismatch = Literal["error", "clip", "drop"]
POLICIES: Final = ("error", "clip", "drop")
SHOWN: Final = 8
"""How many misfits an error spells out."""


def fitted(start: WarmStart, space: Mapping[str, Any], on_mismatch: str) -> WarmStart:
    """Return the part of a warm start that fits into a user's space, in that space.

    Parameters
    ----------
    start : WarmStart
        Under the user's names and in the user's values.
    space : mapping
        Parameter to ``(low, high)``, to a list of choices, to an Optuna distribution, or to a hyperparameter of
        ConfigSpace (a ``ConfigurationSpace`` is such a mapping). A pair takes its scale from the recommendation.
    on_mismatch : {"error", "clip", "drop"}
        What to do with a value outside the user's range: refuse everything; move numbers to the nearer end (a point
        with a choice that the user does not have is left out); or leave the point out. A parameter that only one side
        has is an error, or else left out of points and space.

    Raises
    ------
    ValueError
        Something does not fit under "error", no point is left, or an entry of `space` is malformed.
    """
    asked = {name: _dimension(name, entry, start) for name, entry in space.items()}
    ours = start.space.names
    common = {name: asked[name] for name in ours if name in asked}
    texts = [f"{name!r} is recommended, but not in space." for name in ours if name not in asked]
    texts += [f"{name!r} is in space, but nothing is recommended for it." for name in asked if name not in ours]
    misfits = [_misfits(rank, config, common) for rank, config in enumerate(start.points, start=1)]
    if on_mismatch == "error" and (texts or any(misfits)):
        raise ValueError(_refusal([*texts, *chain(*misfits)]))
    kept = [_fit(config, common, on_mismatch) for config in start.points]
    kept = [None if config in kept[:index] else config for index, config in enumerate(kept)]
    if not any(kept):
        raise ValueError(
            f"No point fits into space: {' '.join([*chain(*misfits)][:SHOWN])} Widen it, or ask for a recommendation "
            f"inside it with fixed= and ranges=."
        )
    elites = [_fit(config, common, on_mismatch) for config in start.elites]
    return _assemble(start, common, kept, elites).losing(*texts, *_told(misfits, kept), *_outside(elites))


def _assemble(
    start: WarmStart, common: dict[str, Dimension], kept: Sequence[Config | None], elites: Sequence[Config | None]
) -> WarmStart:
    gone = [
        f"{name} exists only where {item.parent} is {' or '.join(map(repr, item.choices))}, but {item.parent} is not "
        f"in space: it is taken to exist always."
        for name, item in start.conditions.items()
        if name in common and item.parent not in common
    ]
    return replace(
        start,
        points=tuple(config for config in kept if config),
        expectations=tuple(told for told, config in zip(start.expectations, kept, strict=True) if config),
        space=Space(tuple(_conditional(item, common) for item in common.values()), {}, {}),
        elites=tuple(config for config in elites if config),
        scores=start.scores[np.array([bool(config) for config in elites])],
    ).losing(*gone)


def _conditional(item: Dimension, common: Mapping[str, Dimension]) -> Dimension:
    return item if item.condition is None or item.condition.parent in common else replace(item, condition=None)


def _fit(config: Config, space: Mapping[str, Dimension], on_mismatch: str) -> Config | None:
    """Return the part of a configuration that the space has, or None where a value lies outside."""
    part = {name: value for name, value in config.items() if name in space}
    if on_mismatch == "clip":
        part = {name: _clip(space[name], value) for name, value in part.items()}
    return part if all(_contains(space[name], value) for name, value in part.items()) else None


def _clip(item: Dimension, value: Value) -> Value:
    if item.choices or isinstance(value, str):
        return value
    near = min(max(value, item.low), item.high)
    return round(near) if item.integer else near


def _contains(item: Dimension, value: Value) -> bool:
    if item.choices:
        return value in item.choices
    return not isinstance(value, str) and item.low <= value <= item.high and (not item.integer or value == int(value))


def _misfits(rank: int, config: Config, space: Mapping[str, Dimension]) -> list[str]:
    return [
        f"point {rank}: {name}={config[name]!r} is not {_inside(item)}."
        for name, item in space.items()
        if name in config and not _contains(item, config[name])
    ]


def _inside(item: Dimension) -> str:
    if item.choices:
        return f"one of {listed(map(repr, item.choices))}"
    return f"{'a whole number ' if item.integer else ''}in {item.low:g} to {item.high:g}"


def _refusal(texts: Sequence[str]) -> str:
    more = f" And {len(texts) - SHOWN} more." if len(texts) > SHOWN else ""
    return (
        f"The recommendation does not fit into space. {' '.join(texts[:SHOWN])}{more} Change space, ask for a "
        f"recommendation inside it with fixed= and ranges=, or say on_mismatch='clip' or 'drop'."
    )


def _told(misfits: Sequence[Sequence[str]], kept: Sequence[Config | None]) -> list[str]:
    """Return what became of each point that did not fit, or that came to be the same as one before it."""
    texts = []
    for rank, (wrong, config) in enumerate(zip(misfits, kept, strict=True), start=1):
        texts += [f"{text} Moved to the nearer end." if config else f"{text} The point is left out." for text in wrong]
        if not wrong and config is None:
            texts.append(f"point {rank}: without what is not in space, the same as one before it. It is left out.")
    return texts


def _outside(elites: Sequence[Config | None]) -> list[str]:
    count = sum(not config for config in elites)
    others = "those of the points" if count == len(elites) else "those of the others"
    text = f"{count} of the {len(elites)} best configurations lie outside space: the priors are {others}."
    return [text] if count else []


def _dimension(name: str, entry: Any, start: WarmStart) -> Dimension:
    """Return the user's entry as a dimension, with the scale and condition of the recommendation's."""
    ours = next((item for item in start.space.dimensions if item.name == name), None)
    condition = ours.condition if ours else None
    if hasattr(entry, "value") and not hasattr(entry, "choices"):
        return Dimension(name, "category", choices=(entry.value,), condition=condition)
    if isinstance(entry, list) or hasattr(entry, "choices"):
        return Dimension(name, "category", choices=tuple(getattr(entry, "choices", entry)), condition=condition)
    low, high = _ends(name, entry)
    scale = ours.scale if ours and ours.scale in ("linear", "log", "logit") else "linear"
    if hasattr(entry, "log"):
        scale = "log" if entry.log else "linear"
    integer = "Int" in type(entry).__name__ or (isinstance(entry, tuple) and _whole(ours, low, high))
    if scale == "log" and low <= 0:
        raise ValueError(f"space[{name!r}]={entry!r} must be positive, as {name} is searched on a logarithmic scale.")
    return Dimension(name, scale, float(low), float(high), (), integer, condition)


def _whole(ours: Dimension | None, low: float, high: float) -> bool:
    """Whether a pair holds whole numbers: where the recommendation's do."""
    if ours is None:
        return isinstance(low, int) and isinstance(high, int)
    return all(isinstance(choice, int) for choice in ours.choices) if ours.choices else ours.integer


def _ends(name: str, entry: Any) -> tuple[float, float]:
    if getattr(entry, "step", None) not in (None, 1) or getattr(entry, "q", None) is not None:
        raise ValueError(f"space[{name!r}]={entry!r} has steps, which are not supported; give the range without them.")
    pair = entry
    for ends in (("low", "high"), ("lower", "upper")):
        if all(hasattr(entry, end) for end in ends):
            pair = tuple(getattr(entry, end) for end in ends)
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(end, Real) for end in pair):
        raise ValueError(
            f"space[{name!r}] must be (low, high), a list of choices, an Optuna distribution or a hyperparameter of "
            f"ConfigSpace, but got {entry!r}."
        )
    if not pair[0] < pair[1]:
        raise ValueError(f"space[{name!r}]={entry!r}: low < high must hold.")
    return pair
