"""The report of a recommendation: everything it says, and what stands behind it, on one page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pandas as pd

from ..surrogate.library import relevant_runs
from .losses import collect_losses, draw_losses, tell_losses
from .page import Page
from .sensitivity import draw_curves, trace_curves
from .style import check_plotly

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from ..recommend import Recommendation

AXIS: Final = 80
"""Width of the space between two axes of the parallel coordinates, pixels."""


def make_report(found: Recommendation, models: str | os.PathLike[str] | None = None) -> Page:
    """Return the page about a recommendation.

    It holds the configurations and what to expect of them, the predicted losses beside the real runs of nearby setups,
    the prediction along each hyperparameter of the first configuration, the elites that the configurations were chosen
    from, the nearest real runs, and the warnings.

    Parameters
    ----------
    found : Recommendation
        From `recommend`.
    models : path, optional
        The folder that `recommend` was given.

    Raises
    ------
    ModuleNotFoundError
        Plotly is not installed; the message says how to install it.
    """
    check_plotly()
    query = found.query
    depth = "any depth" if query.depth is None else f"depth {query.depth}"
    page = Page(
        f"Where to start: {query.architecture} on {query.task}, {query.params:,} parameters, {depth}",
        f"{len(found)} configurations to train first, best first. {found.advice()}",
    )
    for text in found.warnings:
        page.add_warning(text)
    _add_portfolio(page, found)
    _add_losses(page, found, models)
    _add_sensitivity(page, found, models)
    _add_elites(page, found)
    _add_evidence(page, found)
    return page


def _add_portfolio(page: Page, found: Recommendation) -> None:
    page.add_heading("The configurations")
    page.add_table(
        found.table().rename_axis(""),
        "What to expect of each configuration, then its hyperparameters. The interval holds the loss of a real run "
        "with 90 % probability; “better at random” is the share of random configurations that are better; the ranges "
        "say how far the most sensitive numbers may move.",
        index=True,
    )


def _add_losses(page: Page, found: Recommendation, models: str | os.PathLike[str] | None) -> None:
    page.add_text(
        "Above, each configuration's predicted loss with its 90 % interval, and the real runs most like it. Below, "
        "what real runs of the setups nearest to the one asked about gave: boxes hold the middle half of them. Chosen "
        "configurations were recommended once, or trained for longer. Runs that diverged, and those of the worst tenth "
        "that lie far off, are not shown.",
        heading="Predicted losses beside real runs",
    )
    for task in found.query.weights:
        losses = collect_losses(found, task, relevant_runs(models, found.query.architecture, task))
        page.add_figure(draw_losses(losses), tell_losses(losses), f"Loss on {task}; lower is better.")


def _add_sensitivity(page: Page, found: Recommendation, models: str | os.PathLike[str] | None) -> None:
    curves = trace_curves(found, found[0], models)
    if not curves:
        return
    alone = len(found.query.weights) == 1
    name, what = ("predicted loss", "loss") if alone else ("ranking score", "mean ranking score over the tasks")
    page.add_text(
        f"Predicted {what} when one hyperparameter of #1 moves and all others are held, the most sensitive first, "
        "all on the same scale. The diamond is the recommended value, the green band what is tolerated"
        f"{': at most 5 % more loss, and hardly a worse rank' if alone else ': hardly a worse rank'}.",
        heading="Sensitivity of each hyperparameter",
    )
    figures = draw_curves(curves, name)
    page.add_figures([(drawn, curve.tell(name), curve.caption) for drawn, curve in zip(figures, curves, strict=True)])


def _add_elites(page: Page, found: Recommendation) -> None:
    shared = [set(trial.params) for trial in found.study.trials]
    values = pd.DataFrame([trial.params for trial in found.study.trials])
    names = [name for name in values if name in set.intersection(*shared) and values[name].nunique() > 1]
    if not names:
        return
    page.add_text(
        f"The search's {len(values)} best configurations, from which the recommended ones were chosen. The darker a "
        "line, the better its ranking score. What all of them agree on is left out.",
        heading="What good configurations have in common",
    )
    page.add_figure(
        draw_elites(found, names),
        f"Parallel coordinates of {len(values)} configurations over {', '.join(names)}. "
        + " ".join(f"{name} lies between {_range(values[name])}." for name in names),
        "A line a configuration; the ranking score, on the left, is better the lower it is.",
        min_width=AXIS * (len(names) + 2),
    )


def draw_elites(found: Recommendation, names: list[str]) -> Figure:
    """Draw the elites' study as Optuna's parallel coordinates, with whole names."""
    from optuna.visualization import plot_parallel_coordinate

    figure = plot_parallel_coordinate(found.study, params=names, target_name="ranking score")
    labels = ["ranking score", *names]  # Optuna cuts names; Optuna 4 draws one Parcoords trace, Optuna 5 lines
    for trace in figure.select_traces({"type": "parcoords"}):
        trace.update(labelangle=-30, dimensions=[{"label": label} for label in labels])
    figure.update_xaxes(ticktext=labels, tickangle=30)
    return figure.update_layout(title=None, height=480, margin={"l": 48, "r": 16, "t": 48, "b": 16})


def _range(values: pd.Series) -> str:
    if pd.api.types.is_numeric_dtype(values):
        return f"{values.min():.3g} and {values.max():.3g}"
    return " and ".join(sorted(map(str, values.unique())))


def _add_evidence(page: Page, found: Recommendation) -> None:
    page.add_heading("The real runs behind it")
    rows = [
        {"like": f"#{rank}", "loss": run["eval_loss"], "alike": f"{run['similarity']:.0%}"}
        | {name: run[name] for name in ("architecture", "task_type", "n_layers", "max_params", "source")}
        | run["hparams"]
        for rank, item in enumerate(found, start=1)
        for run in item.evidence
    ]
    if not rows:
        page.add_text("The corpus has no run to compare with.")
        return
    page.add_table(
        pd.DataFrame(rows),
        "The runs that the surrogate finds most like each configuration, with their losses; none where the run "
        "diverged. Alike is the share of the rank model's trees that treat both the same.",
    )
