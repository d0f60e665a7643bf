"""Other ways to start, as lists of configurations: what `benchmarks/recommendation.py` compares with.

Each returns complete configurations of one setup, in the order in which they would be tried, and sees no run of what is
held out.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, Final

import lightgbm
import numpy as np
import pandas as pd
from provenance import RESULTS
from rnn_warmstart.corpus import SETUP
from rnn_warmstart.corpus.schema import HP_PREFIX
from rnn_warmstart.features import Encoder
from rnn_warmstart.surrogate.targets import rank_scores, usable_loss
from rnn_warmstart.training.draws import draw_configuration, draw_configurations
from rnn_warmstart.training.setups import Setup

CANDIDATES: Final = 4000
BEST_EACH: Final = 5
"""Candidates of the portfolio: this many of the best runs of every known setup of the architecture."""
SETTINGS: Final = {"objective": "l2", "num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 20, "seed": 0,
                   "verbosity": -1, "num_threads": 1}  # fmt: skip
ROUNDS: Final = 400
STEPS: Final = "train_steps"
QUANTILE: Final = "quantile surrogate (Syne Tune)"
QUANTILE_UNSEEN: Final = f"task unseen: {QUANTILE}"
QUANTILE_FILE: Final = RESULTS / "quantile_rival.json"
Configurations = list[dict[str, Any]]


class Known:
    """What may be known of a setup that is held out: the runs of its architecture in others, at one training length."""

    def __init__(self, runs: pd.DataFrame, setup: Setup, steps: int) -> None:
        rows = (runs["architecture"] == setup.architecture).to_numpy()
        self.runs, self.setup, self.steps = runs[rows].reset_index(drop=True), setup, steps
        self.loss = usable_loss(self.runs)
        self.names = list(draw_configuration(setup.architecture, np.random.default_rng(0)))

    def configurations(self, rows: Any) -> Configurations:
        """Return the configurations of runs, with the common training length."""
        table = self.runs.loc[rows, [HP_PREFIX + name for name in self.names]]
        table.columns = pd.Index(self.names)
        found = table.astype(object).to_dict("records")
        return [{name: plain(value) for name, value in item.items()} | {STEPS: self.steps} for item in found]

    def at_length(self) -> pd.DataFrame:
        """Return the runs as if all had trained for the common length."""
        return self.runs.assign(**{HP_PREFIX + STEPS: float(self.steps)})

    @cached_property
    def model(self) -> tuple[Encoder, lightgbm.Booster]:
        """Return a plain LightGBM on the rank within the setup, over the raw columns of all known runs."""
        encoder = Encoder.fit(self.runs)
        dataset = lightgbm.Dataset(encoder.transform(self.runs), rank_scores(self.runs), params={"verbosity": -1})
        return encoder, lightgbm.train(SETTINGS, dataset, ROUNDS)


def plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def default_configuration(architecture: str) -> dict[str, Any]:
    """Return what frameworks do unless told otherwise.

    Adam with a rate of 1e-3 that stays, no decay, practically no clipping; orthogonal recurrent matrices (identity
    where that is all there is) of scale 1, input scale 1, biases 0, forget-gate bias 1.
    """
    found = draw_configuration(architecture, np.random.default_rng(0))
    chosen: dict[str, Any] = {
        "optimizer": "Adam",
        "lr_init": 1e-3,
        "lr_decay_rate": 1.0,
        "l2_decay": 1e-8,
        "optimizer_logit_momentum": float(np.log(9)),
        "gradient_clip_val": 100.0,
        "recurrent_bias_init_type": "delta",
        "forget_gate_bias_hack": 1.0,
        "activation": "tanh",
    }
    if architecture != "irnn":
        chosen["recurrent_matrix_init_type"] = "orthogonal"
    for name in found:
        if name.startswith(("input_scale", "recurrent_matrix_scale")):
            found[name] = 1.0
        elif name.startswith("recurrent_bias_scale"):
            found[name] = 0.0
    return found | {name: value for name, value in chosen.items() if name in found}


def nearest_best(known: Known, count: int) -> Configurations:
    """Return the best runs of the nearest setup of the architecture, of the same task if there is one.

    Distance: factor in layers and factor in parameters, logarithmic, summed; of several as near, all take part, by
    their place in their setup.
    """
    runs, setup = known.runs, known.setup
    same = (runs["task_type"] == setup.task_type).to_numpy()
    apart = np.abs(np.log2(runs["n_layers"].to_numpy(float) / setup.n_layers))
    apart += np.abs(np.log2(runs["max_params"].to_numpy(float) / setup.max_params))
    apart += np.where(same, 0, 1000)
    near = np.isclose(apart, apart.min())
    ranks = pd.Series(known.loss).groupby([runs[name] for name in SETUP]).rank().to_numpy()
    order = np.lexsort((known.loss, np.where(near, ranks, np.inf)))
    return known.configurations(order[:count])


def portfolio(known: Known, count: int) -> Configurations:
    """Return a greedy portfolio over the corpus, as zero-shot tools ship: its first is the best on average.

    Candidates are the best runs of every known setup of the architecture. How each would rank in every other setup is
    filled in by a plain LightGBM. Greedily, the next lowers the mean over setups of the best rank so far most.
    """
    encoder, model = known.model
    grouped = known.runs.assign(_loss=known.loss).groupby(list(SETUP), sort=True)
    rows = grouped["_loss"].nsmallest(BEST_EACH).index.get_level_values(-1)
    candidates = known.at_length().loc[rows].reset_index(drop=True)
    setups = known.runs[list(SETUP)].drop_duplicates().reset_index(drop=True)
    crossed = candidates.loc[np.repeat(np.arange(len(candidates)), len(setups))].reset_index(drop=True)
    for name in SETUP:
        crossed[name] = np.tile(setups[name].to_numpy(), len(candidates))
    scores = model.predict(encoder.transform(crossed)).reshape(len(candidates), len(setups))
    best, chosen = np.full(len(setups), np.inf), []
    for _ in range(min(count, len(candidates))):
        gained = np.minimum(scores, best).mean(axis=1)
        gained[chosen] = np.inf
        chosen.append(int(gained.argmin()))
        best = np.minimum(best, scores[chosen[-1]])
    return known.configurations(rows[chosen])


def plain_surrogate(known: Known, count: int) -> Configurations:
    """Return the best of random configurations by a plain LightGBM on the architecture's other setups."""
    encoder, model = known.model
    drawn = draw_configurations(known.setup.architecture, CANDIDATES, 0, (known.steps, known.steps))
    table = pd.DataFrame(drawn).add_prefix(HP_PREFIX)
    setup = known.setup
    table = table.assign(architecture=setup.architecture, task_type=setup.task_type, n_layers=setup.n_layers,
                         max_params=setup.max_params)  # fmt: skip
    order = np.argsort(model.predict(encoder.transform(table)), kind="stable")
    return [drawn[row] for row in order[:count]]


def quantile_surrogate(setup: Setup) -> dict[str, Configurations]:
    """Return what Syne Tune's quantile surrogate proposes in a setup, by list."""
    found = read_quantiles()["proposals"]
    return {item["list"]: item["configurations"] for item in found if item["setup"] == repr(setup)}


def read_quantiles() -> dict[str, Any]:
    """Return what `benchmarks/quantile_rival.py` wrote."""
    return json.loads(QUANTILE_FILE.read_text())
