"""The command ``rnn-warmstart fit``: fit the surrogate on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import CorpusFile


def fit(
    out: Annotated[Path, typer.Option(help="Folder for the fitted models; made if needed.")],
    corpus: CorpusFile = None,
    seed: Annotated[int, typer.Option(help="Seed of the fit.")] = 0,
) -> None:
    """Fit the surrogate on a corpus; `rnn-warmstart recommend --models DIR` then uses it.

    The same corpus and seed give the same bytes.

    Example: `rnn-warmstart fit --corpus runs.parquet --out my_models`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ..corpus import load_builtin, read_corpus
    from ..surrogate import Settings
    from ..surrogate.fitting import fit_folder
    from .progress import ReadingBar

    console = Console(stderr=True)
    try:
        with ReadingBar(console=console) as reading:
            runs = load_builtin() if corpus is None else read_corpus(corpus, progress=reading)
        typer.echo(str(runs.summary), err=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("fitting", total=1.0)
            fit_folder(
                runs,
                out,
                Settings(seed=seed),
                bring_runs=corpus is not None,
                progress=lambda what, share: bar.update(task, description=what, completed=share),
            )
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"Wrote the models to {out}.", err=True)
