"""The command ``rnn-warmstart corpus``: what is in a table of runs."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from ..corpus import Corpus


def corpus(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="An archive (.tar.gz, .tgz, .tar), one of its members (.p), a Parquet file, or a folder of either. "
            "Without it: the runs shipped with the package.",
            show_default=False,
        ),
    ] = None,
    best: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show the N runs of lowest evaluation loss instead.")
    ] = None,
    arch: Annotated[str | None, typer.Option(help="With --best: only this architecture, e.g. lstm.")] = None,
    task: Annotated[str | None, typer.Option(help="With --best: only this task, e.g. text8.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")] = False,
) -> None:
    """Show what is in a corpus: how many runs, of which architectures and tasks, and what reading it found.

    Diverged runs are kept and counted; duplicates, contradictory rows and refused rows are counted with the reason.

    Examples: `rnn-warmstart corpus`, `rnn-warmstart corpus rnn_hp_dataset.tar.gz --json`,
    `rnn-warmstart corpus --best 3 --arch lstm --task text8`.
    """
    if best is None and (arch or task):
        raise typer.BadParameter("--arch and --task select runs for --best; give --best N as well.")
    try:
        found = _read(file)
        runs = found.best(arch, task, n=best) if best else None
    except ValueError as error:  # CorpusError is one
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    if json:
        typer.echo(json_text.dumps(_as_json(found, runs), indent=2))
    elif runs is not None:
        _print_runs(runs)
    else:
        _print_counts(found)


def _read(file: Path | None) -> Corpus:
    """Read the corpus, with a progress bar on stderr once it has taken a second."""
    from ..corpus import load_builtin, read_corpus

    if file is None:
        return load_builtin()
    from .progress import ReadingBar

    with ReadingBar() as bar:
        return read_corpus(file, progress=bar)


def _as_json(found: Corpus, runs: pd.DataFrame | None) -> dict[str, object]:
    if runs is None:
        return {**found.summary.to_dict(), "hparams": list(found.hparams), "sha256": found.sha256}
    from ..corpus import COLUMNS, configurations

    plain = runs[[name for name in COLUMNS if name in runs]].astype(object)
    rows = plain.where(plain.notna(), None).to_dict("records")
    return {"best": [{**row, "hparams": each} for row, each in zip(rows, configurations(runs), strict=True)]}


def _print_counts(found: Corpus) -> None:
    """Print the runs of each architecture and task, and the summary."""
    from rich.console import Console

    counts = found.summary.to_dict()
    table = _table("runs", *counts["by_architecture"], "all")
    for task, total in counts["by_task"].items():
        cells = [by_task.get(task, 0) for by_task in counts["by_architecture_and_task"].values()]
        table.add_row(task, *(f"{cell:,}" for cell in [*cells, total]))
    table.add_section()
    table.add_row("all", *(f"{cell:,}" for cell in [*counts["by_architecture"].values(), counts["rows"]]))
    Console().print(table)
    typer.echo(str(found.summary))


def _print_runs(runs: pd.DataFrame) -> None:
    """Print a few runs, one a column."""
    from rich.console import Console

    table = _table("", *(f"best {i + 1}" for i in range(len(runs))))
    for name in runs:
        table.add_row(str(name), *map(_spell, runs[name].astype(object).where(runs[name].notna(), None)))
    Console().print(table)


def _spell(value: object) -> str:
    return f"{value:.7g}" if isinstance(value, float) else "" if value is None else str(value)


def _table(*headings: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left", no_wrap=True)
    return table
