"""Does a warm start shorten a search of real trainings, and what does a misleading one cost?

    python benchmarks/trained_search.py             # results/trained_search.{json,md}; an hour
    python benchmarks/trained_search.py --misled    # results/misled_search.{json,md}; half an hour
    python benchmarks/trained_search.py --smoke     # half a minute, writes nothing; with --misled too

Warm and cold searches side by side, on setups of no corpus; the shipped models are asked. Every trial is a training of
the same number of steps. All searches of a setup go on side by side, a trial of each at a time, so that their networks
train together; none sees another's trials. Every training is kept in benchmarks/cache, by configuration and seed, so
that a run that was stopped goes on, and one after a change of a search trains only what is asked anew.

Cold rivals are Optuna's, with their defaults: TPE, the Gaussian process, CMA-ES (which has numbers only; Optuna draws
the categories at random) and random search. A training that diverged is told as failed, and teaches none of them.

After T trials stands the lowest loss so far, as normalised regret: 0 is the lowest that any search of the setup
reached, 1 the median of all random trials and whatever is above it. The speed-up says how many times fewer trials a
search needs to reach what cold TPE has after 50: the geometric mean over setups and seeds, 95 % by bootstrap over
setups. text8 is read from the path in RNN_WARMSTART_TEXT8.

Misled searches must not end worse than cold TPE. They are `warm_study`'s

    with the scores of the surrogate turned over: the first five trials are the worst that it knows;
    asked about the wrong task, of all others the one whose scores agree least with the right one's;
    with a portfolio that a history of 20 random configurations has corrected, whose losses have the wrong sign.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from joblib import Parallel, delayed
from optuna.samplers import CmaEsSampler, GPSampler, RandomSampler, TPESampler
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rnn_warmstart import recommend, warm_study
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.corpus.atomic import write_atomically
from rnn_warmstart.corpus.schema import ABSURD_LOSS
from rnn_warmstart.recommend.prior import SurrogatePrior
from rnn_warmstart.recommend.recommendation import Recommendation
from rnn_warmstart.recommend.sampler import WarmSampler
from rnn_warmstart.training.runs import Job, draw_seeds, make_runs
from rnn_warmstart.training.setups import TASK_TYPES, Setup
from scipy.stats import spearmanr
from warm_search import Turned

PORTFOLIO, HISTORY = 5, 20
MOMENTS = (1, 3, 5, 10, 25, 50, 100)
WARM, COLD, RANDOM = "warm_study", "TPE", "random"
LEVEL = 50
"""The speed-up is to what cold TPE has after so many trials."""
STARTUP = 10
"""So many trials of cold TPE are random."""
CACHE = Path(__file__).parent / "cache" / "trained_search"


class Question:
    """One setup, at one training length."""

    def __init__(self, setup: Setup, steps: int, kept: Path | None = None) -> None:
        self.setup, self.kept = setup, kept
        self.losses: dict[str, float] = json.loads(kept.read_text()) if kept is not None and kept.exists() else {}
        self.arguments = (setup.architecture, setup.task_type, setup.max_params)
        self.options: dict[str, Any] = {"depth": setup.n_layers, "fixed": {"train_steps": steps}, "n": PORTFOLIO}
        self.found = recommend(*self.arguments, **self.options)
        self.space = self.found.query.space.distributions()

    def warm(self, seed: int) -> optuna.Study:
        """Return the study that the package offers."""
        return warm_study(*self.arguments, seed=seed, **self.options)

    def queued(self, seed: int) -> optuna.Study:
        """Return a study of TPE with the portfolio enqueued."""
        return self.found.enqueue(optuna.create_study(sampler=TPESampler(seed=seed)), self.space)

    def turned(self, seed: int) -> optuna.Study:
        """Return a study that goes where the surrogate says it is worst."""
        return optuna.create_study(sampler=WarmSampler(Turned(SurrogatePrior(self.found.query), -1), seed=seed))

    def elsewhere(self, seed: int) -> optuna.Study:
        """Return a warm study of the task whose scores agree least with the right one's."""
        columns = self.found.query.space.columns(np.random.default_rng(0).random((512, len(self.space))))
        others = [
            recommend(self.setup.architecture, task, self.setup.max_params, **self.options)
            for task in TASK_TYPES
            if task != self.setup.task_type
        ]
        right, *wrong = (SurrogatePrior(item.query).score(columns, 512) for item in (self.found, *others))
        return self._study(others[int(np.argmin([spearmanr(right, item).statistic for item in wrong]))], seed)

    def contradicted(self, seed: int) -> optuna.Study:
        """Return a warm study whose portfolio a history with losses of the wrong sign has corrected."""
        space = self.found.query.space
        units = np.random.default_rng(seed).random((HISTORY, len(self.space)))
        scores = SurrogatePrior(self.found.query).score(space.columns(units), HISTORY)
        history = list(zip(space.configurations(units), -scores, strict=True))
        return self._study(recommend(*self.arguments, history=history, **self.options), seed)

    def _study(self, found: Recommendation, seed: int) -> optuna.Study:
        return found.enqueue(optuna.create_study(sampler=WarmSampler(SurrogatePrior(found.query), seed=seed)))

    def train(self, configurations: list[dict[str, Any]], seeds: list[int]) -> list[float]:
        """Return each configuration's loss with its seed, infinite if diverged; those not kept train together."""
        trainings = [
            Job(self.setup, "trainer/searched", [item | self.found.query.space.fixed], [seed], [0])
            for item, seed in zip(configurations, seeds, strict=True)
        ]
        missing = [item for item in trainings if item.name not in self.losses]
        if missing:
            together = ([part for item in missing for part in getattr(item, name)]
                        for name in ("configurations", "seeds", "hyper_iters"))  # fmt: skip
            runs = make_runs(Job(self.setup, "trainer/searched", *together))
            losses = runs["eval_loss"].to_numpy(np.float64, na_value=np.inf)
            losses = np.where(runs["diverged"] | ~(losses < ABSURD_LOSS), np.inf, losses)
            self.losses |= {item.name: float(loss) for item, loss in zip(missing, losses, strict=True)}
            if self.kept is not None:
                write_atomically(self.kept, json.dumps(self.losses).encode())
        return [self.losses[item.name] for item in trainings]


@dataclass(frozen=True)
class Plan:
    """What is searched: every search on every setup, with every seed, `trials` trainings of `steps` steps each."""

    name: str
    setups: tuple[Setup, ...]
    searches: Mapping[str, Callable[[Question, int], optuna.Study]]
    steps: int
    trials: int
    seeds: tuple[int, ...]


PLAIN = Plan(
    "trained_search",
    (
        Setup("gru", "rcf", 3, 5000),
        Setup("lstm", "text8", 3, 7000),
        Setup("+rnn", "arithmetic", 3, 2000),
        Setup("rnn", "parens_counting", 3, 2000),
        Setup("irnn", "per_cap", 3, 1500),
        Setup("ugrnn", "mem_thru", 3, 1500),
    ),
    {
        WARM: Question.warm,
        "portfolio, then TPE": Question.queued,
        COLD: lambda _, seed: optuna.create_study(sampler=TPESampler(seed=seed)),
        "GP": lambda _, seed: optuna.create_study(sampler=GPSampler(seed=seed)),
        "CMA-ES": lambda _, seed: optuna.create_study(sampler=CmaEsSampler(seed=seed, warn_independent_sampling=False)),
        RANDOM: lambda _, seed: optuna.create_study(sampler=RandomSampler(seed=seed)),
    },
    steps=300,
    trials=100,
    seeds=(0, 1, 2),
)
MISLED = Plan(
    "misled_search",
    (
        Setup("irnn", "per_cap", 2, 1500),
        Setup("ugrnn", "mem_thru", 2, 1500),
        Setup("+rnn", "arithmetic", 2, 1500),
        Setup("gru", "rcf", 2, 2000),
        Setup("lstm", "per_cap", 1, 2000),
        Setup("gru", "mem_thru", 1, 1500),
        Setup("rnn", "parens_counting", 2, 1500),
        Setup("lstm", "text8", 1, 5000),
    ),
    {
        WARM: Question.warm,
        COLD: PLAIN.searches[COLD],
        "misled: scores turned over": Question.turned,
        "misled: the wrong task": Question.elsewhere,
        "misled: history of wrong sign": Question.contradicted,
    },
    steps=200,
    trials=50,
    seeds=(0, 1),
)


def search_setup(plan: Plan, setup: Setup, cache: Path | None = None) -> dict[str, Any]:
    """Return the loss of every trial of every search: name -> seed -> trial; infinite where a training diverged."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        cache /= f"{'-'.join(map(str, asdict(setup).values()))}.json"
    question = Question(setup, plan.steps, cache)
    searches = [(name, seed) for name in plan.searches for seed in plan.seeds]
    studies = [plan.searches[name](question, seed) for name, seed in searches]
    losses: list[list[float]] = []
    for number in range(plan.trials):
        asked = [study.ask(question.space) for study in studies]
        seeds = [draw_seeds(1, "trained_search", repr(setup), number, *search)[0] for search in searches]
        losses.append(question.train([dict(trial.params) for trial in asked], seeds))
        for study, trial, loss in zip(studies, asked, losses[-1], strict=True):
            failed = not np.isfinite(loss)
            study.tell(trial, None if failed else loss, optuna.trial.TrialState.FAIL if failed else None)
    table = np.array(losses).T.reshape(len(plan.searches), len(plan.seeds), plan.trials)
    return {**asdict(setup), "losses": {name: part.tolist() for name, part in zip(plan.searches, table, strict=True)}}


def summarise(results: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Return, by search: after each of `MOMENTS` the regret, how far it is above cold TPE's, and the share of (setup,
    seed) pairs ahead of cold TPE's; the share of all T after which the mean over setups is ahead of cold TPE's, and of
    all pairs of setup and T; and the speed-up. Errors are standard errors over setups.
    """
    losses = np.array([[item["losses"][name] for name in names] for item in results])  # setup, search, seed, trial
    lowest = np.minimum.accumulate(losses, axis=-1)
    best = lowest.min(axis=(1, 2, 3))[:, None, None, None]
    cold = names.index(COLD)
    random = losses[:, names.index(RANDOM)] if RANDOM in names else losses[:, cold, :, :STARTUP]
    middle = np.median(random, axis=(1, 2))[:, None, None, None]
    regret = (np.minimum(lowest, middle) - best) / (middle - best)
    draws = np.random.default_rng(0).integers(len(results), size=(2000, len(results)))
    table: dict[str, Any] = {}
    for row, name in enumerate(names):
        mine, theirs = regret[:, row], regret[:, cold]
        table[name] = {
            str(t): {
                "regret": _mean_and_error(mine[..., t - 1]),
                "above_cold": _mean_and_error(mine[..., t - 1] - theirs[..., t - 1]),
                "ahead_of_cold": float((mine[:, :, None, t - 1] < theirs[:, None, :, t - 1]).mean()),
            }
            for t in MOMENTS
            if t <= regret.shape[-1]
        }
        apart = (mine - theirs).mean(axis=1)  # setup, trial
        table[name]["ahead_on_average"] = float((apart.mean(axis=0) < 0).mean())
        table[name]["ahead_by_setup"] = float((apart < 0).mean())
        gains = np.log(speed_ups(mine[..., :LEVEL], theirs[..., :LEVEL])).mean(axis=1)
        table[name]["speed_up"] = float(np.exp(gains.mean()))
        table[name]["speed_up_95"] = np.exp(np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])).tolist()
    return table


def _mean_and_error(values: np.ndarray) -> list[float]:
    """Return the mean, and its standard error over setups, of an array of shape (n_setups, n_seeds)."""
    means = values.mean(axis=1)
    return [float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")]


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
    about, summary, plan = result["provenance"], result["summary"], PLANS[result["plan"]]
    moments = [key for key in summary[WARM] if key.isdigit()]
    told = {
        key: [[name, *("{:.3f} +- {:.3f}".format(*item[t][key]) for t in moments)] for name, item in summary.items()]
        for key in ("regret", "above_cold")
    }
    for row, item in zip(told["regret"], summary.values(), strict=True):
        row += [f"{item[name]:.0%}" for name in ("ahead_on_average", "ahead_by_setup")]
        row += [f"{item[moments[-1]]['ahead_of_cold']:.0%}", "{:.1f} ({:.1f} to {:.1f})".format(
            item["speed_up"], *item["speed_up_95"])]  # fmt: skip
    each = []
    for item in result["setups"]:
        ends = [f"{np.median(np.min(item['losses'][name], axis=1)):.4g}" for name in summary]
        first = f"{np.median(np.array(item['losses'][WARM])[:, 0]):.4g}"
        each.append(
            [item["architecture"], item["task_type"], str(item["n_layers"]), f"{item['max_params']:,}", first, *ends]
        )
    times, others = [f"T = {t}" for t in moments], [row for row in told["above_cold"] if row[0] != COLD]
    option = " --misled" if plan is MISLED else ""
    return f"""# Searches of real trainings, {"warm, cold and misled" if plan is MISLED else "warm and cold"}

`python benchmarks/trained_search.py{option}`, commit {about["commit"]}, models of a corpus of \
{about["corpus"]["rows"]:,} runs, SHA-256 {about["corpus"]["sha256"]}. Setups that the corpus \
does not have: {len(result["setups"])}; {plan.steps} training steps a trial, {len(plan.seeds)} searches of each kind a \
setup.

Normalised regret after T trials, with its standard error over setups; the share of all T after which the mean over
setups is ahead of cold TPE's, and of all pairs of setup and T; how often one search is ahead of a cold one at the end;
the speed-up over cold TPE to what it has after {min(LEVEL, plan.trials)} trials, with 95 %.

{markdown_table(["search", *times, "ahead of TPE: T", "setup, T", "at the end", "speed-up"], told["regret"])}
## Against a cold search

Regret minus that of cold TPE, with its standard error over setups; above 0 is worse.

{markdown_table(["search", *times], others)}
## Losses

Median over the searches of a kind: of the first trial of `warm_study`, and of the best of all trials.

{markdown_table(["architecture", "task", "layers", "parameters", "first warm trial", *summary], each)}"""


PLANS = {plan.name: plan for plan in (PLAIN, MISLED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misled", action="store_true", help="searches that are misled on purpose, on other setups")
    parser.add_argument("--smoke", action="store_true", help="one setup, few trials; writes nothing")
    parser.add_argument("--jobs", type=int, default=2, help="setups at a time")
    arguments = parser.parse_args()
    plan = MISLED if arguments.misled else PLAIN
    covered = load_builtin().runs[["architecture", "task_type", "n_layers", "max_params"]].drop_duplicates()
    names = {tuple(row) for row in covered.itertuples(index=False)}
    if any((item.architecture, item.task_type, item.n_layers, item.max_params) in names for item in plan.setups):
        raise SystemExit("The corpus has one of the setups; choose others.")
    if arguments.smoke:
        quick = replace(plan, steps=20, trials=12, seeds=(0, 1))  # the GP's first ten are random
        print(to_text(told(quick, [search_setup(quick, plan.setups[0])])))
        return
    work = Parallel(n_jobs=arguments.jobs, return_as="generator")(
        delayed(search_setup)(plan, setup, CACHE) for setup in plan.setups
    )
    results: list[dict[str, Any]] = []
    for found in work:  # written as setups finish, so that a long run can be looked at
        results.append(found)
        result = told(plan, results)
        write_result(plan.name, result, to_text(result))
        Console(stderr=True).print(f"benchmarks/results/{plan.name}.md: {len(results)} of {len(plan.setups)} setups")
    print(to_text(result))


def told(plan: Plan, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is written."""
    summary = summarise(results, list(plan.searches))
    return {"provenance": provenance(load_builtin(), 0), "plan": plan.name, "steps": plan.steps,
            "seeds": len(plan.seeds), "summary": summary, "setups": results}  # fmt: skip


if __name__ == "__main__":
    main()
