"""The command ``rnn-warmstart insights``: what a corpus and its surrogate say about hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import CorpusFile

if TYPE_CHECKING:
    from ..corpus import Corpus
    from ..insights import Findings
    from ..surrogate import Surrogate
    from .progress import ReadingBar


def insights(
    task: Annotated[str | None, typer.Option(help="Only this task, e.g. text8.")] = None,
    arch: Annotated[str | None, typer.Option(help="Only this architecture, e.g. lstm.")] = None,
    corpus: CorpusFile = None,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that `rnn-warmstart fit` wrote. Default: the shipped models; with --corpus none, so that the "
            "runs speak alone.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with plots that needs no network.", show_default=False),
    ] = None,
) -> None:
    """Show which hyperparameters matter, where the good ones lie, how the optimum moves, what seed noise hides.

    Every number has its uncertainty, and what a corpus cannot say is said. docs/insights.md explains each column. With
    the shipped runs and models it takes about ten seconds.

    Examples: `rnn-warmstart insights`, `rnn-warmstart insights --task text8 --arch lstm --html text8.html`,
    `rnn-warmstart insights --corpus runs.parquet --models DIR --json`.
    """
    from ..insights import find_insights
    from ..pages import check_plotly
    from .progress import ReadingBar

    try:
        if html is not None:
            check_plotly()
            _check_folder(html)
        with ReadingBar(verb="") as bar:
            table, surrogate = _load(corpus, models, bar)
            found = find_insights(
                table,
                surrogate,
                task=task,
                arch=arch,
                progress=lambda share, what: bar(round(1000 * share), 1000, what),
            )
        if html is not None:
            _write(found, html)
    except (ModuleNotFoundError, OSError, ValueError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(_exit_code(error)) from None
    if json:
        _print_json(found)
    else:
        _print(found)


def _load(corpus: Path | None, models: Path | None, bar: ReadingBar) -> tuple[Corpus, Surrogate | None]:
    """Return the runs and the surrogate that is asked about their setups.

    A folder of models brings its own runs, unless it was fitted on the built-in ones.
    """
    from ..corpus import load_builtin, read_corpus
    from ..surrogate.library import get_surrogate
    from ..surrogate.storage import RUNS

    surrogate = get_surrogate(models) if models is not None or corpus is None else None
    if corpus is None and models is not None and (models / RUNS).is_file():
        corpus = models / RUNS
    return (load_builtin() if corpus is None else read_corpus(corpus, progress=bar)), surrogate


def _check_folder(html: Path) -> None:
    if not html.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {html.parent} for {html.name}; make it first.")


def _exit_code(error: Exception) -> int:
    """Return 2 for wrong arguments, 1 for what is missing or damaged."""
    from ..corpus import CorpusError
    from ..surrogate.storage import ModelError

    damaged = isinstance(error, CorpusError | ModelError)
    return 2 if isinstance(error, ValueError) and not damaged else 1


def _write(found: Findings, path: Path) -> None:
    from ..insights.report import make_page

    make_page(found).write(path)
    typer.echo(f"Wrote {path}.", err=True)


def _print_json(found: Findings) -> None:
    import json

    typer.echo(json.dumps(found.to_dict(), indent=1, allow_nan=False))


def _print(found: Findings) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from ..insights.digest import sections

    console = Console(markup=False, highlight=False)
    told = sections(found)
    for number, (title, legend, frame) in enumerate(told, start=1):
        console.print(title, style="bold")
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
        for column in frame:
            table.add_column(str(column), overflow="fold", no_wrap=column == frame.columns[0])
        for row in frame.itertuples(index=False):
            table.add_row(*map(str, row))
        console.print(table)
        shared = number < len(told) and told[number][1] == legend  # is said once, after the last table
        console.print("" if shared else f"\n{legend}\n", style="dim")
    for note in found.notes:
        console.print(f"Note: {note}")
