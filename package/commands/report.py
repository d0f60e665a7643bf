"""The command ``rnn-warmstart report``: a recommendation and what stands behind it, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .question import (
    Arch,
    Count,
    Depth,
    Exclude,
    Fix,
    MaxSeconds,
    MaxTrainSteps,
    Models,
    Params,
    Ranges,
    SecondsPerStep,
    Seed,
    Task,
    read_limits,
    read_task,
)


def report(
    arch: Arch,
    task: Task,
    params: Params,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Page to write, e.g. report.html; replaced if there.")],
    depth: Depth = None,
    n: Count = 5,
    fix: Fix = None,
    exclude: Exclude = None,
    ranges: Ranges = None,
    max_train_steps: MaxTrainSteps = None,
    max_seconds: MaxSeconds = None,
    seconds_per_step: SecondsPerStep = None,
    seed: Seed = 0,
    models: Models = None,
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
    from ..surrogate.storage import ModelError
    from .progress import ReadingBar

    limits = read_limits(fix, exclude, ranges)
    try:
        check_plotly()
        with ReadingBar(verb="") as bar:
            bar(0, 2, "searching")
            found = recommend(
                arch,
                read_task(task),
                params,
                depth=depth,
                n=n,
                **limits,
                max_train_steps=max_train_steps,
                max_seconds=max_seconds,
                seconds_per_step=seconds_per_step,
                seed=seed,
                models=models,
            )
            bar(1, 2, "drawing")
            path = make_report(found, models).write(out)
    except (ModelError, OSError, ModuleNotFoundError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"Wrote {path}: {found.headline()}.")
    for text in found.warnings:
        typer.echo(f"Warning: {text}", err=True)
