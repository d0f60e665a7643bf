"""The command ``rnn-warmstart seed``: a study that begins with a recommendation, in a storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import question

if TYPE_CHECKING:
    from optuna import Study


def seed(
    arch: question.Arch,
    task: question.Task,
    params: question.Params,
    storage: Annotated[str, typer.Option(metavar="URL", help="Optuna storage, e.g. sqlite:///warm.db.")],
    study_name: Annotated[str, typer.Option(metavar="NAME", help="Study to make or to join.")],
    depth: question.Depth = None,
    n: question.Count = 5,
    fix: question.Fix = None,
    exclude: question.Exclude = None,
    ranges: question.Ranges = None,
    max_train_steps: question.MaxTrainSteps = None,
    max_seconds: question.MaxSeconds = None,
    seconds_per_step: question.SecondsPerStep = None,
    direction: Annotated[
        Literal["minimize", "maximize"], typer.Option(help="Direction of the objective's values.")
    ] = "minimize",
    seed: question.Seed = 0,
    models: question.Models = None,
) -> None:
    """Write an Optuna study whose first trials are the recommended configurations.

    Every trial says what was expected of it and which real runs stand behind it; the study says what was asked, after
    how many trials the recommendation stops paying, and the warnings. `optuna-dashboard URL` shows it. A study that is
    there already is joined: nothing is enqueued twice.

    Examples: `rnn-warmstart seed --arch gru --task text8 --params 1e6 --storage sqlite:///warm.db --study-name gru`,
    then `optuna-dashboard sqlite:///warm.db`.
    """
    import optuna
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from ..recommend import warm_study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    limits = question.read_limits(fix, exclude, ranges, max_train_steps, max_seconds, seconds_per_step)
    with question.told_errors():
        try:
            joined = study_name in optuna.get_all_study_names(storage)
            study = warm_study(
                arch,
                question.read_task(task),
                params,
                depth=depth,
                n=n,
                **limits,
                storage=storage,
                study_name=study_name,
                direction=direction,
                seed=seed,
                models=models,
            )
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError) as error:
            told = str(error.__cause__ or error).splitlines()[0]
            typer.echo(f"Error: --storage cannot be opened ({told}).", err=True)
            raise typer.Exit(1) from None
    _tell(study, joined)
    typer.echo(f"Look at it: optuna-dashboard {make_url(storage).render_as_string(hide_password=True)}")


def _tell(study: Study, joined: bool) -> None:
    told, trials = study.user_attrs, len(study.trials)
    if joined:
        asked = told.get("question", "nothing by this program")
        typer.echo(f"Joined {study.study_name!r}: {trials} trials, nothing enqueued. It was seeded for: {asked}.")
    else:
        typer.echo(f"Wrote {study.study_name!r}: {trials} trials wait, best first; stop_after={told['stop_after']}.")
    for text in told.get("warnings", ()):
        typer.echo(f"Warning: {text}", err=True)
