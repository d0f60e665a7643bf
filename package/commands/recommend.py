"""The command ``rnn-warmstart recommend``: configurations to start with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import question

if TYPE_CHECKING:
    from ..recommend import Recommendation


def recommend(
    arch: question.Arch,
    task: question.Task,
    params: question.Params,
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
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Print what another tool takes: json, yaml, toml, pandas (CSV), wandb (sweep), configspace.",
            show_default=False,
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=YOURS",
            help="With --to: what you call a hyperparameter, e.g. lr_init=lr; may be repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --to: write it to this file.", show_default=False)
    ] = None,
) -> None:
    """Recommend configurations to train an RNN with first, best first.

    Each comes with the loss to expect (median and 90 % interval), the risk to diverge, the share of random
    configurations that are better, what trying it gains, how far its most sensitive numbers may move before the loss
    rises by 5 %, and the losses of the nearest real runs. Warnings say where the question leaves what the runs cover.

    Examples: `rnn-warmstart recommend --arch gru --task text8 --params 1e6`,
    `rnn-warmstart recommend --arch lstm --task rcf --params 2e4 --depth 2 --fix optimizer=Adam --json`,
    `rnn-warmstart recommend --arch gru --task any --params 1e4 --exclude optimizer=SGD,Momentum
    --range lr_init=1e-4:1e-2 --max-seconds 600 --seconds-per-step 0.01`,
    `rnn-warmstart recommend --arch gru --task text8 --params 1e6 --to wandb --names lr_init=lr --out sweep.yaml`.
    """
    from ..recommend import recommend as search

    _check_output(json, to, names, out)
    renamed = question.read_names(names)
    limits = question.read_limits(fix, exclude, ranges, max_train_steps, max_seconds, seconds_per_step)
    with question.told_errors():
        found = search(
            arch,
            question.read_task(task),
            params,
            depth=depth,
            n=n,
            **limits,
            seed=seed,
            models=models,
        )
    if to:
        _export(found, to, renamed, out)
    elif json:
        typer.echo(found.to_json())
    else:
        _print(found)
    for text in found.warnings:
        typer.echo(f"Warning: {text}", err=True)


def _check_output(json: bool, to: str | None, names: list[str] | None, out: Path | None) -> None:
    """Refuse what no export can be written for, before the search."""
    if not to:
        for option, given in (("--out", out), ("--names", names)):
            if given:
                raise typer.BadParameter(f"{option} needs --to NAME, the format to write.")
        return
    from ..recommend.exports import TARGETS, TEXTS

    if json:
        raise typer.BadParameter(
            "--json and --to exclude each other; --to json has another schema, see docs/exports.md."
        )
    if to not in TEXTS:
        python = f"; in Python, recommend(...).export({to!r}) has objects of that package" if to in TARGETS else ""
        raise typer.BadParameter(f"--to must be one of {', '.join(TEXTS)}, but got {to!r}{python}.")


def _export(found: Recommendation, to: str, names: dict[str, str], out: Path | None) -> None:
    """Print an export, or write it to a file; what it leaves out is told on stderr."""
    from ..recommend.exports import TextExport

    with question.told_errors(ModuleNotFoundError, OSError):
        export = found.export(to, names=names)
        if isinstance(export, TextExport):
            typer.echo(f"{export.write(out)} is written." if out else export.text, nl=bool(out), err=bool(out))
    for text in export.dropped:
        typer.echo(f"Dropped: {text}", err=True)


def _print(found: Recommendation) -> None:
    """Print a table with a column a configuration; where the terminal is narrow, in blocks of columns that fit."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False)
    described = found.described()
    console.print(found.headline(), style="bold", highlight=False)
    labels = list(described[0])
    label_width = max(map(len, labels)) + 3
    widths = [max(len(f"#{rank}"), *map(len, told.values())) + 3 for rank, told in enumerate(described, start=1)]
    for block in _blocks(widths, console.width - label_width):
        table = Table(show_edge=False, pad_edge=False, header_style="bold")
        table.add_column("", no_wrap=True)
        for index in block:
            table.add_column(f"#{index + 1}", justify="right", no_wrap=True)
        for label in labels:
            table.add_row(label, *(described[index].get(label, "") for index in block))
        console.print(table)
    console.print(found.advice(), highlight=False)


def _blocks(widths: list[int], room: int) -> list[list[int]]:
    """Group columns so that each group fits into the room; a group has at least one."""
    blocks: list[list[int]] = [[]]
    left = room
    for index, width in enumerate(widths):
        if blocks[-1] and width > left:
            blocks.append([])
            left = room
        blocks[-1].append(index)
        left -= width
    return blocks
