"""Does a warm start shorten the search? Warm and cold samplers on setups that the surrogate has not seen.

    python benchmarks/warm_search.py             # benchmarks/results/warm_search.{json,md}; an hour
    python benchmarks/warm_search.py --smoke     # a minute, writes nothing

The truth is an oracle of another family than the surrogate: extremely randomised trees (scikit-learn) fitted on one
setup's own runs alone, of the normal score of their loss among these runs. The surrogate that seeds the searches is
fitted without any of the judged setups (it is smaller than the shipped one). Everybody trains for the same number of
steps, the most that the space allows.

Regret after T trials is (l - l*) / (l~ - l*): l the lowest oracle value so far, l* the lowest that anybody and a search
of the oracle found, l~ the median of random configurations. 0 is the best, 1 a middling random configuration.

Safeguard: *misled* is the warm sampler with the surrogate's scores negated, so that it begins with the worst that there
is. It must not end up worse than cold TPE by more than the standard error of the difference.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from joblib import Parallel, delayed
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rich.progress import track
from rnn_warmstart.corpus import SETUP, load_builtin
from rnn_warmstart.corpus.schema import HP_PREFIX
from rnn_warmstart.recommend import recommend
from rnn_warmstart.recommend.correction import normal_scores
from rnn_warmstart.recommend.cube import Cube, encode
from rnn_warmstart.recommend.prior import Columns, SurrogatePrior
from rnn_warmstart.recommend.sampler import WarmSampler
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate
from rnn_warmstart.surrogate.evolution import evolve
from rnn_warmstart.surrogate.storage import save_surrogate
from rnn_warmstart.surrogate.targets import usable_loss
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import ExtraTreesRegressor

Floats = np.ndarray
MOMENTS = (1, 3, 5, 10, 25, 50)
ENOUGH = 100
SPREADS = tuple(np.geomspace(0.2, 0.01, 20).tolist())
SMALLER = Settings(trees=300, folds=2, network=NetworkSettings(members=1, epochs=10))
QUICK = Settings(trees=20, diverge_trees=5, folds=2,
                 network=NetworkSettings(units=16, layers=1, members=1, epochs=2))  # fmt: skip
CACHE = Path(__file__).parent / "cache"


class Oracle:
    """The truth of one setup: trees fitted on its runs, over the space that the searches share."""

    def __init__(self, runs: pd.DataFrame, cube: Cube, steps: float, seed: int) -> None:
        self.cube, self._steps = cube, np.log(steps)
        scores = normal_scores(usable_loss(runs))
        inputs = np.column_stack([self._inputs(runs), np.log(runs[HP_PREFIX + "train_steps"].to_numpy(np.float64))])
        trees = ExtraTreesRegressor(300, min_samples_leaf=2, max_features=0.5, bootstrap=True, oob_score=True,
                                    random_state=seed, n_jobs=1)  # fmt: skip
        self._trees = trees.fit(inputs, scores)
        self.quality = float(spearmanr(trees.oob_prediction_, scores).statistic)

    def _inputs(self, runs: pd.DataFrame) -> Floats:
        configs = [
            {axis.name: row[HP_PREFIX + axis.name] for axis in self.cube.axes} for row in runs.to_dict("records")
        ]
        return encode(self.cube.units(configs), self.cube.sizes)

    def judge(self, units: Floats) -> Floats:
        """Return the value of points of the cube, shape (n,)."""
        points = encode(units, self.cube.sizes)
        return self._trees.predict(np.column_stack([points, np.full(len(points), self._steps)]))

    def trial(self, trial: optuna.Trial) -> float:
        """Suggest and judge."""
        params = {axis.name: trial._suggest(axis.name, axis.distribution) for axis in self.cube.axes}
        return float(self.judge(self.cube.units([params]))[0])

    def extremes(self, seed: int) -> tuple[float, float]:
        """Return (lowest value that a search finds, median of random ones)."""
        rng = np.random.default_rng(seed)
        _, values = evolve(self.judge, len(self.cube), SPREADS, rng)
        return float(values.min()), float(np.median(self.judge(rng.random((2000, len(self.cube))))))


@dataclass(frozen=True)
class Turned:
    """A prior with its scores multiplied: -1 misleads, 0 says nothing."""

    prior: SurrogatePrior
    factor: float

    @property
    def distributions(self) -> dict[str, Any]:
        """Those of the prior."""
        return self.prior.distributions

    def score(self, columns: Columns, n: int) -> Floats:
        """Return the scores, multiplied."""
        return self.factor * self.prior.score(columns, n)


@dataclass(frozen=True)
class Start:
    """What a setup's searches share."""

    oracle: Oracle
    prior: SurrogatePrior
    portfolio: list[Mapping[str, Any]]

    def queued(self, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        """Return a study with the portfolio enqueued."""
        study = optuna.create_study(sampler=sampler)
        for params in self.portfolio:
            study.enqueue_trial(dict(params))
        return study


SEARCHES: dict[str, Callable[[Start, int], optuna.Study]] = {
    "warm_study": lambda start, seed: start.queued(WarmSampler(start.prior, seed=seed)),
    "warm sampler alone": lambda start, seed: optuna.create_study(sampler=WarmSampler(start.prior, seed=seed)),
    "portfolio, then TPE": lambda start, seed: start.queued(optuna.samplers.TPESampler(seed=seed)),
    "TPE": lambda start, seed: optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)),
    "random": lambda start, seed: optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)),
    "without a prior": lambda start, seed: optuna.create_study(sampler=WarmSampler(Turned(start.prior, 0), seed=seed)),
    "misled": lambda start, seed: optuna.create_study(sampler=WarmSampler(Turned(start.prior, -1), seed=seed)),
}


def held_out(runs: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Choose setups with enough runs, as many of each task as of any other; one row a setup."""
    sizes = runs.groupby(list(SETUP), sort=True).size().reset_index(name="runs")
    many = sizes[sizes["runs"] >= ENOUGH].sample(frac=1, random_state=seed)
    return many[many.groupby("task_type").cumcount() < -(-count // many["task_type"].nunique())].head(count)


def make_start(runs: pd.DataFrame, setup: Mapping[str, Any], models: Path, seed: int) -> tuple[Start, dict[str, Any]]:
    """Return what a setup's searches share, and how good oracle and surrogate are there."""
    question = (setup["architecture"], setup["task_type"], float(setup["max_params"]))
    depth = int(setup["n_layers"])
    steps = max(item.high for item in recommend(*question, depth=depth, n=1, models=models).query.space.dimensions
                if item.name == "train_steps")  # fmt: skip
    found = recommend(*question, depth=depth, n=5, models=models, fixed={"train_steps": int(steps)}, seed=seed)
    prior = SurrogatePrior(found.query, models)
    cube = Cube(prior.distributions)
    oracle = Oracle(runs, cube, steps, seed)
    points = np.random.default_rng(seed).random((1000, len(cube)))
    agreement = float(spearmanr(oracle.judge(points), prior.score(cube.columns(points), 1000)).statistic)
    quality = {"runs": len(runs), "oracle_spearman": oracle.quality, "surrogate_spearman": agreement}
    return Start(oracle, prior, [item.hparams for item in found]), quality


def search_setup(
    runs: pd.DataFrame, setup: dict[str, Any], models: Path, names: list[str], seeds: int, trials: int
) -> dict[str, Any]:
    """Return the lowest value after each trial, by search: lists of seeds; and the setup's extremes."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.disable(logging.WARNING)
    start, quality = make_start(runs, setup, models, 0)
    best, typical = start.oracle.extremes(0)
    curves: dict[str, list[list[float]]] = {}
    for name in names:
        for seed in range(seeds):
            study = SEARCHES[name](start, seed)
            study.optimize(start.oracle.trial, n_trials=trials)
            values = np.minimum.accumulate([trial.value for trial in study.trials])
            curves.setdefault(name, []).append(values.tolist())
    lowest = min(best, *(seed[-1] for item in curves.values() for seed in item))
    return {**setup, **quality, "best": lowest, "typical": typical, "curves": curves}


def summarise(results: list[dict[str, Any]], names: list[str], trials: int) -> dict[str, Any]:
    """Return regret and mean rank with standard errors over setups, after each of `MOMENTS`, and the safeguard."""
    curves = np.array([[item["curves"][name] for name in names] for item in results])  # setup, search, seed, trial
    best, typical = (np.array([item[key] for item in results])[:, None, None, None] for key in ("best", "typical"))
    regret = ((curves - best) / (typical - best)).mean(axis=2)  # setup, search, trial
    ranks = rankdata(regret, axis=1)
    moments = [moment for moment in MOMENTS if moment <= trials]
    table = {
        name: {
            str(moment): {
                "regret": _mean_and_error(regret[:, row, moment - 1]),
                "rank": _mean_and_error(ranks[:, row, moment - 1]),
            }
            for moment in moments
        }
        for row, name in enumerate(names)
    }
    end = regret[:, :, -1]
    loss = end[:, names.index("misled")] - end[:, names.index("TPE")]
    better = {
        name: {str(moment): float((regret[:, 0, moment - 1] < regret[:, row, moment - 1]).mean()) for moment in moments}
        for row, name in enumerate(names)
        if row
    }
    return {
        "searches": table,
        "warm_study_better": better,
        "trials_saved": _trials_saved(curves, names),
        "misled_minus_tpe": _mean_and_error(loss),
    }


def _trials_saved(curves: Floats, names: list[str]) -> dict[str, float | None]:
    """Return in how many trials warm_study reaches what TPE has at the end: quartiles over setups and seeds."""
    target = curves[:, names.index("TPE"), :, -1].mean(axis=1)[:, None, None]
    reached = curves[:, 0] <= target
    count = np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1, np.inf)
    quartiles = np.quantile(count, (0.25, 0.5, 0.75), method="higher")
    return {
        f"{share:.0%}": float(x) if np.isfinite(x) else None
        for share, x in zip((0.25, 0.5, 0.75), quartiles, strict=True)
    }


def _mean_and_error(values: Floats) -> list[float]:
    return [float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")]


def as_text(summary: dict[str, Any], results: list[dict[str, Any]], origin: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    moments = list(next(iter(summary["searches"].values())))
    tables = {}
    for key, digits in (("regret", 3), ("rank", 2)):
        rows = [
            [name, *("{:.{d}f} ± {:.{d}f}".format(*found[moment][key], d=digits) for moment in moments)]
            for name, found in summary["searches"].items()
        ]
        tables[key] = markdown_table(["search", *(f"T = {moment}" for moment in moments)], rows)
    oracle, surrogate = (
        np.median([item[key] for item in results]) for key in ("oracle_spearman", "surrogate_spearman")
    )
    better = [
        [name, *(f"{found[moment]:.0%}" for moment in moments)] for name, found in summary["warm_study_better"].items()
    ]
    misled, saved = summary["misled_minus_tpe"], summary["trials_saved"]
    quartiles = ", ".join(f"{share} {_count(x)}" for share, x in saved.items())
    return (
        f"# Warm and cold searches\n\n`python benchmarks/warm_search.py`, commit {origin['commit']}, {len(results)} "
        f"setups that the surrogate has not seen, seeds: {origin['seeds']}; corpus SHA-256 "
        f"{origin['corpus']['sha256']}. Oracle: extremely randomised trees on the setup's own runs (out-of-bag rank "
        f"correlation {oracle:.2f}, median; with the surrogate's scores of random configurations {surrogate:.2f}).\n\n"
        f"Normalised regret (0: best known, 1: middling random one), mean and standard error over setups:\n\n"
        f"{tables['regret']}\nMean rank of the regrets, 1 is best:\n\n{tables['rank']}\n"
        f"Share of setups in which warm_study has the lower regret:\n\n"
        f"{markdown_table(['than', *(f'T = {moment}' for moment in moments)], better)}\n"
        f"Trials that warm_study takes to what TPE has at the end (quartiles over setups and seeds; none: not in as "
        f"many): {quartiles}.\n\n"
        f"Safeguard: final regret of the misled sampler minus that of TPE: {misled[0]:+.3f} ± {misled[1]:.3f}.\n"
    )


def _count(trials: float | None) -> str:
    return "none" if trials is None else f"{trials:.0f}"


def fitted_without(runs: pd.DataFrame, chosen: pd.DataFrame, settings: Settings, folder: Path) -> Path:
    """Fit a surrogate without some setups, into a folder, unless it is there."""
    if not (folder / "registry.json").exists():
        seen = ~pd.MultiIndex.from_frame(runs[list(SETUP)]).isin(pd.MultiIndex.from_frame(chosen[list(SETUP)]))
        with Console(stderr=True).status("fitting the surrogate without the judged setups"):
            surrogate = Surrogate.fit(runs[seen].reset_index(drop=True), settings, {"rows": int(seen.sum())})
        folder.mkdir(parents=True, exist_ok=True)
        save_surrogate(surrogate, folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setups", type=int, default=18)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--search", action="append", choices=list(SEARCHES), help="default: all; writes nothing")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="two setups, few trials, a poor surrogate; writes nothing")
    options = parser.parse_args()
    corpus, settings = load_builtin(), SMALLER
    runs = corpus.runs[~corpus.runs["source"].astype(str).str.endswith("/recommended")].reset_index(drop=True)
    names = (
        list(SEARCHES)
        if options.search is None
        else sorted({*options.search, "TPE", "misled", "warm_study"}, key=list(SEARCHES).index)
    )
    if options.smoke:
        options.setups, options.seeds, options.trials, settings = 2, 1, 6, QUICK
    chosen = held_out(runs, options.setups, 0)
    name = f"warm_search_{options.setups}"
    folder = Path(tempfile.mkdtemp()) if options.smoke else CACHE / name
    models = fitted_without(runs, chosen, settings, folder)
    codes = pd.MultiIndex.from_frame(runs[list(SETUP)])
    jobs = [(runs[codes == tuple(row[key] for key in SETUP)], row) for row in chosen.to_dict("records")]
    work = Parallel(n_jobs=options.jobs, return_as="generator")(
        delayed(search_setup)(mine, setup, models, names, options.seeds, options.trials) for mine, setup in jobs
    )
    origin = provenance(corpus, 0) | {"seeds": options.seeds, "settings": settings.to_dict()}
    results: list[dict[str, Any]] = []
    for found in track(work, "searching", total=len(jobs), transient=True, console=Console(stderr=True)):
        results.append(found)
        summary = summarise(results, names, options.trials)
        text = as_text(summary, results, origin)
        if not options.smoke and options.search is None:  # as setups finish, so that a long run can be looked at
            write_result("warm_search", {"provenance": origin, "summary": summary, "setups": results}, text)
    print(text)


if __name__ == "__main__":
    main()
