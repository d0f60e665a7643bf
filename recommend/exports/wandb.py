"""Weights & Biases: a sweep's configuration; the package is not needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...features import Dimension
from .belief import Belief
from .documents import dump_yaml
from .export import TextExport
from .warm_start import WarmStart


@dataclass(frozen=True, kw_only=True)
class SweepExport(TextExport):
    """A sweep; ``text`` is its YAML, for ``wandb sweep FILE``.

    Parameters
    ----------
    sweep : dict
        The same for ``wandb.sweep(sweep)``: Bayesian search that minimises the metric "loss". Change its name, the
        method and the program as needed. Categories have the elites' shares as probabilities where the method is
        "random" (W&B takes them for random search only), so they are in `probabilities`, not in the sweep.
    probabilities : dict
        Category to the probability of each of its values, in their order.
    """

    sweep: dict[str, Any]
    probabilities: dict[str, list[float]]


def to_wandb(start: WarmStart) -> SweepExport:
    """Return a sweep over the space; a sweep takes no starting points, which is told as dropped."""
    start = start.flat("wandb").losing(
        f"A sweep takes no starting points: run the {len(start.points)} points yourself first.",
        "A Bayesian sweep takes no priors: the space says where to look.",
        *(
            f"{item.name} is a whole number, but W&B may give it as a float such as {round(item.high)}.0: use int()."
            for item in start.space.dimensions
            if _rounds(item)
        ),
    )
    sweep = {
        "method": "bayes",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {item.name: _parameter(item) for item in start.space.dimensions},
    }
    return SweepExport(
        target="wandb",
        points=start.points,
        dropped=start.dropped,
        text=dump_yaml(sweep, "wandb"),
        sweep=sweep,
        probabilities={name: list(belief.weights) for name, belief in start.priors.items() if _varies(belief)},
    )


def _varies(belief: Belief) -> bool:
    return len(belief.weights) > 1


def _rounds(item: Dimension) -> bool:
    """Return whether W&B draws the parameter as a float and rounds it."""
    return item.integer and item.scale == "log" and not item.choices


def _parameter(item: Dimension) -> dict[str, Any]:
    if len(item.choices) == 1:
        return {"value": item.choices[0]}
    if item.choices:
        return {"values": list(item.choices)}
    low, high = (round(end) if item.integer else end for end in (item.low, item.high))
    if item.scale == "log":
        return {
            "distribution": "q_log_uniform_values" if _rounds(item) else "log_uniform_values",
            "min": low,
            "max": high,
        }
    return {"distribution": "int_uniform" if item.integer else "uniform", "min": low, "max": high}
