"""Are recommendations good? Train them for real on setups, and on tasks, that the surrogate has never seen.

    python benchmarks/recommendation.py              # benchmarks/results/recommendation.{json,md}; hours, resumable
    python benchmarks/recommendation.py --smoke      # a minute, writes nothing

24 setups, four of every task and of every architecture. For the first regime the surrogate is fitted without the judged
setups (two fits, twelve setups each left out), for the second without the whole task (six fits), and asked with the
task's description, and with `task="any"`. Everybody trains for the same number of steps. Truth is the trainer alone:
500 random configurations of that length a setup, and every proposal of everybody with three seeds. The rivals see the
same runs as the surrogate, those of the same architecture. Syne Tune's proposals are read from a file, as it needs an
environment of its own; after a change of the corpus, `benchmarks/quantile_rival.py` makes them anew.

After T trials of a list stands the lowest loss of its first T. It is told as the share of the random configurations
that are better, and as normalised regret: 0 is the best loss that anybody reached in the setup, 1 the median of the
random ones. "Best of k random" is exact over all draws of k of the 500. text8 is read from the path in
RNN_WARMSTART_TEXT8.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from proof_figures import OURS, OURS_UNSEEN, SEEDS, Proposals, judge, summarise, to_text
from provenance import provenance, write_result
from rich.console import Console
from rivals import (
    Known,
    default_configuration,
    nearest_best,
    plain_surrogate,
    portfolio,
    quantile_surrogate,
    read_quantiles,
)
from rnn_warmstart.corpus import SETUP, load_builtin
from rnn_warmstart.corpus.schema import ABSURD_LOSS
from rnn_warmstart.features import ARCHITECTURES
from rnn_warmstart.recommend import recommend
from rnn_warmstart.recommend.task_spec import DESCRIBED
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate
from rnn_warmstart.surrogate.storage import save_surrogate
from rnn_warmstart.training.draws import draw_configurations
from rnn_warmstart.training.farm import work_through
from rnn_warmstart.training.folder import RunFolder
from rnn_warmstart.training.runs import Job, draw_seeds
from rnn_warmstart.training.setups import TASK_TYPES, Setup

STEPS, RANDOM, AT_ONCE, LENGTH = 1000, 500, 125, 10
GROUPS = 2
SHAPES = ((1, 1000), (2, 1000), (1, 3000), (4, 1000))
CACHE = Path(__file__).parent / "cache" / "recommendation"
RANDOM_SOURCE, PROPOSED = "trainer/fixed-steps", "trainer/recommended"
QUICK = Settings(trees=20, diverge_trees=5, folds=2,
                 network=NetworkSettings(units=16, layers=1, members=1, epochs=1))  # fmt: skip
Floats = np.ndarray


def judged_setups() -> list[Setup]:
    """Return the 24 setups: four architectures a task, each task in four shapes (`+rnn` has no single layer)."""
    names = tuple(ARCHITECTURES)
    found = []
    for row, task in enumerate(TASK_TYPES):
        for column, name in enumerate(names):
            if (row + column) % 3:
                depth, size = SHAPES[(len(found) + row) % len(SHAPES)]
                found.append(Setup(name, task, 2 if name == "+rnn" else depth, size))
    return found


def random_jobs(setup: Setup, count: int, steps: int) -> list[Job]:
    """Return jobs of random configurations of one length."""
    origin = (RANDOM_SOURCE, repr(setup))
    drawn = draw_configurations(setup.architecture, count, draw_seeds(1, "draw", *origin)[0], (steps, steps))
    seeds = draw_seeds(count, "seed", *origin)
    parts = (range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE))
    return [Job(setup, RANDOM_SOURCE, [drawn[i] for i in part], [seeds[i] for i in part], list(part)) for part in parts]


def proposal_job(setup: Setup, proposals: Proposals) -> Job:
    """Return one job of all proposals of a setup, each with every seed; `proposal_losses` reads it in this order."""
    lists = [hparams for configurations in proposals.values() for hparams in configurations]
    repeated = [hparams for hparams in lists for _ in range(SEEDS)]
    numbers = [number for number in range(len(lists)) for _ in range(SEEDS)]
    return Job(setup, PROPOSED, repeated, draw_seeds(len(repeated), "proposed", repr(setup)), numbers, priority=1)


def fit_without(known: pd.DataFrame, folder: Path, settings: Settings) -> Path:
    """Fit the surrogate on the known runs, unless the folder holds it already."""
    if not (folder / "done").exists():
        save_surrogate(Surrogate.fit(known.reset_index(drop=True), settings), folder)
        (folder / "done").touch()
    return folder


def unseen_by(runs: pd.DataFrame, setups: Iterable[Setup]) -> Floats:
    """Return which runs belong to none of the setups."""
    keys = [(item.architecture, item.task_type, item.n_layers, item.max_params) for item in setups]
    return ~pd.MultiIndex.from_frame(runs[list(SETUP)]).isin(keys)


def propose(
    runs: pd.DataFrame, setup: Setup, models: Path, models_task: Path, group: list[Setup], steps: int
) -> tuple[Proposals, Floats]:
    """Return everybody's configurations for one setup in the order of trying, and the 90 % intervals of the first."""
    ask = {"params": setup.max_params, "depth": setup.n_layers, "n": LENGTH, "fixed": {"train_steps": steps}}
    found = recommend(setup.architecture, setup.task_type, models=models, **ask)
    described = recommend(setup.architecture, DESCRIBED[setup.task_type], models=models_task, **ask)
    anywhere = recommend(setup.architecture, "any", models=models_task, **ask)
    known = Known(runs[unseen_by(runs, group)], setup, steps)
    other = Known(runs[(runs["task_type"] != setup.task_type).to_numpy()], setup, steps)
    proposals = {
        OURS: [dict(item.hparams) for item in found],
        "greedy portfolio": portfolio(known, LENGTH),
        "nearest setup's best": nearest_best(known, LENGTH),
        "plain LightGBM": plain_surrogate(known, LENGTH),
        "usual defaults": [default_configuration(setup.architecture)],
        OURS_UNSEEN: [dict(item.hparams) for item in described],
        'task unseen: recommend, task="any"': [dict(item.hparams) for item in anywhere],
        "task unseen: greedy portfolio": portfolio(other, LENGTH),
        "task unseen: nearest setup's best": nearest_best(other, LENGTH),
        **quantile_surrogate(setup),
    }
    fixed = {name: [item | {"train_steps": steps} for item in lists] for name, lists in proposals.items()}
    return fixed, np.array([item.interval for item in found])


def usable(runs: pd.DataFrame) -> Floats:
    """Return the losses, infinite where a run diverged."""
    losses = runs["eval_loss"].to_numpy(np.float64, na_value=np.inf)
    return np.where(runs["diverged"].to_numpy(bool) | ~(losses < ABSURD_LOSS), np.inf, losses)


def train(folder: RunFolder, jobs: list[Job], console: Console, what: str) -> None:
    """Train what is not yet trained."""
    folder.add(jobs)
    names = [job.name for job in jobs]
    missing = len([name for name in folder.pending() if name in names])
    if missing:
        console.print(f"{what}: {missing} of {len(names)} jobs to train")
        work_through(folder, workers=int(os.environ.get("WORKERS", "2")), names=set(names))


def run(
    cache: Path, setups: list[Setup], settings: Settings, count: int, steps: int, console: Console
) -> dict[str, Any]:
    """Do everything that is not yet done; return the result."""
    corpus = load_builtin()
    runs, folder = corpus.runs, RunFolder(cache / "runs")
    for setup in setups:
        train(folder, random_jobs(setup, count, steps), console, f"random configurations of {setup}")
    groups = [setups[first::GROUPS] for first in range(GROUPS)]
    version = corpus.sha256[:12]
    parts = [(unseen_by(runs, group), cache / f"models-{version}-{n}") for n, group in enumerate(groups)]
    tasks = sorted({item.task_type for item in setups})
    parts += [((runs["task_type"] != task).to_numpy(), cache / f"models-{version}-{task}") for task in tasks]
    console.print(f"surrogates: {len(parts)} fits")
    Parallel(n_jobs=int(os.environ.get("WORKERS", "2")))(
        delayed(fit_without)(runs[rows], target, settings) for rows, target in parts
    )
    proposed = []
    for number, setup in enumerate(setups):
        of_task = cache / f"models-{version}-{setup.task_type}"
        of_group = cache / f"models-{version}-{number % GROUPS}"
        proposed.append(propose(runs, setup, of_group, of_task, groups[number % GROUPS], steps))
        console.print(f"asked for {setup}")
    jobs = [proposal_job(setup, proposals) for setup, (proposals, _) in zip(setups, proposed, strict=True)]
    train(folder, jobs, console, "proposals")
    results = []
    for setup, job, (proposals, intervals) in zip(setups, jobs, proposed, strict=True):
        losses = usable(folder.collect([job.name])).reshape(-1, SEEDS)
        random = usable(folder.collect([job.name for job in random_jobs(setup, count, steps)]))
        results.append(judge(setup, random, proposals, losses, intervals))
    return {
        "provenance": provenance(corpus, 0),
        "quantile_rival": read_quantiles()["provenance"],
        "steps": steps,
        "random": count,
        "summary": summarise(results, list(results[0]["lists"])),
        "setups": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one small setup, writes nothing")
    parser.add_argument("--random-only", action="store_true", help="only train the random configurations")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    if arguments.smoke:
        with tempfile.TemporaryDirectory() as scratch:
            small = [item for item in judged_setups() if item.task_type == "rcf"][:1]
            print(to_text(run(Path(scratch), small, QUICK, 8, 20, console)))
        return
    if arguments.random_only:
        folder = RunFolder(CACHE / "runs")
        jobs = [job for setup in judged_setups() for job in random_jobs(setup, RANDOM, STEPS)]
        train(folder, jobs, console, "random configurations")
        return
    result = run(CACHE, judged_setups(), replace(Settings(), folds=3), RANDOM, STEPS, console)
    text = to_text(result)
    write_result("recommendation", result, text)
    print(text)


if __name__ == "__main__":
    main()
