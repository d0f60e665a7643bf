"""Make the corpus's own runs: plan them, work through them, gather them. Every step can be repeated at any time.

    python benchmarks/make_runs.py plan FOLDER            # adds the jobs whose runs the built-in corpus has not
    nice -n 19 python benchmarks/make_runs.py work FOLDER --workers 2 [--until 02:30]
    python benchmarks/make_runs.py propose FOLDER         # adds configurations that the recommender proposes
    python benchmarks/make_runs.py collect FOLDER         # FOLDER/trainer_runs.parquet, and what is in it
    python benchmarks/make_runs.py merge FOLDER...        # the built-in corpus takes them in

`work` takes up where the last one stopped, however it stopped; several may run side by side. text8 is read from the
path in RNN_WARMSTART_TEXT8.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rnn_warmstart.corpus import SETUP, load_builtin
from rnn_warmstart.corpus.atomic import write_atomically
from rnn_warmstart.features import ARCHITECTURES
from rnn_warmstart.training.farm import next_time, work_through
from rnn_warmstart.training.folder import RunFolder
from rnn_warmstart.training.plans import Grid
from rnn_warmstart.training.runs import Job, draw_seeds
from rnn_warmstart.training.setups import TASK_TYPES

app = typer.Typer(help=__doc__, no_args_is_help=True)
ARCHS = tuple(ARCHITECTURES)
DEPTHS = (1, 2, 4, 8)


def replicates() -> list[Grid]:
    """Return the noise ceiling: configurations over all architectures and tasks, a few by 5 seeds and many by 2."""
    few = {"seeds": 5, "source": "trainer/replicate"}
    twice = {"seeds": 2, "source": "trainer/replicate"}
    cells = tuple(name for name in ARCHS if name != "+rnn")
    return [
        Grid(cells, TASK_TYPES, (1,), (1000,), configurations=8, **few),
        Grid(("+rnn",), TASK_TYPES, (2,), (1000,), configurations=8, **few),
        Grid(ARCHS, TASK_TYPES, (2,), (10_000,), configurations=4, **few),
        Grid(("gru", "+rnn"), TASK_TYPES, (4,), (3000,), configurations=2, **few),
        Grid(ARCHS, TASK_TYPES, (8,), (1000,), configurations=128, priority=165, **twice),
        Grid(ARCHS, TASK_TYPES, (4,), (1000,), configurations=128, priority=166, **twice),
        Grid(ARCHS, TASK_TYPES, (1, 2, 4), (30_000,), configurations=32, priority=167, **twice),
    ]


def grid() -> Iterator[Job]:
    """Yield random configurations for the grid of setups: all of it first, thinly where it costs most, then depth.

    A job's cost has a fixed part, the steps of its longest member, so large jobs are cheap a run, and where a step is
    expensive the first wave stops at 1000 steps (source ``trainer/short``).
    """
    short = {"steps": (100, 1000), "source": "trainer/short"}
    covered = set(load_builtin().runs[list(SETUP)].drop_duplicates().itertuples(index=False, name=None))
    coverage = [
        Grid(ARCHS, TASK_TYPES, DEPTHS, (1000,), configurations=32, priority=100),
        Grid(ARCHS, TASK_TYPES, DEPTHS, (3000,), configurations=16, priority=110),
        Grid(ARCHS, TASK_TYPES, DEPTHS, (10_000,), configurations=8, priority=120, **short),
        Grid(ARCHS, TASK_TYPES, DEPTHS, (30_000,), configurations=4, priority=130, **short),
        Grid(ARCHS, TASK_TYPES, DEPTHS, (100_000,), configurations=2, priority=140, **short),
    ]
    for part in coverage:
        for job in part.jobs():
            setup = job.setup
            if (setup.architecture, setup.task_type, setup.n_layers, setup.max_params) not in covered:
                yield job
    waves = [  # size, configurations a setup, number of the first one, priority
        (1000, 128, 32, 150), (3000, 64, 16, 160), (10_000, 32, 8, 170), (30_000, 16, 4, 180), (100_000, 8, 2, 190),
        (1000, 256, 160, 200), (3000, 128, 80, 210), (10_000, 64, 40, 220), (30_000, 64, 20, 230),
        (1000, 256, 416, 240), (1000, 256, 672, 250), (1000, 256, 928, 260), (1000, 256, 1184, 270),
    ]  # fmt: skip
    for size, count, first, priority in waves:
        yield from Grid(ARCHS, TASK_TYPES, DEPTHS, (size,), configurations=count, first=first, priority=priority).jobs()


def scale() -> list[Grid]:
    """Return longer trainings of small networks, and larger networks than the grid's."""
    cells = tuple(name for name in ARCHS if name != "+rnn")
    long = {"steps": (4000, 40_000), "source": "trainer/long", "priority": 162}
    longest = {"steps": (40_000, 400_000), "source": "trainer/long", "priority": 164}
    large = {"steps": (100, 1000), "source": "trainer/large", "priority": 163}
    return [
        Grid(cells, TASK_TYPES, (1,), (1000,), configurations=8, **long),
        Grid(("+rnn",), TASK_TYPES, (2,), (1000,), configurations=8, **long),
        Grid(("gru", "rnn"), ("rcf", "per_cap"), (1,), (1000,), configurations=4, **longest),
        Grid(ARCHS, TASK_TYPES, (2,), (300_000,), configurations=2, **large),
        Grid(ARCHS, ("rcf", "per_cap", "arithmetic"), (2,), (1_000_000,), configurations=1, **large),
    ]


@app.command()
def plan(folder: Path) -> None:
    """Add the jobs of the plan whose runs the built-in corpus has not to the folder's list."""
    made = set(load_builtin().runs["seed"].dropna().astype(int))
    jobs = [*grid(), *(job for part in [*replicates(), *scale()] for job in part.jobs())]
    jobs = [job for job in jobs if not made.issuperset(job.seeds)]
    new = RunFolder(folder).add(jobs)
    typer.echo(f"{len(jobs)} jobs, {sum(len(job.seeds) for job in jobs)} runs to make; {new} jobs are new")


@app.command()
def propose(
    folder: Path,
    sizes: Annotated[str, typer.Option(help="Parameter budgets, separated by commas.")] = "1000,3000",
    each: Annotated[int, typer.Option(help="Recommendations a setup.")] = 16,
    seed: Annotated[int, typer.Option(help="Another one, other recommendations.")] = 0,
    priority: Annotated[int, typer.Option(help="Of the jobs; random ones of the grid have 100 to 220.")] = 145,
) -> None:
    """Add jobs with the recommender's own configurations, for every architecture, task and depth."""
    from rnn_warmstart import recommend

    budgets = [int(float(size)) for size in sizes.split(",")]
    runs_folder, added = RunFolder(folder), 0
    for setup in Grid(ARCHS, TASK_TYPES, DEPTHS, budgets, configurations=1).setups():
        found = recommend(
            setup.architecture, setup.task_type, setup.max_params, depth=setup.n_layers, n=each, seed=seed
        )
        configurations = [dict(entry["hparams"]) for entry in found.to_dict()["recommendations"]]
        seeds = draw_seeds(len(configurations), "recommended", seed, repr(setup))
        numbers = list(range(len(configurations)))
        added += runs_folder.add([Job(setup, "trainer/recommended", configurations, seeds, numbers, priority)])
        typer.echo(f"{added} jobs", err=True)


@app.command()
def work(
    folder: Path,
    workers: Annotated[int, typer.Option(help="Jobs at a time.")] = 2,
    until: Annotated[str | None, typer.Option(help="Begin no job after this time, HH:MM.")] = None,
) -> None:
    """Do the jobs of the list."""
    began, made = time.time(), 0

    def report(count: int) -> None:
        nonlocal made
        made += count
        left = len(RunFolder(folder).pending())
        typer.echo(f"{made} runs, {made / (time.time() - began) * 60:.0f} a minute, {left} jobs left", err=True)

    deadline = None if until is None else next_time(until)
    work_through(RunFolder(folder), workers=workers, until=deadline, report=report)


@app.command()
def collect(folder: Path) -> None:
    """Gather the finished runs into one file."""
    runs = RunFolder(folder).collect()
    write_atomically(folder / "trainer_runs.parquet", runs.to_parquet(index=False, compression="zstd"))
    typer.echo(
        runs.groupby(["source", "max_params", "n_layers"]).agg(runs=("seed", "size"), seconds=("wall_seconds", "mean"))
    )
    typer.echo(
        f"{len(runs)} runs, {runs['wall_seconds'].sum():.0f} core seconds, {runs['diverged'].mean():.1%} diverged"
    )


@app.command()
def merge(folders: list[Path], built_in: Path = Path("corpus/data/runs.parquet")) -> None:
    """Add the gathered runs to the built-in corpus, those that it has not yet.

    Sorted by task and architecture, so that a question reads only a part of the file.
    """
    import pandas as pd
    from rnn_warmstart.corpus import as_corpus, read_corpus, write_parquet

    tables = [read_corpus(built_in).runs, *(read_corpus(folder / "trainer_runs.parquet").runs for folder in folders)]
    runs = pd.concat(tables, ignore_index=True)
    runs = runs[~runs.duplicated([*SETUP, "source", "hyper_iter", "seed"])]
    merged = as_corpus(runs.sort_values(["task_type", "architecture"], kind="stable", ignore_index=True))
    write_parquet(merged, built_in)
    typer.echo(str(merged))
    typer.echo("Now: python -m rnn_warmstart.corpus.card && rnn-warmstart fit --out models")


if __name__ == "__main__":
    app()
