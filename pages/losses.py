"""Predicted losses beside what training really gave: the configurations' intervals over the runs of nearby setups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import UNKNOWN_SIZE
from ..surrogate.targets import random_runs
from .style import COLOURS, fit_axis

if TYPE_CHECKING:
    from plotly.graph_objects import Box, Figure, Scatter

    from ..recommend import Recommendation

SETUPS: Final = 6
"""Nearby setups that are shown."""
BEYOND: Final = 0.9
"""Share of the nearby runs that the axis reaches at least; a diverging one would stretch it without end."""


@dataclass(frozen=True)
class TaskLosses:
    """What is expected on one task, and what real runs on it gave.

    Parameters
    ----------
    task : str
    expected : DataFrame
        A row a configuration: ``label`` (#1, #2, ...), ``loss``, ``low`` and ``high`` (90 % interval), the task's unit.
    evidence : DataFrame
        A row a nearest real run that did not diverge: ``label`` of its configuration, ``loss``.
    nearby : DataFrame
        A row a run of the nearby setups that did not diverge: ``label`` of its setup, nearest first; ``loss``, and
        ``random``, whether its configuration was drawn at random.
    """

    task: str
    expected: pd.DataFrame
    evidence: pd.DataFrame
    nearby: pd.DataFrame

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and highest loss to show: all that is predicted, and most of what the nearby runs gave."""
        seen = self.nearby["loss"].to_numpy(np.float64)
        lows = [*self.expected["low"], *self.evidence["loss"], *seen]
        highs = [*self.expected["high"], *([np.quantile(seen, BEYOND)] if len(seen) else [])]
        return float(min(lows)), float(max(highs))


def collect_losses(found: Recommendation, task: str, runs: pd.DataFrame) -> TaskLosses:
    """Gather what a recommendation expects on a task and the runs nearest to its setup.

    Parameters
    ----------
    found : Recommendation
    task : str
        One of those that the query asks about.
    runs : DataFrame
        The corpus's runs on the task.
    """
    expected, evidence = [], []
    for rank, item in enumerate(found, start=1):
        told = item.by_task.get(task) or {"predicted_loss": item.predicted_loss, "interval": item.interval}
        low, high = told["interval"]
        expected.append({"label": f"#{rank}", "loss": told["predicted_loss"], "low": low, "high": high})
        losses = [run["eval_loss"] for run in item.evidence if run["task_type"] == task]
        evidence += [{"label": f"#{rank}", "loss": loss} for loss in losses if loss is not None]
    nearby = _nearby_runs(runs, found.query.architecture, found[0].n_layers, found.query.params)
    return TaskLosses(task, pd.DataFrame(expected), pd.DataFrame(evidence, columns=["label", "loss"]), nearby)


def _nearby_runs(runs: pd.DataFrame, architecture: str, layers: int, params: int) -> pd.DataFrame:
    """Return label, loss and random of the runs of the `SETUPS` nearest setups, nearest first.

    A setup is as far away as its depth and its budget are together, both as ratios, a decade of parameters as much as
    a factor of two in depth.
    """
    known = runs[runs["eval_loss"].notna() & ~runs["diverged"]]
    depth, size = (known[name].to_numpy(np.float64) for name in ("n_layers", "max_params"))
    ratio = np.where(size == UNKNOWN_SIZE, 0.0, np.log10(size / params))
    away = np.abs(np.log2(depth / layers)) + np.abs(ratio)
    table = pd.DataFrame(
        {
            "label": _labels(known, architecture),
            "loss": known["eval_loss"].to_numpy(np.float64),
            "random": random_runs(known),
            "away": away,
        }
    )
    nearest = table.groupby("label")["away"].min().sort_values(kind="stable").index[:SETUPS]
    kept = table[table["label"].isin(nearest)].sort_values("away", kind="stable")
    return kept.drop(columns="away").reset_index(drop=True)


def _labels(runs: pd.DataFrame, architecture: str) -> NDArray[np.object_]:
    """Return each run's setup as a short text, with the number of runs."""
    size = runs["max_params"].map(lambda value: "unknown size" if value == UNKNOWN_SIZE else f"{value:,} par.")
    depth = runs["n_layers"].map(lambda value: f"{value} layer" + "s" * (value > 1))
    other = runs["architecture"].astype(str).map(lambda name: "" if name == architecture else f"{name}, ")
    setup = other + depth.astype(str) + ", " + size.astype(str)
    counts = setup.map(setup.value_counts()) if len(setup) else setup
    return (setup + "<br>(" + counts.astype(str) + " runs)").to_numpy(object)


def draw_losses(losses: TaskLosses) -> Figure:
    """Draw a row a configuration and, below, a row a nearby setup; losses to the right."""
    import plotly.graph_objects as go

    rows = [*losses.expected["label"], *dict.fromkeys(losses.nearby["label"])]
    figure = go.Figure([*_runs(losses.nearby), _evidence(losses.evidence), _expected(losses.expected)])
    figure.update_xaxes(title=f"loss on {losses.task}", **fit_axis(*losses.bounds))
    figure.update_yaxes(categoryorder="array", categoryarray=rows, range=[len(rows) - 0.5, -0.5], showgrid=False)
    figure.update_layout(height=130 + 40 * len(rows), legend_traceorder="reversed")
    return figure


def _runs(nearby: pd.DataFrame) -> list[Box | Scatter]:
    import plotly.graph_objects as go

    random, chosen = nearby[nearby["random"]], nearby[~nearby["random"]]
    box = go.Box(
        x=random["loss"],
        y=random["label"],
        name="runs of random configurations",
        orientation="h",
        boxpoints="all",
        jitter=0.7,
        pointpos=0,
        fillcolor="rgba(0,0,0,0)",
        line={"color": "#595959", "width": 1},
        marker={"size": 4, "opacity": 0.45},
        hoverinfo="x",
    )
    marker = {"color": COLOURS[2], "symbol": "square", "size": 6}
    name = "runs of chosen configurations"
    return [box, go.Scatter(x=chosen["loss"], y=chosen["label"], mode="markers", name=name, marker=marker)]


def _evidence(evidence: pd.DataFrame) -> Scatter:
    import plotly.graph_objects as go

    marker: dict[str, Any] = {"color": COLOURS[1], "symbol": "diamond-open", "size": 9, "line": {"width": 2}}
    return go.Scatter(x=evidence["loss"], y=evidence["label"], mode="markers", name="nearest real runs", marker=marker)


def _expected(expected: pd.DataFrame) -> Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=expected["loss"],
        y=expected["label"],
        error_x={
            "array": expected["high"] - expected["loss"],
            "arrayminus": expected["loss"] - expected["low"],
            "thickness": 2,
        },
        mode="markers",
        name="predicted, 90 % interval",
        marker={"color": COLOURS[0], "size": 10},
    )


def tell_losses(losses: TaskLosses) -> str:
    """Return in words what `draw_losses` draws."""
    best, worst = losses.expected["loss"].min(), losses.expected["loss"].max()
    low, high = losses.expected["low"].min(), losses.expected["high"].max()
    told = (
        f"Predicted losses on {losses.task} of {len(losses.expected)} configurations, {best:.3g} to {worst:.3g}, with "
        f"90 % intervals from {low:.3g} to {high:.3g}."
    )
    if losses.nearby.empty:
        return told + " No real run of a nearby setup is known."
    setups, seen = losses.nearby["label"].nunique(), losses.nearby["loss"]
    return (
        f"{told} Below, {len(losses.nearby):,} real runs of {setups} nearby setups: best {seen.min():.3g}, median "
        f"{seen.median():.3g}."
    )
