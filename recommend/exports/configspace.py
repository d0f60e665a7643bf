"""ConfigSpace and SMAC: configurations and a space, uniform or with priors."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ...features import Condition, Dimension, Space
from ...features.dimension import Value
from .belief import Belief
from .export import Export, TextExport, listed, load
from .warm_start import WarmStart

if TYPE_CHECKING:
    from ConfigSpace import Configuration, ConfigurationSpace

PLACES: Final = 13
"""Decimal places that ConfigSpace keeps of a number."""
NOTABLE: Final = 1e-9
"""Relative change of a value by rounding that is told."""


@dataclass(frozen=True, kw_only=True)
class ConfigSpaceExport(TextExport):
    """A space and configurations of it; ``text`` is the space as ConfigSpace's own JSON.

    Parameters
    ----------
    space : ConfigurationSpace
        With conditions, and with priors where they were asked for; its default configuration is the first point.
    configurations : tuple of Configuration
        The points, in `space`.
    """

    space: ConfigurationSpace = field(repr=False)
    configurations: tuple[Configuration, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SmacExport(Export):
    """What SMAC begins with.

    Parameters
    ----------
    space : ConfigurationSpace
        For ``Scenario(space, ...)``.
    configurations : tuple of Configuration
        The points, in `space`.
    """

    space: ConfigurationSpace = field(repr=False)
    configurations: tuple[Configuration, ...] = field(repr=False)

    def initial_design(self, scenario: Any) -> Any:
        """Return the initial design of the points alone, for a facade's ``initial_design``.

        Parameters
        ----------
        scenario : smac.Scenario
            Made with `space`; for at least as many trials as there are points.

        Raises
        ------
        ValueError
            The scenario has another space.
        """
        if scenario.configspace != self.space:
            raise ValueError(
                "The scenario has another space than the points; make it with Scenario(export.space, ...)."
            )
        design = load("smac.initial_design", "smac", "smac").DefaultInitialDesign
        return design(scenario, n_configs=0, additional_configs=list(self.configurations))


def to_configspace(start: WarmStart, prior: str | None) -> ConfigSpaceExport:
    """Return the space and configurations; `prior` is "normal", "beta" or None."""
    start, space, configurations = _convert(start, prior, "configspace")
    return ConfigSpaceExport(
        target="configspace",
        points=start.points,
        dropped=start.dropped,
        text=json.dumps(space.to_serialized_dict(), indent=2) + "\n",
        space=space,
        configurations=configurations,
    )


def to_smac(start: WarmStart, prior: str | None) -> SmacExport:
    """Return the space and configurations for SMAC; `prior` is "normal", "beta" or None."""
    load("smac", "smac", "smac")
    start, space, configurations = _convert(start, prior, "smac")
    return SmacExport(
        target="smac", points=start.points, dropped=start.dropped, space=space, configurations=configurations
    )


def _convert(
    start: WarmStart, prior: str | None, target: str
) -> tuple[WarmStart, ConfigurationSpace, tuple[Configuration, ...]]:
    cs = load("ConfigSpace", "configspace", target)
    start = _rounded(start)
    first = {name: belief.centre for name, belief in start.priors.items()} | start.points[0]
    space = cs.ConfigurationSpace(name=start.title)
    items = start.space.dimensions
    space.add([_hyperparameter(cs, item, first[item.name], start.priors[item.name], prior) for item in items])
    space.add([_condition(cs, space, item, item.condition) for item in items if item.condition])
    return _losing_shape(start, prior), space, tuple(cs.Configuration(space, values=point) for point in start.points)


def _hyperparameter(cs: Any, item: Dimension, default: Value, belief: Belief, prior: str | None) -> Any:
    """Return a hyperparameter whose default is that of the first point, or its prior's centre."""
    if len(item.choices) == 1:
        return cs.Constant(item.name, item.choices[0])
    if item.choices:
        weights = belief.weights if prior else None
        return cs.CategoricalHyperparameter(item.name, list(item.choices), default_value=default, weights=weights)
    kind = "Integer" if item.integer else "Float"
    ends = {"lower": item.low, "upper": item.high, "default_value": default}
    if prior == "normal" and item.scale != "log":
        sigma = belief.spread * (item.high - item.low)
        return getattr(cs, f"Normal{kind}Hyperparameter")(item.name, mu=belief.centre, sigma=sigma, **ends)
    log = item.scale == "log"
    if prior:
        alpha, beta = belief.beta
        return getattr(cs, f"Beta{kind}Hyperparameter")(item.name, alpha=alpha, beta=beta, log=log, **ends)
    return getattr(cs, f"Uniform{kind}Hyperparameter")(item.name, log=log, **ends)


def _condition(cs: Any, space: Any, item: Dimension, condition: Condition) -> Any:
    """Return the condition, among the choices of the parent that are left."""
    choices = [choice for choice in _choices(space[condition.parent]) if str(choice) in condition.choices]
    return cs.InCondition(space[item.name], space[condition.parent], choices)


def _choices(parent: Any) -> Sequence[Value]:
    return getattr(parent, "choices", None) or (parent.value,)


def _rounded(start: WarmStart) -> WarmStart:
    """Round numbers as ConfigSpace does, ranges outwards, so that the points are what will be evaluated."""
    points, elites = (
        tuple({name: _round(value) for name, value in config.items()} for config in group)
        for group in (start.points, start.elites)
    )
    pairs = [(name, old[name], new[name]) for old, new in zip(start.points, points, strict=True) for name in new]
    moved = sorted({name for name, old, new in pairs if _differ(old, new)})
    dimensions = tuple(_outwards(item) for item in start.space.dimensions)
    rounded = replace(start, points=points, elites=elites, space=Space(dimensions, {}, {}))
    text = f"ConfigSpace keeps {PLACES} decimal places, so the values of {listed(moved)} are rounded."
    return rounded.losing(text) if moved else rounded


def _round(value: Value) -> Value:
    return round(value, PLACES) if isinstance(value, float) else value


def _differ(old: Value, new: Value) -> bool:
    return isinstance(old, float) and not math.isclose(old, float(new), rel_tol=NOTABLE)


def _outwards(item: Dimension) -> Dimension:
    if item.choices:
        return replace(item, choices=tuple(map(_round, item.choices)))
    low, high, unit = round(item.low, PLACES), round(item.high, PLACES), 10.0**-PLACES
    low = round(low - unit, PLACES) if low > item.low else low
    if item.scale == "log" and low <= 0:
        raise ValueError(
            f"{item.name} begins at {item.low:g}, and ConfigSpace keeps {PLACES} decimal places; transform it, e.g. "
            f"transforms={{{item.name!r}: 'log10'}}."
        )
    return replace(item, low=low, high=round(high + unit, PLACES) if high < item.high else high)


def _losing_shape(start: WarmStart, prior: str | None) -> WarmStart:
    """Tell where a prior had to take another shape than that asked for."""
    numbers = [item for item in start.space.dimensions if prior and not item.choices]
    log = [item.name for item in numbers if prior == "normal" and item.scale == "log"]
    betas = [item for item in numbers if prior == "beta" or item.scale == "log"]
    wide = [item.name for item in betas if start.priors[item.name].bounded]
    texts = []
    if log:
        texts.append(
            f"ConfigSpace's normal distribution has no spread on a logarithmic scale: {listed(log)} have beta."
        )
    if wide:
        texts.append(f"ConfigSpace takes no beta distribution as wide as the elites of {listed(wide)}: narrower there.")
    return start.losing(*texts)
