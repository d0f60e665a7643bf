"""Ax: parameters of an experiment, and points to attach to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from ...features import Dimension, Space
from .export import Export, load
from .warm_start import WarmStart

NARROWEST: Final = 1.6e-5
"""Width of the narrowest range; Ax refuses those under 1.5e-5."""


@dataclass(frozen=True, kw_only=True)
class AxExport(Export):
    """What an Ax experiment begins with.

    Parameters
    ----------
    parameters : list
        For ``Client.configure_experiment(parameters=...)``.
    """

    parameters: list[Any] = field(repr=False)

    def attach(self, client: Any) -> list[int]:
        """Attach the points to a configured ``ax.Client`` as running trials; return their indices, best first.

        Evaluate them and tell the client with ``complete_trial``, then go on with ``get_next_trials``.
        """
        return [client.attach_trial(parameters=dict(point)) for point in self.points]


def to_ax(start: WarmStart) -> AxExport:
    """Return parameters and points; conditions and priors are told as dropped."""
    ax = load("ax.api.configs", "ax", "ax")
    start = _widened(start.flat("ax")).losing("Ax takes no priors: the space says where to look.")
    parameters = [_parameter(ax, item) for item in start.space.dimensions]
    return AxExport(target="ax", points=start.points, dropped=start.dropped, parameters=parameters)


def _widened(start: WarmStart) -> WarmStart:
    """Raise the upper end of ranges that are too narrow for Ax."""
    narrow = [item for item in start.space.dimensions if not item.choices and item.high - item.low < NARROWEST]
    ends = {item.name: item.low + NARROWEST for item in narrow}
    dimensions = tuple(replace(item, high=ends.get(item.name, item.high)) for item in start.space.dimensions)
    texts = [
        f"Ax takes no range narrower than {NARROWEST:g}: {item.name} ends at {ends[item.name]:.3g} instead of "
        f"{item.high:.3g}; transforms={{{item.name!r}: 'log10'}} would keep it."
        for item in narrow
    ]
    return replace(start, space=Space(dimensions, {}, {})).losing(*texts)


def _parameter(ax: Any, item: Dimension) -> Any:
    if item.choices:
        kinds = {str: "str", int: "int", float: "float", bool: "bool"}
        kind = kinds[type(item.choices[0])]
        ordered = kind in ("int", "float")
        return ax.ChoiceParameterConfig(
            name=item.name, values=list(item.choices), parameter_type=kind, is_ordered=ordered
        )
    kind = "int" if item.integer else "float"
    ends = (int(item.low), int(item.high)) if item.integer else (item.low, item.high)
    scaling = "log" if item.scale == "log" else "linear"
    return ax.RangeParameterConfig(name=item.name, bounds=ends, parameter_type=kind, scaling=scaling)
