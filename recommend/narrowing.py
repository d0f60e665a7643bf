"""What a corpus covers, narrowed by what the user allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..features import Dimension, Domain, Hyperparameter, unknown
from ..features.coverage import STEPS
from ..features.dimension import Value
from ..features.space import DEPTH
from .limits import Limits


@dataclass(frozen=True)
class Narrowing:
    """Applies limits to the domains that a corpus covers.

    Parameters
    ----------
    limits : Limits
        What the user allows, depth aside.
    domains : dict
        Hyperparameter to what the corpus covers.
    known : dict
        The encoder's hyperparameters.
    arch : str
        Architecture, for messages.
    warnings : list of str
        Where limits leave what is covered: is added to.
    """

    limits: Limits
    domains: dict[str, Domain]
    known: dict[str, Hyperparameter]
    arch: str
    warnings: list[str]

    def apply(self) -> tuple[dict[str, Domain], dict[str, Value], dict[str, Value]]:
        """Return the narrowed domains, what does not vary in them, and, of that, what the user fixed."""
        fixed = {name: self._fix(name, value) for name, value in self.limits.fixed.items()}
        domains, held = dict(self.domains), dict(fixed)
        for name in self._named(self.limits.exclude, "exclude"):
            domains[name] = self._exclude(name, fixed)
        for name in self._named(self.limits.ranges, "ranges"):
            domains[name] = self._range(name, fixed)
        if self.limits.steps is not None:
            domains = self._limit_steps(domains, fixed, *self.limits.steps)
        self._check_conditions(domains, fixed)
        for name in sorted({*self.limits.ranges, STEPS} & (set(domains) - set(fixed))):
            low, high = domains[name].low, domains[name].high
            if low is not None and low == high:
                held[name] = round(low) if self.known[name].integer else low
        return domains, held, fixed

    def _named(self, given: Mapping[str, Any], argument: str) -> list[str]:
        for name in given:
            if name not in self.domains and name != DEPTH:
                raise unknown(f"hyperparameter of {self.arch} in {argument}:", name, [*self.domains, DEPTH])
        return [name for name in given if name != DEPTH]

    def _dimension(self, name: str) -> Dimension:
        return Dimension.from_domain(self.known[name], self.domains[name])

    def _fix(self, name: str, value: object) -> Value:
        if name not in self.domains:
            raise unknown(f"hyperparameter of {self.arch} in fixed:", name, self.domains)
        dimension = self._dimension(name)
        if name != STEPS:
            return dimension.check(value, "fixed ")
        steps = replace(dimension, low=1.0, high=math.inf).check(value, "fixed ")
        if not dimension.low <= float(steps) <= dimension.high:
            self._warn_of_steps(f"fixed train_steps={steps:.0f}", float(steps))
        return steps

    def _exclude(self, name: str, fixed: Mapping[str, Value]) -> Domain:
        domain, dimension = self.domains[name], self._dimension(name)
        if not domain.choices:
            raise ValueError(
                f"exclude[{name!r}]: {name} is a number, not a choice; narrow it with ranges={{{name!r}: (low, high)}}."
            )
        left_out = [dimension.check(value) for value in self.limits.exclude[name]]
        left = tuple(choice for choice in domain.choices if choice not in left_out)
        if fixed.get(name) in left_out:
            raise ValueError(
                f"fixed {name}={fixed[name]!r} contradicts {self._text('exclude', name)}; drop one of them."
            )
        if not left:
            raise ValueError(
                f"{self._text('exclude', name)} leaves nothing: {name} is one of "
                f"{', '.join(map(repr, domain.choices))}; leave at least one."
            )
        return replace(domain, choices=left)

    def _range(self, name: str, fixed: Mapping[str, Value]) -> Domain:
        domain, (low, high), text = self.domains[name], self.limits.ranges[name], self._text("ranges", name)
        if domain.low is None or domain.high is None:
            raise ValueError(
                f"{text}: {name} is a choice among {', '.join(map(repr, domain.choices))}; leave some out with "
                f"exclude={{{name!r}: [...]}}."
            )
        if self.known[name].integer:
            low, high = math.ceil(low), math.floor(high)
        if low > high:
            raise ValueError(f"{text} holds no whole number, and {name} has no others; widen it.")
        if name in fixed and not low <= float(fixed[name]) <= high:
            raise ValueError(f"fixed {name}={fixed[name]!r} contradicts {text}; drop one of them.")
        if low > domain.high or high < domain.low:
            return self._range_outside(name, domain, low, high)
        if low < domain.low or high > domain.high:
            self.warnings.append(
                f"{text} reaches beyond the {domain.low:g} to {domain.high:g} that the corpus covers: "
                f"{max(low, domain.low):g} to {min(high, domain.high):g} is searched."
            )
        return replace(domain, low=float(max(low, domain.low)), high=float(min(high, domain.high)))

    def _range_outside(self, name: str, domain: Domain, low: float, high: float) -> Domain:
        """Refuse; but training may be shorter or longer than covered, as far as the nearest step that is allowed."""
        text = self._text("ranges", name)
        if name != STEPS:
            raise ValueError(
                f"{text} lies outside the range that the corpus covers, {domain.low:g} to {domain.high:g}; choose one "
                f"that overlaps it."
            )
        if high < 1:
            raise ValueError(f"{text} allows no training step; raise its upper end to at least 1.")
        nearest = float(low if low > (domain.high or 0.0) else high)
        if name not in self.limits.fixed:
            self._warn_of_steps(text, nearest)
        return replace(domain, low=nearest, high=nearest)

    def _limit_steps(
        self, domains: dict[str, Domain], fixed: Mapping[str, Value], limit: int, text: str
    ) -> dict[str, Domain]:
        if STEPS not in domains:
            raise ValueError(
                f"{text} needs runs with the hyperparameter {STEPS}, but {self.arch} has none; leave it out."
            )
        if STEPS in fixed:
            if float(fixed[STEPS]) > limit:
                raise ValueError(
                    f"fixed train_steps={fixed[STEPS]} contradicts {text}; raise the limit or lower the fixed value."
                )
            return domains
        if STEPS in self.limits.ranges and math.ceil(self.limits.ranges[STEPS][0]) > limit:
            raise ValueError(f"{self._text('ranges', STEPS)} contradicts {text}; raise the limit or lower the range.")
        low, high = float(domains[STEPS].low or 0), float(domains[STEPS].high or 0)
        if limit < low:
            self._warn_of_steps(text, limit)
            return domains | {STEPS: replace(domains[STEPS], low=float(limit), high=float(limit))}
        if limit > high and STEPS not in self.limits.ranges:
            self.warnings.append(
                f"{text} allows more than the {high:.0f} training steps that the corpus covers "
                f"({limit / high:.3g} times): configurations of at most {high:.0f} steps are recommended."
            )
        return domains | {STEPS: replace(domains[STEPS], high=float(min(high, limit)))}

    def _warn_of_steps(self, what: str, given: float) -> None:
        low, high = float(self.domains[STEPS].low or 0), float(self.domains[STEPS].high or 0)
        near = min(max(given, low), high)
        factor = given / high if given > high else low / given
        self.warnings.append(
            f"{what} lies outside the {low:.0f} to {high:.0f} training steps that the corpus covers ({factor:.3g} "
            f"times {'above' if given > high else 'below'}): losses, intervals and risks are those of {near:.0f} steps."
        )

    def _check_conditions(self, domains: Mapping[str, Domain], fixed: Mapping[str, Value]) -> None:
        for name in (*fixed, *self.limits.exclude, *self.limits.ranges):
            condition = None if name == DEPTH else domains[name].condition
            if condition is None:
                continue
            parent = condition.parent
            left = (fixed[parent],) if parent in fixed else domains[parent].choices
            if set(left) & set(condition.choices):
                continue
            argument = "exclude" if name in self.limits.exclude else "ranges"
            what = f"fixed {name}={fixed[name]!r}" if name in fixed else self._text(argument, name)
            why = f"fixed {parent}={fixed[parent]!r}" if parent in fixed else self._text("exclude", parent)
            raise ValueError(
                f"{what} contradicts {why}: {name} exists only where {parent} is "
                f"{' or '.join(map(repr, condition.choices))}. Drop one of them."
            )

    def _text(self, argument: str, name: str) -> str:
        return f"{argument}[{name!r}]={getattr(self.limits, argument)[name]!r}"
