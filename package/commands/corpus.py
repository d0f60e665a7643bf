"""The commands ``rnn-warmstart corpus``, what is in a table of runs, and ``corpus import``, which makes one."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

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

    Runs in another form, CSV for example, become a corpus with `rnn-warmstart corpus import` (see its --help).
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


def import_runs(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, TSV or JSON lines (.gz, .bz2, .xz, .zst too), Parquet, or the URL of an Optuna storage, e.g. "
            "sqlite:///study.db.",
            show_default=False,
        ),
    ],
    map: Annotated[
        Path, typer.Option(metavar="MAP.toml", help="What its columns mean; docs/import.md says how to write it.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="OUT.parquet", help="Where the corpus goes. Default: SOURCE.parquet.", show_default=False),
    ] = None,
) -> None:
    """Turn a table of other people's runs into a corpus, and show what is in it.

    `rnn-warmstart fit --corpus OUT.parquet --out DIR` then learns from it. SOURCE is the map's name for the runs.

    Example: `rnn-warmstart corpus import runs.csv.gz --map map.toml --out runs.parquet`.
    """
    from ..corpus import import_corpus, read_map, write_parquet
    from .progress import ReadingBar

    try:
        mapping = read_map(map)
        target = _target(out or Path(mapping.source.replace("/", "-") + ".parquet"), file)
        with ReadingBar() as bar:
            found = import_corpus(file, mapping, progress=bar)
        write_parquet(found, target)
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    _print_counts(found)
    typer.echo(f"Wrote {target}.", err=True)


def _target(out: Path, file: str) -> Path:
    """Return where the corpus is written, once it is sure that it can be and that nothing else is lost."""
    if out.suffix != ".parquet":
        raise ValueError(f"--out must end in .parquet, but is {out}.")
    if not out.parent.is_dir():
        raise ValueError(f"There is no folder {out.parent} for {out.name}; make it first.")
    if out.resolve() == Path(file).resolve():
        raise ValueError(f"{out} is the file to import; give another --out.")
    return out


class _ShowByDefault(TyperGroup):
    """A group of commands whose first one need not be named: ``corpus FILE`` is ``corpus show FILE``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        return super().parse_args(ctx, args if args[:1] and args[0] in self.commands else ["show", *args])


group = typer.Typer(cls=_ShowByDefault, help="Show what is in a table of runs, or import one.")
group.command("show")(corpus)
group.command("import")(import_runs)


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
    Console(markup=False).print(table)
    typer.echo(str(found.summary))


def _print_runs(runs: pd.DataFrame) -> None:
    """Print a few runs, one a column."""
    from rich.console import Console

    table = _table("", *(f"best {i + 1}" for i in range(len(runs))))
    for name in runs:
        table.add_row(str(name), *map(_spell, runs[name].astype(object).where(runs[name].notna(), None)))
    Console(markup=False).print(table)


def _spell(value: object) -> str:
    return f"{value:.7g}" if isinstance(value, float) else "" if value is None else str(value)


def _table(*headings: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left", no_wrap=True)
    return table
