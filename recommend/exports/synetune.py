"""Syne Tune: points to evaluate and a configuration space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...features import Dimension
from .export import Export, load
from .warm_start import Config, WarmStart


@dataclass(frozen=True, kw_only=True)
class SyneTuneExport(Export):
    """What a Syne Tune search begins with.

    Parameters
    ----------
    points_to_evaluate : list of dict
        For a scheduler's or searcher's argument of that name.
    config_space : dict
        For its argument of that name. A parameter that does not vary is there as its value, as Syne Tune has it.
    """

    points_to_evaluate: list[Config]
    config_space: dict[str, Any] = field(repr=False)


def to_synetune(start: WarmStart) -> SyneTuneExport:
    """Return points and space; conditions and priors, which Syne Tune cannot express, are told as dropped."""
    space = load("syne_tune.config_space", "synetune", "synetune")
    start = start.flat("synetune").losing("Syne Tune takes no priors: the space says where to look.")
    return SyneTuneExport(
        target="synetune",
        points=start.points,
        dropped=start.dropped,
        points_to_evaluate=[dict(point) for point in start.points],
        config_space={item.name: _domain(space, item) for item in start.space.dimensions},
    )


def _domain(space: Any, item: Dimension) -> Any:
    if len(item.choices) == 1:
        return item.choices[0]
    if item.choices:
        return space.choice(list(item.choices))
    log = item.scale == "log"
    if item.integer:
        return (space.lograndint if log else space.randint)(int(item.low), int(item.high))  # both ends included
    return (space.loguniform if log else space.uniform)(item.low, item.high)
