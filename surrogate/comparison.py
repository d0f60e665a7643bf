"""Samplers of hyperparameters compared on benchmarks: regret after so many trials, mean ranks, critical difference.

Notation: N benchmarks, k samplers, S seeds, T trials; l loss of the incumbent, l* the best loss known of the benchmark,
l~ the median loss of random configurations.

- Regret is (l - l*) / (l~ - l*): 0 is the best known configuration, 1 a middling random one. That makes tasks with
  different units comparable. The incumbent is the configuration with the lowest loss observed so far; its l is the
  benchmark's noise-free loss, also where the observed losses have noise.
- Ranks (1 is best) are of the regrets, averaged over the seeds, within each benchmark.
- The test is Friedman's; two samplers differ if their mean ranks do by more than Nemenyi's critical difference,
  CD = q_a sqrt(k (k + 1) / (6 N)), with q_a the upper quantile of the studentised range over sqrt(2), infinite degrees
  of freedom (Demsar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from .benchmark import Benchmark
from .boosting import Floats
from .samplers import check_sampler, make_sampler

RANDOM: Final = 2000
"""Random configurations whose median loss is regret 1."""
LEVEL: Final = 0.05
"""Level of the tests."""


@dataclass(frozen=True)
class Ranking:
    """Samplers ranked after some number of trials.

    Parameters
    ----------
    mean_ranks : ndarray of shape (k,)
        1 is best.
    p_value : float or None
        Friedman's test that all samplers are alike; None with fewer than three samplers or two benchmarks.
    critical_difference : float or None
        Nemenyi's, at `LEVEL`; None with fewer than two samplers or two benchmarks.
    """

    mean_ranks: Floats
    p_value: float | None
    critical_difference: float | None

    def groups(self) -> list[tuple[int, ...]]:
        """Return the largest groups of samplers of which no two differ, best first; none if nothing can be tested."""
        order = np.argsort(self.mean_ranks, kind="stable")
        ranks = self.mean_ranks[order]
        if self.critical_difference is None:
            return []
        ends = np.searchsorted(ranks, ranks + self.critical_difference, side="right")
        first_to_reach = np.r_[True, ends[1:] > ends[:-1]]
        spans = [(start, int(ends[start])) for start in np.flatnonzero(first_to_reach)]
        return [tuple(order[start:end].tolist()) for start, end in spans if end - start > 1]


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Parameters
    ----------
    benchmarks : tuple of Benchmark
        N of them.
    samplers : tuple of str
        k of them.
    losses : ndarray of shape (N, k, S, T)
        Loss of the incumbent after each trial, in the task's unit; NaN until a trial succeeds.
    best, typical : ndarray of shape (N,)
        l* (the benchmark's optimum, or what a sampler found if that is lower) and l~.
    noise : bool
        Whether the samplers observed losses with seed noise, and diverging trials.
    """

    benchmarks: tuple[Benchmark, ...]
    samplers: tuple[str, ...]
    losses: Floats = field(repr=False)
    best: Floats
    typical: Floats
    noise: bool

    @property
    def regret(self) -> Floats:
        """The regret after each trial, shape (N, k, S, T); 1 until a trial succeeds."""
        best, typical = self.best[:, None, None, None], self.typical[:, None, None, None]
        return np.nan_to_num((self.losses - best) / (typical - best), nan=1.0)

    @property
    def trials(self) -> int:
        """T."""
        return self.losses.shape[-1]

    def ranking(self, trials: int) -> Ranking:
        """Rank the samplers by their regret after a number of trials, 1 to T."""
        from scipy import stats

        regret = self.regret[..., trials - 1].mean(axis=2)
        ranks = stats.rankdata(regret, axis=1)
        n, k = regret.shape
        several = n >= 2 and k >= 2
        p_value = stats.friedmanchisquare(*regret.T).pvalue if several and k >= 3 and np.ptp(ranks) > 0 else None
        return Ranking(
            ranks.mean(axis=0),
            None if p_value is None else float(p_value),
            critical_difference(n, k) if several else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        last = self.ranking(self.trials)
        return {
            "samplers": list(self.samplers),
            "trials": self.trials,
            "seeds": self.losses.shape[2],
            "noise": self.noise,
            "mean_ranks": last.mean_ranks.tolist(),
            "friedman_p": last.p_value,
            "critical_difference": last.critical_difference,
            "benchmarks": [
                {
                    "arch": item.arch, "task": item.task, "depth": item.depth, "params": item.params,
                    "best_loss": self.best[row], "typical_loss": self.typical[row],
                    "incumbent_losses": {
                        name: [[None if np.isnan(x) else x for x in seed] for seed in self.losses[row, column].tolist()]
                        for column, name in enumerate(self.samplers)
                    },
                }
                for row, item in enumerate(self.benchmarks)
            ],
        }  # fmt: skip


def critical_difference(benchmarks: int, samplers: int, level: float = LEVEL) -> float:
    """Return Nemenyi's critical difference of mean ranks (see the module's notation)."""
    from scipy.stats import studentized_range

    quantile = studentized_range.ppf(1 - level, samplers, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(samplers * (samplers + 1) / (6 * benchmarks)))


def compare_samplers(
    benchmarks: Sequence[Benchmark],
    samplers: Sequence[str],
    trials: int,
    seeds: int,
    *,
    noise: bool = False,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Let every sampler search every benchmark with every seed.

    Parameters
    ----------
    benchmarks : sequence of Benchmark
    samplers : sequence of str
        Names that `make_sampler` knows.
    trials, seeds : int
        Trials a study; studies for each benchmark and sampler, with seeds 0 to seeds - 1.
    noise : bool, default False
        Whether each trial has the noise of a seed of its own, and may diverge.
    workers : int, default 1
        Processes; -1 for as many as there are cores. Their number changes nothing but the time.
    progress : callable, optional
        Called with 1 after every study.

    Raises
    ------
    ValueError, ModuleNotFoundError
        A sampler is unknown, or what it needs is not installed.
    """
    from joblib import Parallel, delayed

    for name in samplers:
        check_sampler(name)
    studies = [(item, name, seed) for item in benchmarks for name in samplers for seed in range(seeds)]
    found = []
    work = Parallel(n_jobs=workers, return_as="generator")
    for losses in work(delayed(search)(item, name, trials, seed, noise) for item, name, seed in studies):
        found.append(losses)
        if progress is not None:
            progress(1)
    losses = np.array(found).reshape(len(benchmarks), len(samplers), seeds, trials)
    known = np.array([item.optimum.loss for item in benchmarks])
    lowest = np.nan_to_num(losses, nan=np.inf).reshape(len(benchmarks), -1).min(axis=1)
    typical = np.array([_typical_loss(item) for item in benchmarks])
    return Comparison(tuple(benchmarks), tuple(samplers), losses, np.minimum(known, lowest), typical, noise)


def search(benchmark: Benchmark, sampler: str, trials: int, seed: int, noise: bool) -> Floats:
    """Run one study; return the noise-free loss of the incumbent after each trial, shape (trials,)."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # nobody asked for a line a trial
    try:
        study = optuna.create_study(sampler=make_sampler(sampler, seed))
        study.optimize(_observed(benchmark, seed * trials) if noise else benchmark.trial_objective, n_trials=trials)
    finally:
        optuna.logging.set_verbosity(level)
    observed = np.array([np.inf if trial.value is None else trial.value for trial in study.trials])
    losses = benchmark.batch(pd.DataFrame([trial.params for trial in study.trials]))
    first_of_best = np.r_[True, observed[1:] < np.minimum.accumulate(observed)[:-1]]
    incumbent = np.maximum.accumulate(np.where(first_of_best, np.arange(trials), 0))
    return np.where(np.isfinite(observed[incumbent]), losses[incumbent], np.nan)


def _observed(benchmark: Benchmark, first_seed: int) -> Callable[[Any], float]:
    return lambda trial: benchmark.objective(benchmark.suggest(trial), seed=first_seed + trial.number)


def _typical_loss(benchmark: Benchmark) -> float:
    return float(np.median(benchmark.batch(benchmark.sample(RANDOM, seed=0))))
