"""The command ``rnn-warmstart recommend``: configurations to start with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

if TYPE_CHECKING:
    from ..features.dimension import Value
    from ..recommend import Recommendation

Parsed = TypeVar("Parsed")


def recommend(
    arch: Annotated[str, typer.Option(help="Architecture: rnn, irnn, ugrnn, gru, lstm, +rnn.")],
    task: Annotated[
        str, typer.Option(help="Task: text8, parens_counting, arithmetic, mem_thru, rcf, per_cap; any: good on all.")
    ],
    params: Annotated[float, typer.Option(help="Parameter budget of the network, e.g. 1e6.")],
    depth: Annotated[int | None, typer.Option(help="Layers. Default: the search chooses.", show_default=False)] = None,
    n: Annotated[int, typer.Option("--n", help="How many configurations.")] = 5,
    fix: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Hold a hyperparameter fixed; may be repeated.", show_default=False),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=A,B", help="Choices to leave out; may be repeated.", show_default=False),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range", metavar="NAME=LOW:HIGH", help="Range of a number; may be repeated.", show_default=False
        ),
    ] = None,
    max_train_steps: Annotated[
        int | None, typer.Option(help="Most training steps a configuration may ask for.", show_default=False)
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(help="Longest training, seconds; needs --seconds-per-step.", show_default=False),
    ] = None,
    seconds_per_step: Annotated[
        float | None, typer.Option(help="Measured time of one training step, seconds.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    models: Annotated[
        Path | None,
        typer.Option(
            envvar="RNN_WARMSTART_MODELS",
            help="Folder that `rnn-warmstart fit` or `build` wrote. Default: the shipped models.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Print what another tool takes: json, yaml, toml, pandas (CSV), wandb (sweep), configspace.",
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
    `rnn-warmstart recommend --arch gru --task text8 --params 1e6 --to wandb --out sweep.yaml`.
    """
    from ..recommend import recommend as search
    from ..surrogate.storage import ModelError

    _check_output(json, to, out)
    try:
        found = search(
            arch,
            task,
            params,
            depth=depth,
            n=n,
            fixed=_by_name("--fix", fix, _value),
            exclude=_by_name("--exclude", exclude, _values),
            ranges=_by_name("--range", ranges, _range),
            max_train_steps=max_train_steps,
            max_seconds=max_seconds,
            seconds_per_step=seconds_per_step,
            seed=seed,
            models=models,
        )
    except ModelError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None
    if to:
        _export(found, to, out)
    elif json:
        typer.echo(found.to_json())
    else:
        _print(found)
    for text in found.warnings:
        typer.echo(f"Warning: {text}", err=True)


def _check_output(json: bool, to: str | None, out: Path | None) -> None:
    """Refuse what no export can be written for, before the search."""
    from ..recommend.exports import TARGETS, TEXTS

    if out and not to:
        raise typer.BadParameter("--out needs --to NAME, the format to write.")
    if to and json:
        raise typer.BadParameter(
            "--json and --to exclude each other; --to json has another schema, see docs/exports.md."
        )
    if to and to not in TEXTS:
        python = f"; in Python, recommend(...).export({to!r}) has objects of that package" if to in TARGETS else ""
        raise typer.BadParameter(f"--to must be one of {', '.join(TEXTS)}, but got {to!r}{python}.")


def _export(found: Recommendation, to: str, out: Path | None) -> None:
    """Print an export, or write it to a file; what it leaves out is told on stderr."""
    from ..recommend.exports import TextExport

    try:
        export = found.export(to)
        if isinstance(export, TextExport):
            typer.echo(f"{export.write(out)} is written." if out else export.text, nl=bool(out), err=bool(out))
    except (ModuleNotFoundError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    for text in export.dropped:
        typer.echo(f"Dropped: {text}", err=True)


EXAMPLES: Final = {
    "--fix": "NAME=VALUE, e.g. optimizer=Adam",
    "--exclude": "NAME=A,B, e.g. optimizer=SGD,Momentum",
    "--range": "NAME=LOW:HIGH, e.g. lr_init=1e-4:1e-2",
}


def _by_name(option: str, texts: list[str] | None, parse: Callable[[str], Parsed]) -> dict[str, Parsed]:
    """Parse the texts of an option that may be repeated, each NAME=... and each name once."""
    found: dict[str, Parsed] = {}
    for text in texts or []:
        name, _, rest = text.partition("=")
        try:
            if not name or not rest:
                raise ValueError
            value = parse(rest)
        except ValueError:
            raise typer.BadParameter(f"{option} needs {EXAMPLES[option]}, but got {text!r}.") from None
        if name in found:
            raise typer.BadParameter(f"{option} names {name} twice; give it once.")
        found[name] = value
    return found


def _value(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number


def _values(text: str) -> list[Value]:
    return [_value(part) for part in text.split(",")]


def _range(text: str) -> tuple[float, float]:
    low, high = text.split(":")
    return float(low), float(high)


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
