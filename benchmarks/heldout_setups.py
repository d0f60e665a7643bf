"""How well does the surrogate rank the runs of setups that it has not seen?

    python benchmarks/heldout_setups.py            # benchmarks/results/heldout_setups.{json,md}
    python benchmarks/heldout_setups.py --smoke    # seconds, writes nothing

Five folds by setup, seeded: the surrogate, encoder and calibration included, is fitted on four and judged on the fifth.
Its calibration takes two inner folds here (``--inner-folds``), five in the shipped models.
Beside it, in the same run, a plain LightGBM: L2 on Gaussian ranks, exact splits, the setup and the raw hyperparameters,
no derived columns. Scores are per setup, then their distribution over setups; setups with fewer than 8 runs are only
counted.
"""

from __future__ import annotations

import argparse
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rich.progress import track
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.surrogate import Settings, Surrogate, score_setups
from rnn_warmstart.surrogate.boosting import setup_folds
from rnn_warmstart.surrogate.targets import rank_scores
from sklearn.metrics import brier_score_loss, roc_auc_score

LEAST_RUNS = 8
PLAIN = {
    "objective": "l2",
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "verbosity": -1,
}


def plain_scores(surrogate: Surrogate, runs: pd.DataFrame, held_out: pd.DataFrame, rounds: int) -> np.ndarray:
    """Return the plain model's predictions for the held-out runs."""
    encoder = surrogate.encoder
    raw = [
        index
        for index, name in enumerate(encoder.features)
        if name in encoder.hyperparameters or name in ("architecture", "task_type", "n_layers", "log_max_params")
    ]
    names = [encoder.features[index] for index in raw]
    categorical = [name for name in encoder.categorical if name in names]
    data = lightgbm.Dataset(
        encoder.transform(runs)[:, raw], rank_scores(runs), feature_name=names, categorical_feature=categorical
    )
    return np.asarray(lightgbm.train(PLAIN, data, rounds).predict(encoder.transform(held_out)[:, raw]))


def evaluate(runs: pd.DataFrame, settings: Settings, folds: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores of every setup, and the held-out predictions of every run."""
    scores, predictions = [], []
    for rows in track(
        list(setup_folds(runs, folds, settings.seed)), "folds", transient=True, console=Console(stderr=True)
    ):
        known, unseen = runs[~rows], runs[rows].reset_index(drop=True)
        surrogate = Surrogate.fit(known, settings)
        predicted = surrogate.predict(unseen)
        table = score_setups(unseen, predicted)
        plain = predicted.assign(score=plain_scores(surrogate, known, unseen, settings.trees // 2))
        table[["plain_spearman", "plain_better"]] = score_setups(unseen, plain)[["spearman", "better_than_first"]]
        scores.append(table)
        predictions.append(predicted.assign(diverged=unseen["diverged"].to_numpy()))
    return pd.concat(scores), pd.concat(predictions, ignore_index=True)


def summarise(scores: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, Any]:
    """Return the figures: over all setups, by task and by architecture."""
    judged = scores[scores["runs"] >= LEAST_RUNS]
    groups = {"all": judged}
    for level in ("task_type", "architecture", "max_params"):
        groups |= {str(name): group for name, group in judged.groupby(level=level)}
    diverged = predictions["diverged"].astype(int)
    return {
        "setups_judged": len(judged),
        "setups_too_small": len(scores) - len(judged),
        "groups": {name: _figures(group) for name, group in groups.items()},
        "share_of_setups_covered_80_to_97": float(judged["coverage"].between(0.80, 0.97).mean()),
        "diverged": {
            "share": float(diverged.mean()),
            "auc": float(roc_auc_score(diverged, predictions["p_diverge"])),
            "brier": float(brier_score_loss(diverged, predictions["p_diverge"])),
        },
    }


def _figures(scores: pd.DataFrame) -> dict[str, float]:
    return {
        "setups": len(scores),
        "spearman": float(scores["spearman"].mean()),
        "spearman_min": float(scores["spearman"].min()),
        "spearman_10": float(scores["spearman"].quantile(0.1)),
        "plain_spearman": float(scores["plain_spearman"].mean()),
        "better_than_first": float(scores["better_than_first"].mean()),
        "better_than_first_median": float(scores["better_than_first"].median()),
        "plain_better": float(scores["plain_better"].mean()),
        "coverage": float(scores["coverage"].mean()),
    }


def as_text(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    header = ["setups", "number", "rho", "10 % of setups below", "lowest", "plain rho", "better than first choice",
              "the same, plain", "90 % interval covers"]  # fmt: skip
    rows = [
        [name, str(figures["setups"])]
        + [f"{figures[key]:.3f}" for key in ("spearman", "spearman_10", "spearman_min", "plain_spearman")]
        + [f"{figures[key]:.1%}" for key in ("better_than_first", "plain_better", "coverage")]
        for name, figures in result["groups"].items()
    ]
    origin, diverged = result["provenance"], result["diverged"]
    corpus = origin["corpus"]
    return (
        f"# Held-out setups\n\n`python benchmarks/heldout_setups.py --seed {origin['seed']}`, commit "
        f"{origin['commit']}, corpus of {corpus['rows']:,} runs in {corpus['setups']} setups, SHA-256 "
        f"{corpus['sha256']}.\n\nrho: Spearman's, between predicted and true rank of a setup's runs, mean over "
        f"setups. Better than first choice: share of the setup's runs that are better than the one the surrogate "
        f"puts first. {result['setups_too_small']} setups with fewer than {LEAST_RUNS} runs are not judged.\n\n"
        + markdown_table(header, rows)
        + f"\nDivergence: AUC {diverged['auc']:.3f}, Brier score {diverged['brier']:.4f} at {diverged['share']:.2%} "
        f"diverged. Intervals cover 80 to 97 % in {result['share_of_setups_covered_80_to_97']:.0%} of the setups.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inner-folds", type=int, default=2, help="folds that calibrate each fitted surrogate")
    parser.add_argument("--smoke", action="store_true", help="few runs and trees; writes nothing")
    options = parser.parse_args()
    corpus = load_builtin()
    settings = Settings(seed=options.seed, folds=options.inner_folds)
    runs, folds = corpus.runs, 5
    if options.smoke:
        settings = Settings(seed=options.seed, folds=2, trees=30, diverge_trees=10)
        runs, folds = runs[runs["source"] == "lab"].iloc[::4].reset_index(drop=True), 2
    scores, predictions = evaluate(runs, settings, folds)
    result = {"provenance": provenance(corpus, options.seed)} | summarise(scores, predictions)
    if not options.smoke:
        write_result("heldout_setups", result, as_text(result))
    print(as_text(result))


if __name__ == "__main__":
    main()
