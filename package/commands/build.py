"""The command ``rnn-warmstart build``: from the original archive to models of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def build(
    archive: Annotated[
        Path, typer.Option(metavar="FILE", help="The archive that `rnn-warmstart fetch` brings, or one in its format.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for models, corpus and card; made if needed.")],
    join_builtin: Annotated[
        bool,
        typer.Option(
            "--join-builtin/--no-join-builtin", help="Whether the runs shipped with the package join the archive's."
        ),
    ] = False,
    evaluated: Annotated[
        int, typer.Option(min=1, metavar="N", help="Runs, drawn at random, that the evaluation uses.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the fit, the evaluation and its draw.")] = 0,
) -> None:
    """Read an archive of runs, judge what can be learned from it, and fit the models.

    A build that was stopped goes on when the same command is given again, and ends with the same bytes. Then
    `rnn-warmstart recommend --models DIR` uses the models, or every command and program for which the environment
    variable RNN_WARMSTART_MODELS names the folder. DIR/CARD.md says what was read and how good the models are.

    Joined runs keep their `source`. The built-in ones are of smaller forms of the same tasks: where both have a setup,
    their losses are compared with each other.

    Example: `rnn-warmstart build --archive rnn_hp_dataset.tar.gz --out my_models`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from ..building import BuildPlan, build_models
    from ..building.build import STEPS
    from ..surrogate import Settings

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"))
    plan = BuildPlan(archive, out, join_builtin, evaluated, Settings(seed=seed))
    try:
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            tasks = [
                bar.add_task(f"{i}/{len(STEPS)} {name}", total=1.0, start=False) for i, name in enumerate(STEPS, 1)
            ]

            def report(step: str, what: str, share: float) -> None:
                number = STEPS.index(step)
                bar.start_task(tasks[number])
                bar.update(tasks[number], completed=share, description=f"{number + 1}/{len(STEPS)} {step}: {what}")

            surrogate = build_models(plan, report)
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"Wrote the models of {surrogate.corpus['rows']:,} runs to {out}; {out / 'CARD.md'} describes them.")
