"""The command ``rnn-warmstart report``: a recommendation and what stands behind it, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import question


def report(
    arch: question.Arch,
    task: question.Task,
    params: question.Params,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Page to write, e.g. report.html; replaced if there.")],
    depth: question.Depth = None,
    n: question.Count = 5,
    fix: question.Fix = None,
    exclude: question.Exclude = None,
    ranges: question.Ranges = None,
    max_train_steps: question.MaxTrainSteps = None,
    max_seconds: question.MaxSeconds = None,
    seconds_per_step: question.SecondsPerStep = None,
    seed: question.Seed = 0,
    models: question.Models = None,
) -> None:
    """Write a page about a recommendation: what to try first, what to expect, how sensitive it is, and why.

    One file that asks no network for anything. It holds the configurations, their predicted losses with 90 % intervals
    beside real runs of nearby setups, the predicted loss along each hyperparameter, what good configurations have in
    common, the nearest real runs, and the warnings. The figures need Plotly (the extra `pages`).

    Examples: `rnn-warmstart report --arch gru --task text8 --params 1e6 --out report.html`,
    `rnn-warmstart report --arch lstm --task any --params 1e4 --depth 2 --n 3 --out lstm.html`.
    """
    from ..pages import check_plotly
    from ..pages.report import make_report
    from ..recommend import recommend
    from .progress import ReadingBar

    limits = question.read_limits(fix, exclude, ranges, max_train_steps, max_seconds, seconds_per_step)
    with question.told_errors(OSError, ModuleNotFoundError):
        check_plotly()
        with ReadingBar(verb="") as bar:
            bar(0, 2, "searching")
            found = recommend(
                arch,
                question.read_task(task),
                params,
                depth=depth,
                n=n,
                **limits,
                seed=seed,
                models=models,
            )
            bar(1, 2, "drawing")
            path = make_report(found, models).write(out)
    typer.echo(f"Wrote {path}: {found.headline()}.")
    for text in found.warnings:
        typer.echo(f"Warning: {text}", err=True)
