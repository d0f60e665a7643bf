"""Does `recommend`'s search find the surrogate's optimum, and at which price? Against 1,000 trials of Optuna's TPE.

    OMP_NUM_THREADS=1 python benchmarks/optimum.py    # benchmarks/results/optimum.{json,md}; minutes
    python benchmarks/optimum.py --smoke              # seconds, writes nothing

Both minimise the shipped surrogate's ranking score in the same setup and space: `recommend`'s vectorised search, and
Optuna's TPE with its defaults, which asks about one configuration at a time. Times are processor time of the process;
the surrogate is loaded and was asked before. Of the search counts all that `recommend` does to find its elites, the
judgement of their neighbourhood and the trees' opinion included, which cost time and may drop the lowest score for a
sturdier one. Of TPE, the time without the calls of the surrogate stands beside the whole.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
import optuna
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rich.progress import track
from rnn_warmstart import recommend
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.recommend.forecast import scores
from rnn_warmstart.recommend.prior import SurrogatePrior
from rnn_warmstart.recommend.search import search_elites
from rnn_warmstart.surrogate.library import get_surrogate

SETUPS = (
    ("rnn", "text8", 1, 1e4),
    ("irnn", "parens_counting", 2, 1e3),
    ("ugrnn", "arithmetic", 4, 3e3),
    ("gru", "mem_thru", 1, 1e5),
    ("lstm", "rcf", 2, 1e4),
    ("+rnn", "per_cap", 4, 1e3),
)
TRIALS, SEEDS = 1000, 3


def search_with_tpe(prior: SurrogatePrior, trials: int, seed: int) -> tuple[float, float, float]:
    """Return TPE's best score, and its processor time, seconds: of all, and without the calls of the surrogate."""
    space, asking = prior.distributions, 0.0
    start = time.process_time()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(trials):
        trial = study.ask(space)
        before = time.process_time()
        score = prior.score({name: np.array([value]) for name, value in trial.params.items()}, 1)[0]
        asking += time.process_time() - before
        study.tell(trial, float(score))
    seconds = time.process_time() - start
    return study.best_value, seconds, seconds - asking


def compare(setup: tuple[str, str, int, float], trials: int, seed: int) -> dict[str, Any]:
    """Return what both find in one setup, scores, and their processor times, seconds."""
    arch, task, depth, params = setup
    found = recommend(arch, task, params, depth=depth, seed=seed)  # warm from here on
    surrogate = get_surrogate()
    start = time.process_time()
    elites = search_elites(surrogate, found.query)
    searched = time.process_time() - start
    ours = scores(surrogate, found.query, elites.units)
    best, took, alone = search_with_tpe(SurrogatePrior(found.query), trials, seed)
    return {
        "architecture": arch, "task_type": task, "n_layers": depth, "max_params": params, "seed": seed,
        "dimensions": len(found.query.space.dimensions),
        "score": float(ours.min()), "first": float(ours[0]), "tpe_score": best,
        "seconds": searched, "tpe_seconds": took, "tpe_seconds_alone": alone,
    }  # fmt: skip


def to_text(result: dict[str, Any]) -> str:
    """Return the table."""
    about, found = result["provenance"], result["searches"]
    rows = [
        [item["architecture"], item["task_type"], str(item["n_layers"]), f"{item['max_params']:,.0f}",
         str(item["seed"]), str(item["dimensions"]),
         *(f"{item[name]:.3f}" for name in ("score", "first", "tpe_score")),
         *(f"{item[name]:.2f}" for name in ("seconds", "tpe_seconds", "tpe_seconds_alone")),
         f"{item['tpe_seconds'] / item['seconds']:.0f}"]
        for item in found
    ]  # fmt: skip
    margins = np.array([item["tpe_score"] - item["score"] for item in found])
    ratios, alone = (
        np.array([item[name] / item["seconds"] for item in found]) for name in ("tpe_seconds", "tpe_seconds_alone")
    )
    header = ["architecture", "task", "layers", "parameters", "seed", "dimensions", "best score", "first's score",
              "TPE's best", "seconds", "TPE: seconds", "without the surrogate", "ratio"]  # fmt: skip
    return f"""# The surrogate's optimum

`OMP_NUM_THREADS={os.environ.get("OMP_NUM_THREADS", "(not set)")} python benchmarks/optimum.py`, commit \
{about["commit"]}, models of a corpus of {about["corpus"]["rows"]:,} runs, SHA-256 {about["corpus"]["sha256"]}, \
{result["trials"]:,} trials of TPE.

`recommend`'s search is at least as good in {np.mean(margins >= 0):.0%} of {len(found)} searches, by \
{np.median(margins):.3f} normal scores (median; {margins.min():.3f} to {margins.max():.3f}). TPE takes \
{np.median(ratios):.0f} times its processor time (median; {ratios.min():.0f} to {ratios.max():.0f}), and \
{np.median(alone):.0f} times ({alone.min():.0f} to {alone.max():.0f}) without its calls of the surrogate.

Score: lower is better, 0 an average random configuration, 1 a standard deviation among random ones. Best score: the
lowest among the elites; first's score: that of the first elite, chosen for its neighbourhood too.

{markdown_table(header, rows)}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one setup, 20 trials; writes nothing")
    smoke = parser.parse_args().smoke
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = [(setup, seed) for setup in SETUPS for seed in range(SEEDS)][: 1 if smoke else None]
    trials = 20 if smoke else TRIALS
    searches = [
        compare(setup, trials, seed)
        for setup, seed in track(asked, "searches", transient=True, console=Console(stderr=True))
    ]
    result = {"provenance": provenance(load_builtin(), 0), "trials": trials, "searches": searches}
    text = to_text(result)
    if not smoke:
        write_result("optimum", result, text)
    print(text)


if __name__ == "__main__":
    main()
