"""How the prediction changes along each hyperparameter, the others held."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..features import Dimension
from ..features.dimension import Floats, Value
from ..features.space import DEPTH
from ..recommend.forecast import Forecast
from ..surrogate.library import get_surrogate
from .style import COLOURS, fit_axis, log_axis

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from ..recommend import Recommendation, RecommendedConfiguration

PLACES: Final = 41
"""Places along a number, evenly spaced on its scale."""


@dataclass(frozen=True)
class Curve:
    """The prediction along one hyperparameter.

    Parameters
    ----------
    dimension : Dimension
        What is moved.
    places : ndarray of shape (n_places,)
        Its values; all choices of a category.
    predictions : ndarray of shape (n_places,)
        Predicted loss, in the task's unit; with several tasks the mean ranking score. Lower is better.
    own : value
        The configuration's own value.
    own_prediction : float
        What is predicted there.
    tolerance : tuple of (float, float) or None
        See `RecommendedConfiguration.tolerance`; None for a category.
    """

    dimension: Dimension
    places: NDArray[Any]
    predictions: Floats
    own: Value
    own_prediction: float
    tolerance: tuple[float, float] | None

    @property
    def caption(self) -> str:
        """Name, own value and what is tolerated."""
        told = f"{self.dimension.name}: {_short(self.own)}"
        return f"{told}, tolerated {' to '.join(map(_short, self.tolerance))}" if self.tolerance else told

    def tell(self, name: str) -> str:
        """Return in words what `draw_curve` draws; `name` is that of what is predicted."""
        best = int(np.argmin(self.predictions))
        return (
            f"{name} against {self.dimension.name}: from {self.predictions.min():.3g}, at {_short(self.places[best])}, "
            f"to {self.predictions.max():.3g}; {self.own_prediction:.3g} at the configuration's own {_short(self.own)}."
        )


def trace_curves(
    found: Recommendation, item: RecommendedConfiguration, models: str | os.PathLike[str] | None = None
) -> list[Curve]:
    """Ask the surrogate along everything that varies; numbers first, the most sensitive of them first, then categories.

    Parameters
    ----------
    found : Recommendation
    item : RecommendedConfiguration
        One of its configurations.
    models : path, optional
        The folder that `recommend` was given.
    """
    dimensions, own = found.query.space.dimensions, dict(item.hparams) | {DEPTH: item.n_layers}
    unit = np.array(
        [dim.units(np.array([own[dim.name]], dtype=object))[0] if dim.name in own else 0.5 for dim in dimensions]
    )
    axes = [axis for axis, dim in enumerate(dimensions) if dim.name in own]
    moves = [_places(dimensions[axis]) for axis in axes]
    points = np.vstack([unit, *(_moved(unit, axis, places) for axis, places in zip(axes, moves, strict=True))])
    forecast = Forecast.of(get_surrogate(models), found.query, points)
    told = forecast.mean("predicted_loss" if forecast.has_unit else "score")
    parts = np.split(told[1:], np.cumsum([len(places) for places in moves])[:-1])
    curves = [
        Curve(dim, dim.values(places), part, own[dim.name], float(told[0]), item.tolerance.get(dim.name))
        for dim, places, part in zip([dimensions[axis] for axis in axes], moves, parts, strict=True)
    ]
    order = list(item.tolerance)
    return sorted(curves, key=lambda curve: order.index(curve.dimension.name) if curve.tolerance else len(order))


def _places(dimension: Dimension) -> Floats:
    if dimension.choices:
        return (np.arange(len(dimension.choices)) + 0.5) / len(dimension.choices)
    return np.linspace(0, 1, PLACES)


def _moved(unit: Floats, axis: int, places: Floats) -> Floats:
    points = np.tile(unit, (len(places), 1))
    points[:, axis] = places
    return points


def draw_curves(curves: Sequence[Curve], name: str) -> list[Figure]:
    """Draw a small figure a curve, all with the same vertical axis, so that steep ones look steep."""
    every = np.concatenate([curve.predictions for curve in curves])
    axis = {"title": name, **fit_axis(float(every.min()), float(every.max()))}
    return [_draw_curve(curve, axis) for curve in curves]


def _draw_curve(curve: Curve, axis: dict[str, Any]) -> Figure:
    import plotly.graph_objects as go

    dimension, drawn = curve.dimension, {"mode": "lines", "line_width": 2}
    places, own, along = curve.places, curve.own, {"type": "linear", "nticks": 5}
    if dimension.choices:
        drawn = {"mode": "markers", "marker_size": 9}
        places, own, along = places.astype(str), str(own), {"type": "category"}
    elif dimension.scale == "log":
        along = log_axis(dimension.low, dimension.high)
    marker = {"symbol": "diamond", "size": 11, "color": COLOURS[1]}
    figure = go.Figure(go.Scatter(x=places, y=curve.predictions, **drawn))
    figure.add_scatter(x=[own], y=[curve.own_prediction], mode="markers", marker=marker, cliponaxis=False)
    figure.update_traces(hovertemplate="%{x}: %{y:.4g}<extra></extra>")
    if curve.tolerance:
        figure.add_vrect(*curve.tolerance, fillcolor=COLOURS[2], opacity=0.18, line_width=0, layer="below")
    margin = {"l": 8, "r": 20, "t": 8, "b": 8}
    figure.update_layout(height=220, showlegend=False, xaxis=along, yaxis=axis, margin=margin)
    return figure


def _short(value: Any) -> str:
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.3g}"
