"""Are recommendations good? Train them for real on setups, and on tasks, that the surrogate has never seen.

    python benchmarks/recommendation.py              # benchmarks/results/recommendation.{json,md,png}; hours, resumable
    python benchmarks/recommendation.py --smoke      # a minute, writes nothing

24 setups, four of every task and of every architecture. For the first regime the surrogate is fitted without the judged
setups (two fits, twelve setups each left out), for the second without the whole task (six fits), and asked with the
task's description, and with `task="any"`. Everybody trains for the same number of steps. Truth is the trainer alone:
500 random configurations of that length a setup, and every proposal of everybody with three seeds. The rivals see the
same runs as the surrogate, those of the same architecture.

After T trials of a list stands the lowest loss of its first T. It is told as the share of the random configurations
that are better, and as normalised {_faster(result["summary"])}

regret: 0 is the best loss that anybody reached in the setup, 1 the median of the
random ones. "Best of k random" is exact over all draws of k of the 500. text8 is read from the path in
RNN_WARMSTART_TEXT8.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rivals import Known, default_configuration, nearest_best, plain_surrogate, portfolio
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
from scipy.special import gammaln

STEPS, RANDOM, AT_ONCE, SEEDS, LENGTH = 1000, 500, 125, 3, 10
MOMENTS = (1, 3, 5, 10)
GROUPS = 2
SHAPES = ((1, 1000), (2, 1000), (1, 3000), (4, 1000))
CACHE = Path(__file__).parent / "cache" / "recommendation"
OURS, OURS_UNSEEN = "recommend", "task unseen: recommend"
RANDOM_SOURCE, PROPOSED = "trainer/fixed-steps", "trainer/recommended"
QUICK = Settings(trees=20, diverge_trees=5, spread_trees=5, folds=2,
                 network=NetworkSettings(units=16, layers=1, members=1, epochs=1))  # fmt: skip
Floats = np.ndarray
Proposals = dict[str, list[dict[str, Any]]]


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
    keys = {(item.architecture, item.task_type, item.n_layers, item.max_params) for item in setups}
    return np.array([key not in keys for key in runs[list(SETUP)].itertuples(index=False, name=None)])


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
    }
    fixed = {name: [item | {"train_steps": steps} for item in lists] for name, lists in proposals.items()}
    return fixed, np.array([item.interval for item in found])


def usable(runs: pd.DataFrame) -> Floats:
    """Return the losses, infinite where a run diverged."""
    losses = runs["eval_loss"].to_numpy(np.float64, na_value=np.inf)
    return np.where(runs["diverged"].to_numpy(bool) | ~(losses < ABSURD_LOSS), np.inf, losses)


def judge(
    setup: Setup, random: Floats, proposals: Proposals, losses: Floats, intervals: Floats | None = None
) -> dict[str, Any]:
    """Return what came of a setup's proposals; losses of shape (all configurations in order, seeds)."""
    best, middle = min(random.min(), losses.min()), float(np.median(random))
    ends = np.cumsum([len(item) for item in proposals.values()])
    found: dict[str, Any] = {**asdict(setup), "best": best, "median": middle, "lists": {}}
    for name, part in zip(proposals, np.split(losses, ends[:-1]), strict=True):
        lowest = np.minimum.accumulate(part, axis=0)  # trial, seed
        found["lists"][name] = {
            "losses": part.tolist(),
            "better": [float(np.mean([share_better(random, x) for x in row])) for row in lowest],
            "regret": ((np.minimum(lowest, middle) - best) / (middle - best)).mean(axis=1).tolist(),
            "beats": {
                str(k): [
                    float(np.mean([chance_to_beat(random, x, min(k, len(random))) for x in row])) for row in lowest
                ]
                for k in (100, len(random))
            },
        }
    if intervals is not None:
        mine = losses[: len(intervals)]
        found["below"], found["above"] = (
            float(np.mean(outside)) for outside in (mine < intervals[:, :1], mine > intervals[:, 1:])
        )
    expected = [expected_lowest(random, min(trial, len(random)), middle) for trial in MOMENTS]
    found["random_regret"] = {str(t): (x - best) / (middle - best) for t, x in zip(MOMENTS, expected, strict=True)}
    return found


def share_better(random: Floats, loss: float) -> float:
    """Return the share of random configurations with a lower loss, ties half."""
    return float(np.mean(random < loss) + np.mean(random == loss) / 2)


def chance_to_beat(random: Floats, loss: float, k: int) -> float:
    """Return the probability that the best of k random configurations, drawn without replacement, is worse; ties half.

    All k are among the w worse ones with probability C(w, k) / C(n, k).
    """
    n = len(random)
    worse, not_better = (random > loss).sum(), (random >= loss).sum()
    return (draws_within(worse, n, k) + draws_within(not_better, n, k)) / 2


def draws_within(w: Any, n: int, k: int) -> Any:
    """Return C(w, k) / C(n, k); 0 where w < k."""
    w = np.asarray(w, dtype=np.float64)
    inside = w >= k
    safe = np.where(inside, w, n)
    log = gammaln(safe + 1) - gammaln(safe - k + 1) - gammaln(n + 1) + gammaln(n - k + 1)
    return np.where(inside, np.exp(log), 0.0)


def expected_lowest(random: Floats, k: int, highest: float) -> float:
    """Return the mean of the lowest of k random losses, drawn without replacement; none counts above `highest`."""
    ordered = np.minimum(np.sort(random), highest)
    none_before = draws_within(len(random) - np.arange(len(random) + 1), len(random), k)
    return float((ordered * -np.diff(none_before)).sum())


def summarise(results: list[dict[str, Any]], names: list[str], boots: int = 2000) -> dict[str, Any]:
    """Return, for each list after each of `MOMENTS`, its regret, its place and its wins over the setups."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(results), size=(boots, len(results)))
    table: dict[str, Any] = {}
    for name in names:
        table[name] = {}
        ours = OURS_UNSEEN if name.startswith("task unseen") else OURS
        for t in MOMENTS:
            lists = [item["lists"][name] for item in results]
            regret, better = (np.array([at(item[key], t) for item in lists]) for key in ("regret", "better"))
            mine = np.array([at(item["lists"][ours]["regret"], t) for item in results])
            table[name][str(t)] = {
                "regret": float(regret.mean()),
                "regret_95": np.quantile(regret[rows].mean(axis=1), [0.025, 0.975]).tolist(),
                "better_median": float(np.median(better)),
                "better_worst": float(better.max()),
                "beats_100": float(np.mean([at(item["beats"]["100"], t) > 0.5 for item in lists])),
                "beats_all": float(np.mean([at(item["beats"][list(item["beats"])[-1]], t) > 0.5 for item in lists])),
                "better_than_ours": float(np.mean(regret < mine)),
            }
        if len(results[0]["lists"][name]["losses"]) == 1:
            continue  # the end of a list of one is its beginning
        gains = np.array([np.mean(np.log(speed_up(item["lists"][ours], item["lists"][name]))) for item in results])
        table[name]["speed_up"] = [
            float(np.exp(gains.mean())),
            *np.exp(np.quantile(gains[rows].mean(axis=1), [0.025, 0.975])),
        ]
    table["random"] = {
        str(t): {"regret": float(np.mean([r["random_regret"][str(t)] for r in results]))} for t in MOMENTS
    }
    return table


def speed_up(ours: dict[str, Any], theirs: dict[str, Any]) -> Floats:
    """Return how many times fewer trials ours needs to reach what a rival has after all of its own; shape (n_seeds,).

    The level is the median of the rival's ends. Trials are those of each seed; one that never gets there counts one
    more than the list has.
    """
    mine, other = (np.minimum.accumulate(np.array(item["losses"]), axis=0) for item in (ours, theirs))
    level = np.median(other[-1])
    needed = [
        np.where((lowest <= level).any(axis=0), (lowest <= level).argmax(axis=0) + 1, len(lowest) + 1)
        for lowest in (mine, other)
    ]
    return needed[1].mean() / needed[0]


def at(values: list[float], trial: int) -> float:
    """Return the value after so many trials; a shorter list stays at its last."""
    return values[min(trial, len(values)) - 1]


def to_text(result: dict[str, Any]) -> str:
    """Return the tables."""
    about = result["provenance"]
    rows = []
    for name, moments in result["summary"].items():
        rows += [[name, t, f"{item['regret']:.3f}", *_cells(item)] for t, item in moments.items() if t != "speed_up"]
    n = result["random"]
    below, above = (float(np.mean([item[side] for item in result["setups"]])) for side in ("below", "above"))
    header = ["list", "T", "regret", "95 %", "better, median", "better, worst", "beats best of 100",
              f"beats best of {n}", "setups where it is better than recommend"]  # fmt: skip
    each = [
        [f"{item['architecture']}", item["task_type"], str(item["n_layers"]), f"{item['max_params']:,}",
         *(f"{100 * at(item['lists'][name]['better'], t):.1f}%"
           for name in (OURS, OURS_UNSEEN) for t in (1, 5)),
         f"{at(item['lists'][OURS]['beats']['100'], 5):.2f}",
         f"{at(item['lists'][OURS]['beats'][str(n)], 5):.2f}"]
        for item in result["setups"]
    ]  # fmt: skip
    return f"""# Recommendations, trained for real

`python benchmarks/recommendation.py`, commit {about["commit"]}, corpus of {about["corpus"]["rows"]:,} runs in \
{about["corpus"]["setups"]} setups, SHA-256 {about["corpus"]["sha256"]}, seed {about["seed"]}. \
{len(result["setups"])} setups that the surrogate has not seen, {result["steps"]:,} training steps for everybody, {n} \
random configurations a setup, every proposal with {SEEDS} seeds.

{markdown_table(header, rows)}
{_faster(result["summary"])}

regret: 0 is the best loss that anybody reached in the setup, 1 the median of random configurations and all above;
mean over setups and seeds, 95 % by bootstrap over setups. The 90 % intervals of the {LENGTH} recommended configurations
hold {1 - below - above:.1%} of their losses, {below:.1%} lie below, {
        above:.1%} above. better: share of the random configurations that are better
than the best of the first T. beats best of k: share of setups where it more often than not is better than the best of k
random configurations.

## By setup

Share of the random configurations that are better than the first, and than the best of five; chance that the best of
five is better than the best of 100, and of {n}.

{
        markdown_table(
            [
                "architecture",
                "task",
                "layers",
                "parameters",
                "first",
                "of five",
                "task unseen: first",
                "task unseen: of five",
                "beats 100",
                f"beats {n}",
            ],
            each,
        )
    }"""


def _cells(item: dict[str, Any]) -> list[str]:
    if "regret_95" not in item:  # random configurations are only compared with
        return [""] * 6
    low, high = item["regret_95"]
    shares = [f"{item[name]:.1%}" for name in ("better_median", "better_worst")]
    return [
        f"{low:.3f} to {high:.3f}",
        *shares,
        *(f"{item[name]:.0%}" for name in ("beats_100", "beats_all", "better_than_ours")),
    ]


def _faster(summary: dict[str, Any]) -> str:
    told = [
        f"{name} {gain:.1f} ({low:.1f} to {high:.1f})"
        for name, item in summary.items()
        if "speed_up" in item and name not in (OURS, OURS_UNSEEN)
        for gain, low, high in [item["speed_up"]]
    ]
    return (
        "Times fewer trials that `recommend` needs to reach what a list has at its end, geometric mean with 95 %: "
        + "; ".join(told)
        + "."
    )


def trained(folder: RunFolder, jobs: list[Job], console: Console, what: str) -> pd.DataFrame:
    """Train what is not yet trained; return the runs in the order of the jobs."""
    folder.add(jobs)
    names = [job.name for job in jobs]
    missing = len([name for name in folder.pending() if name in names])
    if missing:
        console.print(f"{what}: {missing} of {len(names)} jobs to train")
        work_through(folder, workers=int(os.environ.get("WORKERS", "2")), names=set(names))
    return folder.collect(names)


def run(
    cache: Path, setups: list[Setup], settings: Settings, count: int, steps: int, console: Console
) -> dict[str, Any]:
    """Do everything that is not yet done; return the result."""
    corpus = load_builtin()
    runs, folder = corpus.runs, RunFolder(cache / "runs")
    for setup in setups:
        trained(folder, random_jobs(setup, count, steps), console, f"random configurations of {setup}")
    groups = [setups[first::GROUPS] for first in range(GROUPS)]
    version = corpus.sha256[:12]
    parts = [(unseen_by(runs, group), cache / f"models-{version}-{n}") for n, group in enumerate(groups)]
    tasks = sorted({item.task_type for item in setups})
    parts += [((runs["task_type"] != task).to_numpy(), cache / f"models-{version}-{task}") for task in tasks]
    console.print(f"surrogates: {len(parts)} fits")
    Parallel(n_jobs=int(os.environ.get("WORKERS", "2")))(
        delayed(fit_without)(runs[rows], target, settings) for rows, target in parts
    )
    results = []
    for number, setup in enumerate(setups):
        of_task = cache / f"models-{version}-{setup.task_type}"
        proposals, intervals = propose(
            runs, setup, cache / f"models-{version}-{number % GROUPS}", of_task, groups[number % GROUPS], steps
        )
        table = trained(folder, [proposal_job(setup, proposals)], console, f"proposals for {setup}")
        random = usable(folder.collect([job.name for job in random_jobs(setup, count, steps)]))
        results.append(judge(setup, random, proposals, usable(table).reshape(-1, SEEDS), intervals))
    return {
        "provenance": provenance(corpus, 0),
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
        trained(folder, jobs, console, "random configurations")
        return
    result = run(CACHE, judged_setups(), replace(Settings(), folds=3), RANDOM, STEPS, console)
    text = to_text(result)
    write_result("recommendation", result, text)
    print(text)


if __name__ == "__main__":
    main()
