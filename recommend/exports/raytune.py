"""Ray Tune: points to evaluate and a parameter space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...features import Dimension
from .export import Export, load
from .warm_start import Config, WarmStart


@dataclass(frozen=True, kw_only=True)
class RayTuneExport(Export):
    """What a Ray Tune search begins with.

    Parameters
    ----------
    points_to_evaluate : list of dict
        For a search algorithm's argument of that name, e.g. ``OptunaSearch``.
    param_space : dict
        For ``tune.Tuner(..., param_space=...)``.
    """

    points_to_evaluate: list[Config]
    param_space: dict[str, Any] = field(repr=False)


def to_raytune(start: WarmStart) -> RayTuneExport:
    """Return points and space; conditions and priors, which Ray Tune cannot express, are told as dropped."""
    tune = load("ray.tune", "raytune", "raytune")
    start = start.flat("raytune").losing("Ray Tune takes no priors: the space says where to look.")
    return RayTuneExport(
        target="raytune",
        points=start.points,
        dropped=start.dropped,
        points_to_evaluate=[dict(point) for point in start.points],
        param_space={item.name: _domain(tune, item) for item in start.space.dimensions},
    )


def _domain(tune: Any, item: Dimension) -> Any:
    if item.choices:
        return tune.choice(list(item.choices))
    log = item.scale == "log"
    if item.integer:
        make = tune.lograndint if log else tune.randint
        return make(int(item.low), int(item.high) + 1)  # the upper end is left out
    return (tune.loguniform if log else tune.uniform)(item.low, item.high)
