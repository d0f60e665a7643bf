"""Does a warm start shorten a search of real trainings? Warm and cold searches side by side, on setups of no corpus.

    python benchmarks/trained_search.py             # results/trained_search.{json,md}; half an hour, resumable
    python benchmarks/trained_search.py --smoke     # half a minute, writes nothing

Six setups, one of every task and of every architecture, of 3 layers and sizes that the built-in corpus does not have;
the shipped models are asked. Every trial is a training of the same number of steps. All searches of a setup go on side
by side, a trial of each at a time, so that their networks train together; none sees another's trials.

After T trials stands the lowest loss so far, as normalised regret: 0 is the lowest that any search of the setup
reached, 1 the median of all random trials and whatever is above it. The speed-up says how many times fewer trials a
search needs to reach what cold TPE has after all of its own: the geometric mean over setups and seeds, 95 % by
bootstrap over setups. text8 is read from the path in RNN_WARMSTART_TEXT8.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from joblib import Parallel, delayed
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rnn_warmstart import recommend, warm_study
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.corpus.atomic import write_atomically
from rnn_warmstart.corpus.schema import ABSURD_LOSS
from rnn_warmstart.surrogate.library import fingerprint
from rnn_warmstart.training.runs import Job, draw_seeds, make_runs
from rnn_warmstart.training.setups import Setup

STEPS, TRIALS, SEEDS, PORTFOLIO = 300, 50, 4, 5
MOMENTS = (1, 3, 5, 10, 25, 50)
SETUPS = (
    Setup("gru", "rcf", 3, 5000),
    Setup("lstm", "text8", 3, 7000),
    Setup("+rnn", "arithmetic", 3, 2000),
    Setup("rnn", "parens_counting", 3, 2000),
    Setup("irnn", "per_cap", 3, 1500),
    Setup("ugrnn", "mem_thru", 3, 1500),
)
WARM, COLD = "warm_study", "TPE"
CACHE = Path(__file__).parent / "cache" / "trained_search"


class Question:
    """One setup, at one training length."""

    def __init__(self, setup: Setup, steps: int) -> None:
        self.setup, self.steps = setup, steps
        self.arguments = (setup.architecture, setup.task_type, setup.max_params)
        self.options = {"depth": setup.n_layers, "fixed": {"train_steps": steps}}
        self.found = recommend(*self.arguments, n=PORTFOLIO, **self.options)
        self.space = self.found.query.space.distributions()

    def warm(self, seed: int) -> optuna.Study:
        """Return the study that the package offers."""
        return warm_study(*self.arguments, n=PORTFOLIO, seed=seed, **self.options)

    def queued(self, seed: int) -> optuna.Study:
        """Return a study of TPE with the portfolio enqueued."""
        return self.found.enqueue(optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)), self.space)

    def train(self, configurations: list[dict[str, Any]], number: int) -> list[float]:
        """Train configurations together, each with a seed of its own; return their losses, infinite if diverged."""
        hparams = [item | self.found.query.space.fixed for item in configurations]
        seeds = draw_seeds(len(hparams), "trained_search", number, repr(self.setup))
        runs = make_runs(Job(self.setup, "trainer/searched", hparams, seeds, list(range(len(hparams)))))
        losses = runs["eval_loss"].to_numpy(np.float64, na_value=np.inf)
        return np.where(runs["diverged"] | ~(losses < ABSURD_LOSS), np.inf, losses).tolist()


SEARCHES: dict[str, Callable[[Question, int], optuna.Study]] = {
    WARM: Question.warm,
    "portfolio, then TPE": Question.queued,
    COLD: lambda _, seed: optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)),
    "random": lambda _, seed: optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)),
}


def search_setup(setup: Setup, steps: int, trials: int, seeds: int) -> dict[str, Any]:
    """Return the loss of every trial of every search: name -> seed -> trial; infinite where a training diverged."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    question = Question(setup, steps)
    studies = [make(question, seed) for make in SEARCHES.values() for seed in range(seeds)]
    losses: list[list[float]] = []
    for number in range(trials):
        asked = [study.ask(question.space) for study in studies]
        losses.append(question.train([dict(trial.params) for trial in asked], number))
        for study, trial, loss in zip(studies, asked, losses[-1], strict=True):
            failed = not np.isfinite(loss)
            study.tell(trial, None if failed else loss, optuna.trial.TrialState.FAIL if failed else None)
    table = np.array(losses).T.reshape(len(SEARCHES), seeds, trials)
    return {**asdict(setup), "losses": {name: part.tolist() for name, part in zip(SEARCHES, table, strict=True)}}


def kept(setup: Setup, steps: int, trials: int, seeds: int, cache: Path) -> dict[str, Any]:
    """Return `search_setup`, from the cache where it is there."""
    name = f"{setup.architecture}-{setup.task_type}-{steps}-{trials}-{seeds}-{fingerprint()[:12]}.json"
    path = cache / name
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(search_setup(setup, steps, trials, seeds)).encode())
    return json.loads(path.read_text())


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return regret after each of `MOMENTS`, the share of (setup, seed) pairs ahead of cold TPE's, and the speed-up."""
    lowest = np.array([[np.minimum.accumulate(item["losses"][name], axis=1) for name in SEARCHES] for item in results])
    best = lowest.min(axis=(1, 2, 3))[:, None, None, None]
    middle = np.array([np.median(item["losses"]["random"]) for item in results])[:, None, None, None]
    regret = (np.minimum(lowest, middle) - best) / (middle - best)  # setup, search, seed, trial
    names, trials = list(SEARCHES), regret.shape[-1]
    cold = regret[:, names.index(COLD)]
    rng = np.random.default_rng(0)
    draws = rng.integers(len(results), size=(2000, len(results)))
    table: dict[str, Any] = {}
    for row, name in enumerate(names):
        mine = regret[:, row]
        table[name] = {
            str(t): {
                "regret": float(mine[..., t - 1].mean()),
                "error": float(mine[..., t - 1].mean(axis=1).std(ddof=1) / np.sqrt(len(results)))
                if len(results) > 1
                else 0.0,
                "ahead_of_cold": float((mine[:, :, None, t - 1] < cold[:, None, :, t - 1]).mean()),
            }
            for t in MOMENTS
            if t <= trials
        }
        gains = np.log(speed_ups(mine, cold)).mean(axis=1)
        table[name]["speed_up"] = float(np.exp(gains.mean()))
        table[name]["speed_up_95"] = np.exp(np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])).tolist()
    return table


def speed_ups(regret: np.ndarray, cold: np.ndarray) -> np.ndarray:
    """Return, for each setup and seed, by how much fewer trials reach cold TPE's median end; shape (n_setups, n_seeds).

    Both of shape (n_setups, n_seeds, n_trials). Cold TPE's trials to that level are the mean over its seeds, those that
    do not reach it counting one more than all. A search that never reaches it needs one trial more than all, too.
    """
    trials = regret.shape[-1]
    level = np.median(cold[..., -1], axis=1)[:, None, None]
    mine, theirs = (
        np.where((item <= level).any(axis=-1), (item <= level).argmax(axis=-1) + 1, trials + 1)
        for item in (regret, cold)
    )
    return theirs.mean(axis=1, keepdims=True) / mine


def to_text(result: dict[str, Any]) -> str:
    """Return the tables."""
    about, summary = result["provenance"], result["summary"]
    moments = [key for key in summary[WARM] if key.isdigit()]
    rows = [
        [name, *(f"{item[t]['regret']:.3f} +- {item[t]['error']:.3f}" for t in moments),
         f"{item[moments[-1]]['ahead_of_cold']:.0%}",
         f"{item['speed_up']:.1f} ({item['speed_up_95'][0]:.1f} to {item['speed_up_95'][1]:.1f})"]
        for name, item in summary.items()
    ]  # fmt: skip
    each = []
    for item in result["setups"]:
        ends = [f"{np.median(np.min(item['losses'][name], axis=1)):.4g}" for name in SEARCHES]
        first = f"{np.median(np.array(item['losses'][WARM])[:, 0]):.4g}"
        each.append([item["architecture"], item["task_type"], f"{item['max_params']:,}", first, *ends])
    return f"""# Searches of real trainings, warm and cold

`python benchmarks/trained_search.py`, commit {about["commit"]}, models of a corpus of \
{about["corpus"]["rows"]:,} runs, SHA-256 {about["corpus"]["sha256"]}. {len(result["setups"])} setups of 3 layers that \
the corpus does not have, {result["steps"]} training steps a trial, {result["seeds"]} searches of each kind a setup.

Normalised regret after T trials, with its standard error over setups; how often a search is ahead of a cold one (TPE)
at the end; the speed-up over cold TPE, with 95 %.

{markdown_table(["search", *(f"T = {t}" for t in moments), "ahead of TPE", "speed-up"], rows)}
## Losses

Median over the searches of a kind: of the first trial of `warm_study`, and of the best of all trials.

{markdown_table(["architecture", "task", "parameters", "first warm trial", *SEARCHES], each)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one setup, few trials; writes nothing")
    parser.add_argument("--jobs", type=int, default=2, help="setups at a time")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    setups, steps, trials, seeds = (SETUPS[:1], 20, 3, 2) if arguments.smoke else (SETUPS, STEPS, TRIALS, SEEDS)
    covered = load_builtin().runs[["architecture", "task_type", "n_layers", "max_params"]].drop_duplicates()
    names = {tuple(row) for row in covered.itertuples(index=False)}
    if any((item.architecture, item.task_type, item.n_layers, item.max_params) in names for item in setups):
        raise SystemExit("The corpus has one of the setups; choose others.")
    if arguments.smoke:
        results = [search_setup(setups[0], steps, trials, seeds)]
    else:
        calls = (delayed(kept)(item, steps, trials, seeds, CACHE) for item in setups)
        results = list(Parallel(n_jobs=arguments.jobs, return_as="generator")(calls))
    result = {"provenance": provenance(load_builtin(), 0), "steps": steps, "seeds": seeds,
              "summary": summarise(results), "setups": results}  # fmt: skip
    text = to_text(result)
    if not arguments.smoke:
        write_result("trained_search", result, text)
        console.print("written: benchmarks/results/trained_search.md")
    print(text)


if __name__ == "__main__":
    main()
