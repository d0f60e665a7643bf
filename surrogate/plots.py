"""Figures of a comparison of samplers: regret curves, and the critical-difference diagram of Demsar (2006)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .comparison import LEVEL, Comparison, Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito (2008), which colour-blind people can tell apart."""
DASHES: Final = ("-", "--", "-.", ":")


def check_plots() -> None:
    """Raise ModuleNotFoundError, with the command that helps, if figures cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Figures need matplotlib: pip install 'rnn-warmstart[plots]'.", name="matplotlib"
        ) from error


def save_plots(comparison: Comparison, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``regret.png`` and, if there is something to test, ``critical_difference.png``; return their paths.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed; the message says how to install it.
    """
    check_plots()
    figures = {"regret": plot_regret(comparison)}
    ranking = comparison.ranking(comparison.trials)
    if ranking.critical_difference is not None:
        figures["critical_difference"] = plot_critical_difference(comparison, ranking)
    paths = []
    for name, figure in figures.items():
        paths.append(Path(folder) / f"{name}.png")
        partial = paths[-1].with_name(f".{name}.partial.png")
        figure.savefig(partial, dpi=150)
        os.replace(partial, paths[-1])
    return paths


def plot_regret(comparison: Comparison) -> Figure:
    """Draw one panel a benchmark: median regret over seeds against trials, shaded from the lowest to the highest.

    The axis ends at regret 1: how much worse than a middling random configuration the first trials are says little.
    """
    benchmarks = comparison.benchmarks
    columns = min(3, len(benchmarks))
    rows = -(-len(benchmarks) // columns)
    figure = _figure(4.2 * columns, 3.2 * rows + 0.4)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    trials = np.arange(1, comparison.trials + 1)
    for row, (benchmark, panel) in enumerate(zip(benchmarks, axes, strict=False)):
        for column, name in enumerate(comparison.samplers):
            regret = comparison.regret[row, column]
            style = {"color": COLOURS[column % len(COLOURS)], "linestyle": DASHES[column % len(DASHES)]}
            panel.plot(trials, np.median(regret, axis=0), label=name, linewidth=1.8, **style)
            panel.fill_between(trials, regret.min(axis=0), regret.max(axis=0), color=style["color"], alpha=0.12)
        title = f"{benchmark.arch} on {benchmark.task}, depth {benchmark.depth}, {benchmark.params:,} parameters"
        panel.set_title(title, fontsize=8)
        panel.grid(alpha=0.3)
    for panel in axes[len(benchmarks) :]:
        panel.remove()
    figure.supxlabel("trials", fontsize=9)
    figure.supylabel("regret (0: best known, 1: median random configuration)", fontsize=9)
    axes[0].set(xscale="log", ylim=(0, 1))
    axes[0].xaxis.set_major_formatter("{x:.0f}")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def plot_critical_difference(comparison: Comparison, ranking: Ranking) -> Figure:
    """Draw the samplers on an axis of mean ranks; a bar joins those of which no two differ."""
    k, n = len(comparison.samplers), len(comparison.benchmarks)
    figure = _figure(6.5, 1.7 + 0.28 * k)
    axes = figure.subplots()
    axes.set_xlim(0.6, k + 0.4)
    groups = ranking.groups()
    for level, group in enumerate(groups):
        ends = ranking.mean_ranks[list(group)]
        axes.plot([ends.min() - 0.03, ends.max() + 0.03], [-0.3 - 0.25 * level] * 2, color="black", linewidth=4)
    below = 0.3 + 0.25 * len(groups)
    for place, column in enumerate(np.argsort(ranking.mean_ranks, kind="stable")):
        _label(axes, float(ranking.mean_ranks[column]), comparison.samplers[column], int(column), place, k, below)
    _ruler(axes, ranking.critical_difference or 0.0)
    axes.set_ylim(-below - 0.45 * -(-k // 2) - 0.2, 1.2)
    axes.xaxis.set_ticks_position("top")
    axes.set_xticks(range(1, k + 1))
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.yaxis.set_visible(False)
    axes.set_title(
        f"Mean rank after {comparison.trials} trials on {n} benchmarks (1 is best); bars join samplers that do not "
        f"differ, Nemenyi, {LEVEL:.0%}",
        fontsize=8,
    )
    return figure


def _label(axes: Axes, rank: float, name: str, colour: int, place: int, k: int, below: float) -> None:
    """Lead from the axis down and aside to the sampler's name: the better half to the left."""
    left = place < -(-k // 2)
    y = -below - 0.45 * (place if left else k - 1 - place)
    edge = 0.75 if left else k + 0.25
    axes.plot([rank, rank, edge], [1.2, y, y], color=COLOURS[colour % len(COLOURS)], linewidth=1.5)
    axes.text(edge, y, f" {name} {rank:.2f} ", ha="right" if left else "left", va="center", fontsize=9)


def _ruler(axes: Axes, length: float) -> None:
    """Draw the critical difference to scale."""
    axes.plot([1, 1 + length], [0.6, 0.6], color="black", linewidth=1.5, marker="|")
    axes.text(1 + length / 2, 0.7, f"CD {length:.2f}", ha="center", va="bottom", fontsize=8)


def _figure(width: float, height: float) -> Any:
    """Return a figure that no window manager knows of, so that nothing needs a display or has to be closed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
