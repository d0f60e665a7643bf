"""What Syne Tune's quantile surrogate with Thompson sampling would try first, for `benchmarks/recommendation.py`.

    pip install '.[training,synetune]' huggingface_hub
    python benchmarks/quantile_rival.py    # benchmarks/results/quantile_rival.json; ten minutes

The package itself, with its defaults (Salinas, Shen and Perrone, ICML 2020): XGBoost on the normal scores of the losses
within each known setup, then draws of the scores of 100,000 random configurations; the lowest of a draw is tried. It
takes no feedback, so that its proposals are a list like every other. It sees what the other rivals see: the runs of the
architecture outside the held-out setups, or outside the task. It knows no sizes and no tasks, so that one fit answers
for all setups that leave the same runs out. The training length is one of its features, and that of its candidates the
common one.

Syne Tune's zero-shot scheduler is not beside it: it needs every configuration to have been run in every setup.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import optuna
import pandas as pd
from provenance import provenance
from recommendation import GROUPS, LENGTH, STEPS, judged_setups, unseen_by
from rich.console import Console
from rivals import QUANTILE, QUANTILE_FILE, QUANTILE_UNSEEN, Configurations, Known, plain
from rnn_warmstart import recommend
from rnn_warmstart.corpus import SETUP, load_builtin
from rnn_warmstart.corpus.atomic import write_atomically
from rnn_warmstart.corpus.schema import HP_PREFIX
from rnn_warmstart.training.setups import Setup
from syne_tune import config_space
from syne_tune.optimizer.schedulers.transfer_learning.quantile_based.quantile_based_searcher import (
    QuantileBasedSurrogateSearcher,
)
from syne_tune.optimizer.schedulers.transfer_learning.transfer_learning_task_evaluation import (
    TransferLearningTaskEvaluations,
)

FEWEST = 8
"""Runs of a setup that it learns from: quantiles of fewer say little, and of one are not defined."""


def left_out(runs: pd.DataFrame, setups: list[Setup]) -> dict[str, Callable[[int], np.ndarray]]:
    """Return, by list, which runs may be seen when a setup, by its number, is held out."""
    return {
        QUANTILE: lambda number: unseen_by(runs, setups[number % GROUPS :: GROUPS]),
        QUANTILE_UNSEEN: lambda number: (runs["task_type"] != setups[number].task_type).to_numpy(),
    }


def search_space(setup: Setup) -> dict[str, Any]:
    """Return the whole space of the setup for Syne Tune; what has one value only is there as this value."""
    asked = recommend(setup.architecture, setup.task_type, setup.max_params, depth=setup.n_layers,
                      fixed={"train_steps": STEPS})  # fmt: skip
    space: dict[str, Any] = dict(asked.query.space.fixed)
    for name, values in asked.query.space.distributions().items():
        if isinstance(values, optuna.distributions.CategoricalDistribution):
            space[name] = config_space.choice(list(values.choices))
        else:
            space[name] = (config_space.loguniform if values.log else config_space.uniform)(values.low, values.high)
    return space


def propose(known: Known) -> Iterator[dict[str, Any]]:
    """Yield what the searcher suggests, without end; no configuration twice."""
    space = search_space(known.setup)
    words = {name: value for name, value in space.items() if isinstance(value, str)}  # it takes constants for numbers
    space = {name: value for name, value in space.items() if name not in words}
    evaluations = {}
    for number, (_, runs) in enumerate(known.runs.assign(loss=known.loss).groupby(list(SETUP))):
        if len(runs) >= FEWEST:
            hparams = runs[[HP_PREFIX + name for name in space]].set_axis(list(space), axis=1).reset_index(drop=True)
            losses = runs["loss"].to_numpy()[:, None, None, None]
            evaluations[str(number)] = TransferLearningTaskEvaluations(space, hparams, ["loss"], losses)
    searcher = QuantileBasedSurrogateSearcher(space, evaluations, random_seed=0)
    suggested: Configurations = []
    while True:
        item = {name: plain(value) for name, value in searcher.suggest().items()} | words
        if item not in suggested:
            suggested.append(item)
            yield item


def main() -> None:
    corpus, setups, console = load_builtin(), judged_setups(), Console(stderr=True)
    origin = provenance(corpus, 0)
    origin["libraries"] |= {name: version(name) for name in ("syne-tune", "xgboost")}
    proposals: list[dict[str, Any]] = []
    for name, seen in left_out(corpus.runs, setups).items():
        fitted: dict[tuple[str, bytes], Iterator[dict[str, Any]]] = {}
        for number, setup in enumerate(setups):
            rows = seen(number)
            key = (setup.architecture, rows.tobytes())
            if key not in fitted:
                console.print(f"{name}: {setup}")
                fitted[key] = propose(Known(corpus.runs[rows], setup, STEPS))
            configurations = [next(fitted[key]) for _ in range(LENGTH)]
            proposals.append({"setup": repr(setup), "list": name, "configurations": configurations})
        result = {"provenance": origin, "steps": STEPS, "proposals": proposals}
        write_atomically(QUANTILE_FILE, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
