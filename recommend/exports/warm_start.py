"""The form that all exports share: points, space, priors, and what was lost on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...features import Condition, Dimension, Space, unknown
from ...features.dimension import Floats, Value
from ...features.space import DEPTH
from ..cube import Axis
from ..warm import expected, narrow
from .belief import Belief, believe

if TYPE_CHECKING:
    from ..recommendation import Recommendation

Config = dict[str, Value]


@dataclass(frozen=True)
class WarmStart:
    """A recommendation without its surrogate.

    Parameters
    ----------
    title : str
        What was asked, in one line.
    points : tuple of dict
        The recommended configurations, best first. A parameter whose condition does not hold is absent.
    expectations : tuple of dict
        What to expect of each point: rank, predicted_loss, interval, p_diverge, expected_rank, gain, n_layers,
        hidden_units.
    space : Space
        Every parameter of the points; one with a single choice does not vary.
    elites : tuple of dict
        The configurations that the points were chosen from, best first.
    scores : ndarray of shape (n_elites,)
        Their ranking scores, lower is better.
    dropped : tuple of str
        What was changed or left out so far.
    """

    title: str
    points: tuple[Config, ...]
    expectations: tuple[dict[str, Any], ...]
    space: Space
    elites: tuple[Config, ...]
    scores: Floats
    dropped: tuple[str, ...] = field(default=())

    @cached_property
    def priors(self) -> dict[str, Belief]:
        """Parameter to its prior; see `Belief`."""
        found = {}
        for item in self.space.dimensions:
            groups = [[config[item.name] for config in group if item.name in config]
                      for group in (self.elites, self.points)]  # fmt: skip
            found[item.name] = believe(item, groups[0] or groups[1])
        return found

    @property
    def conditions(self) -> dict[str, Condition]:
        """Parameter to its condition, for those that have one."""
        return self.space.all_conditions

    def losing(self, *texts: str) -> WarmStart:
        """Return the same with more that is dropped."""
        return replace(self, dropped=(*self.dropped, *texts))

    def flat(self, target: str) -> WarmStart:
        """Return the same without conditions: what did not exist in a point gets the centre of its prior.

        Such a value has no effect where the parameter's condition does not hold.
        """
        if not self.conditions:
            return self
        texts = [
            f"{name} exists only where {item.parent} is {' or '.join(map(repr, item.choices))}: {target} has no "
            f"conditions, so it always varies, and points without it have its prior's centre."
            for name, item in self.conditions.items()
        ]
        centres = {name: self.priors[name].centre for name in self.conditions}
        full = [tuple(centres | config for config in group) for group in (self.points, self.elites)]
        flat = tuple(replace(item, condition=None) for item in self.space.dimensions)
        return replace(self, points=full[0], elites=full[1], space=Space(flat, {}, {})).losing(*texts)


def draft(found: Recommendation) -> WarmStart:
    """Return a recommendation in the corpus's names and values, and the whole space that was searched."""
    space, elites = found.query.space, tuple(found.query.space.configurations(found.elites.units))
    depth = {DEPTH} & {item.name for item in space.dimensions}
    points = tuple(dict(item.hparams) | dict.fromkeys(depth, item.n_layers) for item in found)
    held = [Dimension(name, "category", choices=(value,)) for name, value in space.fixed.items()]
    conditions = space.conditions
    dimensions = [*space.dimensions, *(replace(item, condition=conditions.get(item.name)) for item in held)]
    return WarmStart(
        found.headline(),
        points,
        tuple({"rank": rank, **expected(item)} for rank, item in enumerate(found, start=1)),
        Space(tuple(dimensions), {}, {}),
        elites,
        found.elites.scores,
    )


def renamed(start: WarmStart, names: Mapping[str, str]) -> WarmStart:
    """Return the same under the user's names; ValueError if a name is unknown or two parameters share one."""
    for name in names:
        if name not in start.space.names:
            raise unknown("hyperparameter in names:", name, sorted(start.space.names))
    new = {name: names.get(name, name) for name in start.space.names}
    shared = sorted({name for name in new.values() if list(new.values()).count(name) > 1})
    if shared:
        raise ValueError(f"names gives {', '.join(map(repr, shared))} to several hyperparameters; give each its own.")
    dimensions = [
        replace(
            item,
            name=new[item.name],
            condition=item.condition and replace(item.condition, parent=new[item.condition.parent]),
        )
        for item in start.space.dimensions
    ]
    points, elites = (
        tuple({new[name]: value for name, value in config.items()} for config in group)
        for group in (start.points, start.elites)
    )
    return replace(start, points=points, elites=elites, space=Space(tuple(dimensions), {}, {}))


def narrowed(start: WarmStart) -> WarmStart:
    """Return the same with each dimension narrowed to the elites; one that none of them has is left out."""
    kept, texts = [], []
    for item in start.space.dimensions:
        values = [config[item.name] for config in (*start.elites, *start.points) if item.name in config]
        if not values:
            texts.append(
                f"{item.name} exists in none of the best configurations: it is left out of the narrowed space."
            )
        else:
            kept.append(_narrow(item, values))
    return replace(start, space=Space(tuple(kept), {}, {})).losing(*texts)


def possible(start: WarmStart) -> WarmStart:
    """Return the same without the parameters whose condition no choice that is left fulfils."""
    parents = {item.name: {str(choice) for choice in item.choices} for item in start.space.dimensions}
    never = [name for name, item in start.conditions.items() if not parents[item.parent] & set(item.choices)]
    if not never:
        return start
    texts = [
        f"{name} never exists, as {start.conditions[name].parent} has no choice left for which it does: it is left out."
        for name in never
    ]
    kept = tuple(item for item in start.space.dimensions if item.name not in never)
    return replace(start, space=Space(kept, {}, {})).losing(*texts)


def _narrow(item: Dimension, values: list[Value]) -> Dimension:
    """Return the dimension between its narrowed ends (see `warm.narrow`)."""
    if item.choices:
        return replace(item, choices=tuple(choice for choice in item.choices if choice in values))
    near: Any = narrow(Axis(item.name, item.distribution()), values)
    low, high = np.clip([near.low, near.high], item.low, item.high).tolist()
    if low == high:
        return Dimension(item.name, "category", choices=(values[0],), condition=item.condition)
    return replace(item, low=low, high=high)
