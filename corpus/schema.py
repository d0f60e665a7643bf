"""The corpus's schema: one table, one row a run, the same columns whatever the source.

A *run* is one training. Its *setup* is (architecture, task_type, n_layers, max_params); its *configuration* is the
hyperparameters, one nullable column ``hp_<name>`` each. Nothing here lists the names of hyperparameters: a source may
bring any.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

HP_PREFIX: Final = "hp_"
HPARAMS: Final = "hparams"
"""The original's column of a run's hyperparameters, a dict."""
SETUP: Final = ("architecture", "task_type", "n_layers", "max_params")
LOSSES: Final = ("train_loss", "valid_loss", "eval_loss")
ABSURD_LOSS: Final = 1e6
"""A loss above this counts as diverged: over 50,000 times the worst trivial predictor of any task (18.21 nats)."""
UNKNOWN_SIZE: Final = 1
"""`max_params` of runs whose source records no size: they are one setup, whatever their networks hold."""
CHOSEN: Final = ("recommended", "long", "fixed-steps")
"""Last part of the `source` of runs that are no random draw from their setup's usual law: proposed by a recommender, or
trained for longer than the law allows. What is said of *random configurations* is said of the others."""

Kind = Literal["text", "integer", "number", "flag"]


@dataclass(frozen=True)
class Column:
    """One column of the schema: its kind, whether every source must bring it, its unit and meaning."""

    kind: Kind
    required: bool
    doc: str


COLUMNS: Final[dict[str, Column]] = {
    "source": Column("text", False, "where the run comes from, e.g. 'lab', 'trainer/random', 'google'"),
    "architecture": Column("text", True, "recurrent cell: rnn, irnn, ugrnn, gru, lstm, +rnn"),
    "task_type": Column("text", True, "task: text8, parens_counting, arithmetic, mem_thru, rcf, per_cap"),
    "n_layers": Column("integer", True, "depth, layers"),
    "max_params": Column("integer", True, "parameter budget of the setup, parameters"),
    "num_params": Column("integer", False, "trained parameters of the network, at most max_params"),
    "hyper_iter": Column("integer", False, "iteration of the source's own tuner, 0 upwards; late ones are not random"),
    "train_loss": Column("number", False, "final loss on the training part, in the task's unit; lower is better"),
    "valid_loss": Column("number", False, "final loss on the validation part, same unit"),
    "eval_loss": Column("number", True, "final loss on the test part, same unit; null where it is not finite"),
    "diverged": Column("flag", False, "training failed: a loss was NaN, infinite, None or above ABSURD_LOSS"),
    "seed": Column("integer", False, "seed of the run, where the source recorded it"),
    "steps_done": Column("integer", False, "training steps until the end or until divergence, steps"),
    "wall_seconds": Column("number", False, "share of one core's time that the run cost, seconds"),
}
"""The columns of a run, in order; ``hp_<name>`` columns follow, in alphabetical order."""


def hparam_columns(names: Iterable[object]) -> list[str]:
    """Return those of a table's column names that are hyperparameters (``hp_<name>``), in the given order."""
    return [name for name in names if isinstance(name, str) and name.startswith(HP_PREFIX) and name != HP_PREFIX]
