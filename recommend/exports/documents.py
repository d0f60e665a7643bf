"""Plain documents: JSON, YAML and TOML of one schema.

The schema, version 1:

- ``schema``: 1. It rises when a key changes its meaning or goes away; new keys do not raise it.
- ``title``: what was asked.
- ``points``: a list, best first. Each has ``parameters`` (name to value; a parameter that does not exist under its
  condition is absent), ``rank`` (1 is to be tried first), and what to expect of it, as the trials of `warm_study` have
  it: ``predicted_loss``, ``interval`` ([low, high], 90 %), ``p_diverge``, ``expected_rank``, ``gain``, ``n_layers``,
  ``hidden_units`` and more. What is unknown is null; TOML has no null, so there it is absent.
- ``space``: name to either ``choices`` or ``low``, ``high``, ``scale`` ("linear", "log" or "logit"; the values of a
  logit scale are logits already) and ``integer``. One with a condition has ``condition``: ``parent``, ``choices``.
- ``priors``: name to ``centre`` and, of a number, ``mean`` and ``spread`` (shares of its axis), of a category
  ``weights`` (in the order of its choices).
- ``dropped``: what was changed or left out, a sentence each.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ...features import Dimension
from .belief import Belief
from .export import TextExport, load
from .warm_start import WarmStart

SCHEMA: Final = 1


def to_json(start: WarmStart) -> TextExport:
    """Return the document as JSON."""
    return _text(start, "json", json.dumps(document(start), indent=2, allow_nan=False) + "\n")


def to_yaml(start: WarmStart) -> TextExport:
    """Return the document as YAML; needs PyYAML."""
    return _text(start, "yaml", dump_yaml(document(start), "yaml"))


def to_toml(start: WarmStart) -> TextExport:
    """Return the document as TOML, without what is null; needs tomli-w."""
    told = document(start)
    told["points"] = [{key: value for key, value in point.items() if value is not None} for point in told["points"]]
    return _text(start, "toml", load("tomli_w", "exports", "toml").dumps(told))


def document(start: WarmStart) -> dict[str, Any]:
    """Return a warm start as plain JSON values; see the schema above."""
    return {
        "schema": SCHEMA,
        "title": start.title,
        "points": [{"parameters": point, **told} for point, told in zip(start.points, start.expectations, strict=True)],
        "space": {item.name: _range(item) for item in start.space.dimensions},
        "priors": {name: _prior(belief) for name, belief in start.priors.items()},
        "dropped": list(start.dropped),
    }


def dump_yaml(values: dict[str, Any], target: str) -> str:
    """Return YAML, keys in the given order; numbers come back exactly (YAML 1.1 takes 1e-05 for a text)."""
    text: str = load("yaml", "exports", target).safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    return text


def _text(start: WarmStart, target: str, text: str) -> TextExport:
    return TextExport(target=target, points=start.points, dropped=start.dropped, text=text)


def _range(item: Dimension) -> dict[str, Any]:
    condition = item.condition
    when = {"condition": {"parent": condition.parent, "choices": list(condition.choices)}} if condition else {}
    if item.choices:
        return {"choices": list(item.choices)} | when
    low, high = (round(end) if item.integer else end for end in (item.low, item.high))
    return {"low": low, "high": high, "scale": item.scale, "integer": item.integer} | when


def _prior(belief: Belief) -> dict[str, Any]:
    if belief.weights:
        return {"centre": belief.centre, "weights": list(belief.weights)}
    return {"centre": belief.centre, "mean": belief.mean, "spread": belief.spread}
