"""Why the surrogate's trees are built as they are: targets, splits and features compared on held-out setups.

    python benchmarks/surrogate_choices.py            # benchmarks/results/surrogate_choices.{json,md}
    python benchmarks/surrogate_choices.py --smoke    # seconds, writes nothing

Cross-fitted over five folds by setup on the lab's runs (32 in every setup, so that the setups weigh the same); scores
are per setup, then their mean. Shipped: the mean of rank and loss score, derived columns, and exact splits. Random ones
are better on these few runs; where they are many, exact ones rank unseen tasks better, by more than they lose on unseen
architectures: `protocol.py` compares both there ("LightGBM, L2, loss score" with random splits and without).
"""

from __future__ import annotations

import argparse
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from competitors import raw_columns
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rich.progress import track
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.features import Encoder
from rnn_warmstart.surrogate import Settings, score_setups
from rnn_warmstart.surrogate.boosting import setup_folds
from rnn_warmstart.surrogate.model import ranking_score
from rnn_warmstart.surrogate.targets import LossScale, rank_quantiles, rank_scores, usable_loss


def clipped_log_loss(runs: pd.DataFrame) -> np.ndarray:
    """Return log losses in units of the task's spread, clipped at three quartile distances above the median."""
    logs = pd.Series(np.log(np.clip(usable_loss(runs), 1e-4, 1e3)))
    by_task = logs.groupby(runs["task_type"].to_numpy())
    middle, upper = by_task.transform("median"), by_task.transform(lambda values: values.quantile(0.75))
    clipped = np.minimum(logs, middle + 3 * (upper - middle) + 0.3)
    return ((clipped - middle) / clipped.groupby(runs["task_type"].to_numpy()).transform("std")).to_numpy()


def cross_fit(
    matrix: np.ndarray,
    target: np.ndarray,
    runs: pd.DataFrame,
    names: list[str],
    categorical: list[str],
    parameters: dict[str, Any],
    rounds: int,
) -> np.ndarray:
    """Return predictions of models that have not seen the run's setup."""
    predicted = np.empty(len(runs))
    for rows in setup_folds(runs, 5, 0):
        data = lightgbm.Dataset(matrix[~rows], target[~rows], feature_name=names, categorical_feature=categorical)
        predicted[rows] = lightgbm.train(parameters, data, rounds).predict(matrix[rows])
    return predicted


def candidate_targets(runs: pd.DataFrame) -> dict[str, tuple[np.ndarray, str]]:
    """Return name -> (target, LightGBM objective)."""
    rank, logs = rank_scores(runs), clipped_log_loss(runs)
    return {
        "rank score": (rank, "l2"),
        "rank score, L1": (rank, "l1"),
        "rank score, Huber": (rank, "huber"),
        "rank quantile": (rank_quantiles(runs), "l2"),
        "loss score": (LossScale.fit(runs).scores(runs), "l2"),
        "clipped log loss": (logs, "l2"),
        "clipped log loss, L1": (logs, "l1"),
        "clipped log loss, Huber": (logs, "huber"),
    }


def fit_all(runs: pd.DataFrame, rounds: int) -> dict[tuple[str, bool, bool], np.ndarray]:
    """Return (target, random splits, derived columns) -> held-out predictions."""
    encoder, targets = Encoder.fit(runs), candidate_targets(runs)
    whole = encoder.transform(runs)
    ways = ((True, True), (False, True), (True, False), (False, False))
    plans = [(name, True, True) for name in targets]
    plans += [(name, *way) for name in ("rank score", "loss score") for way in ways[1:]]
    fitted: dict[tuple[str, bool, bool], np.ndarray] = {}
    for name, random_splits, derived in track(plans, "fitting", transient=True, console=Console(stderr=True)):
        names = list(encoder.features) if derived else raw_columns(encoder)
        columns = [encoder.features.index(feature) for feature in names]
        target, objective = targets[name]
        parameters = Settings().parameters("rank") | {"objective": objective, "extra_trees": random_splits}
        fitted[name, random_splits, derived] = cross_fit(
            whole[:, columns], target, runs, names, encoder.categorical, parameters, rounds
        )
    for way in ways:
        both = ranking_score(fitted["rank score", *way], fitted["loss score", *way])
        fitted["mean of rank and loss score", *way] = both
    return fitted


def judge(runs: pd.DataFrame, choice: tuple[str, bool, bool], predicted: np.ndarray) -> dict[str, Any]:
    """Return one row of the table."""
    scores = score_setups(runs, pd.DataFrame({"score": predicted, "low": 0.0, "high": 0.0}))
    return {
        "target": choice[0],
        "splits": "random" if choice[1] else "exact",
        "derived columns": "yes" if choice[2] else "no",
        "rho": scores["spearman"].mean(),
        "better than first choice": scores["better_than_first"].mean(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few runs and trees; writes nothing")
    smoke = parser.parse_args().smoke
    corpus = load_builtin()
    runs = corpus.runs[corpus.runs["source"] == "lab"].reset_index(drop=True)
    runs = runs.iloc[::8].reset_index(drop=True) if smoke else runs
    table = [judge(runs, *item) for item in fit_all(runs, 20 if smoke else 800).items()]
    table.sort(key=lambda row: -row["rho"])
    origin = provenance(corpus, 0)
    formats = {"rho": "{:.4f}", "better than first choice": "{:.1%}"}
    rows = [[formats.get(name, "{}").format(value) for name, value in row.items()] for row in table]
    text = (
        f"# Choices behind the surrogate\n\n`python benchmarks/surrogate_choices.py`, commit {origin['commit']}, "
        f"{len(runs):,} runs of source lab, corpus SHA-256 {origin['corpus']['sha256']}, seed 0.\n\n"
        + markdown_table(list(table[0]), rows)
    )
    if not smoke:
        write_result("surrogate_choices", {"provenance": origin, "choices": table}, text)
    print(text)


if __name__ == "__main__":
    main()
