"""The commands ``rnn-warmstart train`` and ``rnn-warmstart verify``: real runs, and recommendations against them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..training.folder import RunFolder
    from ..training.runs import Job
    from ..training.setups import Setup
    from ..training.verify import Verification


class Backend(StrEnum):
    """joblib's backends that `train` offers."""

    loky = "loky"
    dask = "dask"
    ray = "ray"


class Scale(StrEnum):
    """Scales of the tasks."""

    lab = "lab"
    paper = "paper"


Folder = Annotated[Path, typer.Option(help="Where jobs and runs are kept; an unfinished one is resumed.")]
Workers = Annotated[int, typer.Option(help="Jobs at a time, one thread each; -1: one a core.")]
Device = Annotated[str, typer.Option(help="Any device of PyTorch, e.g. cuda.")]
SETUP_HELP = "rnn, irnn, ugrnn, gru, lstm or +rnn."
TASK_HELP = "text8, parens_counting, arithmetic, mem_thru, rcf or per_cap."


def train(
    arch: Annotated[str | None, typer.Option(help=SETUP_HELP)] = None,
    task: Annotated[str | None, typer.Option(help=TASK_HELP)] = None,
    depth: Annotated[int, typer.Option(help="Layers.")] = 1,
    params: Annotated[float | None, typer.Option(help="Parameter budget, e.g. 1e5.")] = None,
    random: Annotated[int | None, typer.Option(min=1, metavar="N", help="Train N random configurations.")] = None,
    configs: Annotated[
        Path | None, typer.Option(help="Train the configurations of this JSON file: a list of objects.")
    ] = None,
    grid: Annotated[Path | None, typer.Option(help="Train random configurations of a grid of setups (TOML).")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs a configuration.")] = 1,
    seed: Annotated[int, typer.Option(help="Decides the random configurations and all seeds.")] = 0,
    steps: Annotated[
        tuple[int, int], typer.Option(metavar="LOW HIGH", help="Range of the random configurations' train_steps.")
    ] = (100, 4000),
    scale: Annotated[Scale, typer.Option(help="Size of the tasks; paper wants --steps of its size.")] = Scale.lab,
    until: Annotated[str | None, typer.Option(metavar="HH:MM", help="Begin no job after this time.")] = None,
    out: Folder = Path("runs"),
    backend: Annotated[Backend, typer.Option(help="Who works: processes here, or a cluster.")] = Backend.loky,
    workers: Workers = -1,
    device: Device = "cpu",
    download_text8: Annotated[bool, typer.Option("--download-text8", help="Fetch text8 first (31 MB).")] = False,
) -> None:
    """Train real RNNs and keep the runs, in the corpus schema, in OUT/runs.parquet.

    The same command, given again, goes on where the last one stopped, even if it was killed. Several may work on one
    folder at once.

    With --backend dask, the scheduler's address comes from DASK_SCHEDULER_ADDRESS; without it, workers start here.

    Examples: `rnn-warmstart train --arch gru --task text8 --depth 2 --params 1e5 --random 64`,
    `rnn-warmstart train --arch lstm --task rcf --params 3e3 --configs mine.json --seeds 5`,
    `rnn-warmstart train --grid grid.toml --until 02:30`.
    """
    with _errors():
        from ..training.farm import next_time
        from ..training.folder import RunFolder
        from ..training.text import download_text8 as fetch

        if download_text8:
            typer.echo(f"text8 is at {fetch()}", err=True)
        jobs = _jobs(arch, task, depth, params, random, configs, grid, seeds, seed, steps, scale.value)
        deadline = None if until is None else next_time(until)
        folder = RunFolder(out)
        folder.add(jobs)
        made = _work(folder, backend, workers, device, deadline)
        left, file = len(folder.pending()), folder.merge()
        typer.echo(f"{made} new runs; all finished ones are in {file}" + (f"; {left} jobs are left" if left else ""))


def _jobs(
    arch: str | None, task: str | None, depth: int, params: float | None, random: int | None, configs: Path | None,
    grid: Path | None, seeds: int, seed: int, steps: tuple[int, int],
    scale: Any,
) -> list[Job]:  # fmt: skip
    """Return what the options ask for; exactly one of random, configs and grid says which configurations."""
    from ..training.plans import read_grids, setup_jobs

    if sum(option is not None for option in (random, configs, grid)) != 1:
        raise typer.BadParameter("give exactly one of --random N, --configs FILE and --grid FILE.")
    if not 1 <= steps[0] <= steps[1]:
        raise typer.BadParameter(f"--steps LOW HIGH needs 1 <= LOW <= HIGH, got {steps[0]} {steps[1]}.")
    if grid is not None:
        return [job for part in read_grids(grid) for job in part.jobs()]
    setup = _setup(arch, task, depth, params, scale)
    if configs is None:
        return setup_jobs(setup, random or 0, seeds=seeds, seed=seed, steps=steps)
    return setup_jobs(setup, _read_configurations(configs), seeds=seeds, seed=seed)


def _setup(arch: str | None, task: str | None, depth: int, params: float | None, scale: Any) -> Setup:
    from ..training.setups import Setup

    if arch is None or task is None or params is None:
        raise typer.BadParameter("--arch, --task and --params say what to train; all three are needed.")
    return Setup(arch, task, depth, round(params), scale)


def _read_configurations(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text())
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
        raise ValueError(f"{path} must hold a JSON list of objects, one a configuration")
    return found


def verify(
    arch: Annotated[str, typer.Option(help=SETUP_HELP)],
    task: Annotated[str, typer.Option(help=TASK_HELP)],
    params: Annotated[float, typer.Option(help="Parameter budget, e.g. 5e3.")],
    depth: Annotated[int | None, typer.Option(help="Layers; without it, the first recommendation's.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Recommendations.")] = 5,
    random: Annotated[int, typer.Option(min=1, metavar="N", help="Random configurations to compare with.")] = 64,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each recommendation; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(help="Decides the random configurations and all seeds.")] = 0,
    out: Folder = Path("runs"),
    workers: Workers = -1,
    device: Device = "cpu",
) -> None:
    """Recommend, train the recommendations and random configurations for real, and compare.

    A table says what was predicted, what came out, and how many of the random configurations were better; the plot
    below it shows the random ones as dots and each recommendation by its number, on a logarithmic axis of loss.

    Example: `rnn-warmstart verify --arch gru --task rcf --depth 3 --params 5e3 --n 5 --random 64`.
    """
    with _errors():
        from ..recommend import recommend
        from ..training.folder import RunFolder
        from ..training.verify import compare, verification_jobs

        if depth is None:
            depth = int(recommend(arch, task, params, n=1, seed=seed).to_dict()["recommendations"][0]["n_layers"])
        found = recommend(arch, task, params, depth=depth, n=n, seed=seed).to_dict()["recommendations"]
        setup = _setup(arch, task, depth, params, "lab")
        jobs = verification_jobs(setup, [each["hparams"] for each in found], random, seeds, seed)
        folder = RunFolder(out)
        folder.add(jobs)
        _work(folder, Backend.loky, workers, device, None, [job.name for job in jobs])
        runs = folder.collect([job.name for job in jobs])
        _print_verification(compare(setup, runs, [each["predicted_loss"] for each in found]))


def _work(
    folder: RunFolder, backend: Backend, workers: int, device: str, until: float | None, names: list[str] | None = None
) -> int:
    """Do the folder's jobs, with progress on stderr: runs made, runs a minute, time left."""
    from ..training.farm import work_through

    with _cluster(backend), _progress(folder, names) as report:
        return work_through(folder, backend.value, workers, device, until, report, names)


@contextmanager
def _progress(folder: RunFolder, names: list[str] | None) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    pending = [name for name in folder.pending() if names is None or name in names]
    total = sum(len(folder.job(name).seeds) for name in pending)
    columns = (
        TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]} a minute"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not total) as bar:
        line = bar.add_task("runs", total=total, rate="-")

        def report(count: int) -> None:
            bar.advance(line, count)
            task = bar.tasks[0]
            bar.update(line, rate=f"{60 * task.completed / max(task.elapsed or 1, 1e-9):,.0f}")

        yield report


@contextmanager
def _cluster(backend: Backend) -> Iterator[None]:
    """Connect to the cluster that the backend needs."""
    if backend is Backend.dask:
        from distributed import Client

        with Client(os.environ.get("DASK_SCHEDULER_ADDRESS")):
            yield
    else:
        yield


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what a user can mend into a message and exit code 1."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = {"distributed": "pip install distributed", "ray": "pip install ray"}
        advice = extra.get(str(error.name), "pip install 'rnn-warmstart[training]'")
        typer.echo(f"Error: {error}. Install it: {advice}", err=True)
        raise typer.Exit(1) from None
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def _print_verification(found: Verification) -> None:
    from rich.console import Console
    from rich.table import Table

    setup, task = found.setup, found.setup.task()
    table = Table(
        title=f"{setup.architecture} on {setup.task_type}, {setup.n_layers} layers, {setup.max_params:,} parameters",
        caption=f"loss in {task.unit}; the best constant answer gets {task.trivial:.4g}; "
        f"{len(found.random_losses)} random configurations, the best of them {found.random_losses.min():.4g}",
    )
    for heading in ("", "predicted", "measured (median)", "lowest .. highest", "random ones better"):
        table.add_column(heading, justify="right")
    for number, row in enumerate(found.recommended.itertuples(index=False), start=1):
        table.add_row(
            str(number), f"{row.predicted_loss:.4g}", f"{row.measured_loss:.4g}",
            f"{row.lowest:.4g} .. {row.highest:.4g}", f"{row.beaten_by:.0%}",
        )  # fmt: skip
    Console().print(table)
    typer.echo(found.plot())
