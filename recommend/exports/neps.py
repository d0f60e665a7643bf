"""NePS: a pipeline space with priors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ...features import Dimension
from ...features.dimension import Value
from .belief import Belief
from .export import Export, load
from .warm_start import WarmStart

CONFIDENCES: Final = {"low": 0.25, "medium": 0.5, "high": 0.75}
"""NePS's words for its confidence c: a number's prior has the standard deviation 1 - c on its axis, and a category's
prior choice the probability c beside an equal share of the rest."""


@dataclass(frozen=True, kw_only=True)
class NepsExport(Export):
    """What NePS begins with.

    Parameters
    ----------
    pipeline_space : neps.PipelineSpace
        For ``neps.run(..., pipeline_space=...)``. The prior of every parameter is its value in the first point, so that
        an optimizer with ``sample_prior_first=True`` evaluates that point first; how sure it is ("low", "medium" or
        "high") is what is nearest to the spread of the best configurations.
    """

    pipeline_space: Any = field(repr=False)


def to_neps(start: WarmStart) -> NepsExport:
    """Return a pipeline space; what NePS cannot express is told as dropped: all points but the first, conditions."""
    neps = load("neps", "neps", "neps")
    start = start.flat("neps")
    if len(start.points) > 1:
        start = start.losing(
            f"NePS starts from one configuration, its prior: {len(start.points) - 1} more are not in it."
        )
    start = start.losing("NePS has three spreads of a prior; each parameter has the nearest.")
    first = start.points[0]
    priors = start.priors
    parameters = {
        item.name: _parameter(neps, item, first[item.name], priors[item.name]) for item in start.space.dimensions
    }
    space = type("RecommendedSpace", (neps.PipelineSpace,), parameters)()
    return NepsExport(target="neps", points=start.points[:1], dropped=start.dropped, pipeline_space=space)


def _parameter(neps: Any, item: Dimension, prior: Value, belief: Belief) -> Any:
    if len(item.choices) == 1:
        return item.choices[0]
    if item.choices:
        index = item.choices.index(prior)
        told = {"prior": index, "prior_confidence": _nearest(belief.weights[index])}
        return neps.Categorical(choices=item.choices, **told)
    told = {"prior": prior, "prior_confidence": _nearest(1 - belief.spread), "log": item.scale == "log"}
    if item.integer:
        return neps.Integer(lower=int(item.low), upper=int(item.high), **told)
    return neps.Float(lower=item.low, upper=item.high, **told)


def _nearest(confidence: float) -> str:
    return min(CONFIDENCES, key=lambda word: abs(CONFIDENCES[word] - confidence))
