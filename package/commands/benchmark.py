"""The command ``rnn-warmstart benchmark``: compare samplers in the surrogate's world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from ..surrogate import Benchmark
    from ..surrogate.comparison import Comparison

SETUPS: Final = (
    "rnn:parens_counting:1:1e3",
    "irnn:arithmetic:2:3e3",
    "ugrnn:mem_thru:4:1e4",
    "gru:rcf:2:1e4",
    "lstm:text8:2:3e4",
    "+rnn:per_cap:4:1e5",
)
"""The default choice: every architecture, every task, small to large."""
CHECKPOINTS: Final = (1, 3, 10, 25, 50, 100)
"""Trials after which the table shows the regret."""


def benchmark(
    arch: Annotated[str | None, typer.Option(help="Architecture: rnn, irnn, ugrnn, gru, lstm, +rnn.")] = None,
    task: Annotated[
        str | None, typer.Option(help="Task: text8, parens_counting, arithmetic, mem_thru, rcf, per_cap.")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Layers.")] = None,
    params: Annotated[float | None, typer.Option(help="Parameter budget, e.g. 1e4.")] = None,
    setup: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARCH:TASK:DEPTH:PARAMS",
            help="A setup to search; may be repeated. Default: six, every architecture and every task among them.",
            show_default=False,
        ),
    ] = None,
    samplers: Annotated[
        str, typer.Option(help="Samplers of Optuna, with commas between: tpe, cmaes, gp, random.")
    ] = "tpe,random",
    trials: Annotated[int, typer.Option(min=1, help="Trials a study.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="Studies for each setup and sampler.")] = 5,
    noise: Annotated[
        bool, typer.Option("--noise", help="Losses with seed noise, and trials that diverge, as in real trainings.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes; -1 for as many as there are cores.")] = -1,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder that `rnn-warmstart fit` wrote. Default: the shipped models.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for comparison.json, regret.png and critical_difference.png.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")] = False,
) -> None:
    """Compare samplers of Optuna by how soon they find good configurations, in the surrogate's world.

    No network is trained: losses are what the surrogate predicts, and regret is against the best configuration that is
    known of it. Regret 0 is that one, regret 1 the median of random configurations.

    Examples: `rnn-warmstart benchmark --samplers tpe,random --trials 50 --seeds 3`,
    `rnn-warmstart benchmark --arch gru --task rcf --depth 2 --params 1e4 --samplers tpe,cmaes,gp,random --out figures`.
    """
    from ..surrogate.comparison import compare_samplers
    from ..surrogate.plots import check_plots

    with _errors():
        if out is not None:
            check_plots()
        chosen = _benchmarks(arch, task, depth, params, setup or [], models)
        names = [name.strip() for name in samplers.split(",")]
        if len(set(names)) < len(names):
            raise ValueError(f"--samplers {samplers} names a sampler twice; name each once.")
        with _progress(len(chosen) * len(names) * seeds) as report:
            found = compare_samplers(chosen, names, trials, seeds, noise=noise, workers=workers, progress=report)
        if out is not None:
            _write(found, out)
    if json:
        typer.echo(_to_json(found))
    else:
        _print(found)


def _benchmarks(
    arch: str | None, task: str | None, depth: int | None, params: float | None, setups: list[str], models: Path | None
) -> list[Benchmark]:
    from ..surrogate import Benchmark

    single = {"--arch": arch, "--task": task, "--depth": depth, "--params": params}
    missing = [name for name, value in single.items() if value is None]
    if 0 < len(missing) < len(single):
        raise ValueError(f"A setup needs --arch, --task, --depth and --params; {', '.join(missing)} missing.")
    wanted = [_parse(text) for text in setups]
    if arch is not None and task is not None and depth is not None and params is not None:
        wanted.insert(0, (arch, task, depth, params))
    wanted = wanted or [_parse(text) for text in SETUPS]
    return list(dict.fromkeys(Benchmark(a, t, d, p, models=models) for a, t, d, p in wanted))


def _parse(text: str) -> tuple[str, str, int, float]:
    try:
        arch, task, depth, params = text.split(":")
        return arch, task, int(depth), float(params)
    except ValueError:
        raise ValueError(f"--setup needs ARCH:TASK:DEPTH:PARAMS, e.g. gru:rcf:2:1e4, but got {text!r}.") from None


def _write(found: Comparison, folder: Path) -> None:
    from ..corpus.atomic import write_atomically
    from ..surrogate.plots import save_plots

    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "comparison.json", (_to_json(found) + "\n").encode())
    paths = [folder / "comparison.json", *save_plots(found, folder)]
    typer.echo(f"Wrote {', '.join(map(str, paths))}.", err=True)


def _to_json(found: Comparison) -> str:
    import json

    return json.dumps(found.to_dict(), indent=1, allow_nan=False)


@contextmanager
def _progress(studies: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("studies"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("studies", total=studies)
        yield lambda count: bar.advance(task, count)


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what a user can mend into a message: exit code 2 for wrong arguments, 1 for what is missing or damaged."""
    from ..surrogate.storage import ModelError

    try:
        yield
    except (ModelError, ModuleNotFoundError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None


def _print(found: Comparison) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False)
    points = [each for each in CHECKPOINTS if each < found.trials] + [found.trials]
    table = Table(
        title="Median regret in the surrogate's world (0: best known, 1: median random configuration)",
        caption=f"setups: {len(found.benchmarks)}, seeds: {found.losses.shape[2]}"
        + (", losses with seed noise" if found.noise else ""),
    )
    table.add_column("after trials")
    for each in points:
        table.add_column(str(each), justify="right")
    table.add_column("mean rank", justify="right")
    ranking = found.ranking(found.trials)
    for column in ranking.mean_ranks.argsort(kind="stable"):
        regret = np.median(found.regret[:, column], axis=(0, 1))
        table.add_row(
            found.samplers[column], *(f"{regret[each - 1]:.3f}" for each in points), f"{ranking.mean_ranks[column]:.2f}"
        )
    console.print(table)
    console.print(_verdict(found), highlight=False)


def _verdict(found: Comparison) -> str:
    """Say what the ranks after the last trial allow to conclude."""
    ranking = found.ranking(found.trials)
    if ranking.critical_difference is None:
        return "Ranks can be tested with two setups and two samplers or more."
    alike = "; ".join(", ".join(found.samplers[column] for column in group) for group in ranking.groups())
    friedman = "" if ranking.p_value is None else f"Friedman's p = {ranking.p_value:.2g}. "
    return (
        f"{friedman}Mean ranks differ at the 5 % level if they are more than {ranking.critical_difference:.2f} apart "
        f"(Nemenyi). Not told apart: {alike or 'none'}."
    )
