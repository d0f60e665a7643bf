"""The command ``rnn-warmstart recommend``: configurations to start with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..features.dimension import Value
    from ..recommend import Recommendation


def recommend(
    arch: Annotated[str, typer.Option(help="Architecture: rnn, irnn, ugrnn, gru, lstm, +rnn.")],
    task: Annotated[str, typer.Option(help="Task: text8, parens_counting, arithmetic, mem_thru, rcf, per_cap.")],
    params: Annotated[float, typer.Option(help="Parameter budget of the network, e.g. 1e6.")],
    depth: Annotated[int | None, typer.Option(help="Layers. Default: the search chooses.", show_default=False)] = None,
    n: Annotated[int, typer.Option("--n", help="How many configurations.")] = 5,
    fix: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Hold a hyperparameter fixed; may be repeated.", show_default=False),
    ] = None,
    max_train_steps: Annotated[
        int | None, typer.Option(help="Most training steps a configuration may ask for.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder that `rnn-warmstart fit` wrote. Default: the shipped models.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")] = False,
) -> None:
    """Recommend configurations to train an RNN with first, best first.

    Each comes with the loss to expect (median and 90 % interval), the risk to diverge, the share of random
    configurations that are better, and the losses of the nearest real runs. Warnings say where the question leaves
    what the runs cover.

    Examples: `rnn-warmstart recommend --arch gru --task text8 --params 1e6`,
    `rnn-warmstart recommend --arch lstm --task rcf --params 2e4 --depth 2 --fix optimizer=Adam --json`.
    """
    from ..recommend import recommend as search
    from ..surrogate.storage import ModelError

    fixed = dict(_parse(text) for text in fix or [])
    try:
        found = search(
            arch, task, params, depth=depth, n=n, fixed=fixed, max_train_steps=max_train_steps, seed=seed, models=models
        )
    except ModelError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None
    if json:
        typer.echo(found.to_json())
    else:
        _print(found)
    for text in found.warnings:
        typer.echo(f"Warning: {text}", err=True)


def _parse(text: str) -> tuple[str, Value]:
    name, found, value = text.partition("=")
    if not found or not name or not value:
        raise typer.BadParameter(f"--fix needs NAME=VALUE, e.g. optimizer=Adam, but got {text!r}.")
    try:
        number = float(value)
    except ValueError:
        return name, value
    return name, int(number) if number.is_integer() and "." not in value else number


def _print(found: Recommendation) -> None:
    """Print a table with a column a configuration; where the terminal is narrow, in blocks of columns that fit."""
    from rich.console import Console
    from rich.table import Table

    from ..recommend.recommendation import describe

    console = Console(markup=False)
    described = [describe(item) for item in found]
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
