"""How far a hyperparameter may move before a configuration gets worse, the others held.

A value is tolerated while, against the configuration itself,

- the predicted loss rises by at most `RISE` of itself. Where the loss is less than `TINY` of the task's median loss, it
  lies on the plateau above zero, and what counts is `RISE` of that much;
- the ranking score rises by at most `SCORE_RISE`. This is what counts on a plateau where 5 % of the loss is all that
  sets configurations apart, and alone with several tasks, whose losses have no unit in common.

Both are written as a *strain*, the rise in units of what is tolerated: at most 1 is tolerated, falls are below 0.
Towards each side the points of a ladder are tried, outwards, to the end of the space; between the last that is
tolerated and the first that is not, the strain is taken to be linear. Points of the unit cube throughout.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..features import Dimension, Space
from ..features.dimension import Floats
from .forecast import Forecast

RISE: Final = 0.05
"""Tolerated rise of the predicted loss, as a share of it."""
TINY: Final = 0.01
"""Smallest loss that `RISE` is a share of, as a share of the task's median loss."""
SCORE_RISE: Final = 0.5
"""Tolerated rise of the ranking score, in normal scores: half a standard deviation among random configurations."""
FACTOR: Final = 1.5
"""One rung of the ladder on a log scale; what a learning rate must tolerate either way."""
SHARE: Final = 0.045
"""One rung on the other scales, as a share of the space's range: what `FACTOR` is of four decades."""
RUNGS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Distances of the ladder's points, in rungs; the end of the space comes last."""


def number_axes(space: Space) -> list[int]:
    """Return the axes of the unit cube that are numbers."""
    return [axis for axis, item in enumerate(space.dimensions) if not item.choices]


def ladder(space: Space, units: Floats, axes: list[int], rungs: tuple[float, ...] = RUNGS) -> Floats:
    """Return the places to try, shape (n, n_axes, 2, n_rungs + 1): downwards and upwards, outwards on each side."""
    rung = np.array([_rung(space.dimensions[axis]) for axis in axes])
    away = rung[:, None, None] * np.array([[-1.0], [1.0]]) * np.array([*rungs, np.inf])
    return np.clip(units[:, axes, None, None] + away, 0, 1)


def points_on(ladders: Floats, units: Floats, axes: list[int]) -> Floats:
    """Return the configurations with one number moved to each place, shape (ladders.size, n_dimensions)."""
    points = np.empty((*ladders.shape, units.shape[1]))
    points[:] = units[:, None, None, None, :]
    for column, axis in enumerate(axes):
        points[:, column, ..., axis] = ladders[:, column]
    return points.reshape(ladders.size, units.shape[1])


def strains(own: Forecast, moved: Forecast) -> Floats:
    """Return the strain of moved configurations, those of one configuration beside each other; shape (n, moves)."""
    score, moved_score = own.mean("score"), moved.mean("score")
    shape = (len(score), len(moved_score) // max(len(score), 1))
    strain = (moved_score.reshape(shape) - score[:, None]) / SCORE_RISE
    if not own.has_unit:
        return strain
    loss, (typical,) = own.mean("predicted_loss"), own.typical.values()
    rise = moved.mean("predicted_loss").reshape(shape) - loss[:, None]
    return np.maximum(strain, rise / (RISE * np.maximum(np.abs(loss), TINY * abs(typical) or 1.0))[:, None])


def tolerated(ladders: Floats, strain: Floats, own: Floats) -> Floats:
    """Return (low, high) up to where the strain stays at 1 or below, shape (n, n_axes, 2).

    Parameters
    ----------
    ladders, strain : ndarray of shape (n, n_axes, 2, n_places)
        Places and the strain there, outwards.
    own : ndarray of shape (n, n_axes)
        Places of the configurations themselves, where the strain is 0.
    """
    start = np.broadcast_to(own[:, :, None, None], (*ladders.shape[:3], 1))
    places, strain = np.concatenate([start, ladders], axis=3), np.concatenate([np.zeros_like(start), strain], axis=3)
    broken = strain > 1
    never = ~broken.any(axis=3)
    first = np.where(never, places.shape[3] - 1, broken.argmax(axis=3))[..., None]
    (low, high), (near, far) = (
        [np.take_along_axis(values, index, axis=3)[..., 0] for index in (first - 1, first)]
        for values in (strain, places)
    )
    share = np.where(never, 1.0, (1 - low) / np.where(never, 1.0, high - low))
    return near + share * (far - near)


def as_values(space: Space, axes: list[int], ranges: Floats, own: Floats) -> list[dict[str, tuple[float, float]]]:
    """Turn tolerated ranges of shape (n, n_axes, 2) into values by name, the narrowest of each configuration first.

    A range always holds the configuration's own value: whole numbers are rounded, and would else just miss it.
    """
    names = [space.dimensions[axis].name for axis in axes]
    ends = np.stack([ranges[..., 0], own, ranges[..., 1]], axis=2)
    columns = [space.dimensions[axis].values(ends[:, column]) for column, axis in enumerate(axes)]
    order: NDArray[np.int64] = np.argsort(ranges[..., 1] - ranges[..., 0], axis=1, kind="stable")
    return [
        {names[column]: _ends(columns[column][row], space.dimensions[axes[column]].integer) for column in order[row]}
        for row in range(len(own))
    ]


def _ends(values: NDArray[np.float64], integer: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (round(low), round(high)) if integer else (low, high)


def _rung(dimension: Dimension) -> float:
    return math.log(FACTOR) / math.log(dimension.high / dimension.low) if dimension.scale == "log" else SHARE
