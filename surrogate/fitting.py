"""From a corpus to a folder of models: surrogate, its runs if it needs them, and the model card."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..corpus import Corpus, write_parquet
from ..corpus.atomic import write_atomically
from .boosting import Settings
from .model import CALIBRATING, Surrogate
from .network import count_epochs
from .storage import RUNS, save_surrogate

CARD: Final = "CARD.md"


def fit_folder(
    corpus: Corpus,
    folder: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    bring_runs: bool = True,
    progress: Callable[[str, float], None] | None = None,
) -> Surrogate:
    """Fit a surrogate on a corpus and write it into a folder.

    Parameters
    ----------
    corpus : Corpus
        At least as many setups as `settings.folds`.
    folder : path
        Made if needed.
    settings : Settings, optional
        Default: `Settings()`.
    bring_runs : bool, default True
        Whether the corpus is written beside the models, as the evidence of recommendations. The built-in corpus lies in
        the package already.
    progress : callable, optional
        Called with (what is being done, share done).

    Raises
    ------
    ValueError
        The corpus has too few setups.
    """
    provenance = {"rows": len(corpus), "setups": corpus.summary.setups, "sha256": corpus.sha256}
    surrogate = Surrogate.fit(corpus.runs, settings, provenance, progress)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if bring_runs:
        write_parquet(corpus, target / RUNS)
    else:
        (target / RUNS).unlink(missing_ok=True)
    save_surrogate(surrogate, target)
    write_atomically(target / CARD, write_card(surrogate).encode())
    return surrogate


def write_card(surrogate: Surrogate) -> str:
    """Return the model card: what the models are, on what they were fitted, what was measured where."""
    corpus, settings, network = surrogate.corpus, surrogate.settings, surrogate.settings.network
    drawn = f", on {CALIBRATING:,} runs drawn at random" if corpus["rows"] > CALIBRATING else ""
    epochs = count_epochs(corpus["rows"], network)
    return f"""# Model card

Gradient-boosted trees (LightGBM) and multilayer perceptrons that predict the outcome of an RNN training run from its
configuration and setup.

| | |
|---|---|
| corpus | {corpus["rows"]:,} runs in {corpus["setups"]:,} setups, SHA-256 {corpus["sha256"]} |
| features | {len(surrogate.encoder.features)}, listed in surrogate.json |
| trees | {settings.trees} for rank and loss, {settings.diverge_trees} for divergence |
| networks | {network.members} of {network.layers} layers of {network.units} units, {epochs} epochs |
| seed | {settings.seed} |

## Models and targets

Losses have heavy tails and differ in unit from task to task, so no model is fitted on a loss.

- `rank.txt` (L2): normal score of the run's rank within its setup, among the setup's random runs; diverged runs rank
  last.
- `loss.txt` (L2): normal score of the run's loss within its task; it goes back to the task's unit through the task's
  quantiles. Predictions never leave what the task's runs reached.
- `networks.npy` (cross-entropy over {network.bins} bins): the distributions of both scores, whose means are the
  predictions and whose standard deviations say how far off they may be. They give the scores of known architectures and
  tasks; trees share in those of unseen ones, and say which runs are alike.
- `diverge.txt` (log loss): whether the run diverged.

The ranking score is the mean of rank and loss score. What trees, networks and other models reach under the same
protocol is printed by `python benchmarks/protocol.py` and lies in `benchmarks/results/protocol.md`; choices of targets
and splits of the trees are compared by `python benchmarks/surrogate_choices.py`, those of the networks' form, what did
not help, and what fewer runs would cost by `python benchmarks/network_choices.py`.

## Calibration

On cross-fitted predictions{drawn} ({settings.folds} folds, no setup in two of them): conformal intervals from \
errors in units of their predicted size (stretched by size class and architecture first), by task and predicted \
level; isotonic regression for the expected rank among random configurations and for the risk to diverge. What \
held-out setups, tasks, architectures, sizes, depths and lengths give is in `benchmarks/results/protocol.md` too.

## Limits

- Intervals hold on average over setups like the corpus's, not for every setup, and not outside its sizes, depths and
  training lengths: there, predictions are those of the nearest that the corpus covers, and `recommend` says so.
- The expected rank cannot be finer than the number of runs a setup has.
- The tasks are small; larger data and longer trainings may prefer other configurations.
"""
