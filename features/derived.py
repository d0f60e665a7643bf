"""Columns that a practitioner would compute before judging a configuration.

Notation: T training steps, lr_0 initial learning rate, d decay rate, so that lr(t) = lr_0 d^(t/T); m momentum.

- The mean learning rate of that schedule is lr_0 (1 - d) / (-ln d), the integral of lr(t) over [0, T], divided by T.
- A heavy-ball momentum m multiplies the step that a constant gradient makes by 1 / (1 - m) in the long run; so the
  *effective* learning rate of SGD with momentum is lr / (1 - m). Adam and RMSProp divide by the gradient's own size,
  so their learning rates live on another scale: their columns stand apart.
- Per-gate hyperparameters have other names in each cell. `candidate` is the gate that computes the new state, `keep`
  the one that keeps the old; under these two names they mean the same in every architecture, and a model can carry
  over what it learned from one to another.
- A gated cell whose recurrent matrices start as the identity does not use its recurrent scales.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .architecture import ARCHITECTURES

Numbers = Any
"""A column, an NDArray[np.float64] of shape (n_rows,), or the one float of a single row; every formula takes both."""
Names = NDArray[np.object_] | str
"""The same of categories: a column, or one text."""
FAMILIES: Final = ("input_scale", "recurrent_matrix_scale", "recurrent_bias_scale")
"""Hyperparameters that a cell has once a gate, as ``<family>_<gate>`` (``<family>`` alone in a cell of one block)."""
ROLES: Final = {family: {role: f"{role}_{family}" for role in ("candidate", "keep", "mean")} for family in FAMILIES}
"""Names of the derived columns of each family, by what their gate does in the cell."""
PER_GATE: Final = {
    cell.name: {family: [f"{family}_{gate}" if gate else family for gate in cell.gates] for family in FAMILIES}
    for cell in ARCHITECTURES.values()
}
"""Names of the hyperparameters of each architecture and family, in the order of the cell's gates."""


def derive(
    get: Callable[[str], Numbers],
    log: Callable[[str], Numbers],
    name: Callable[[str], Names],
    log_units: Numbers,
    log_params: Numbers,
) -> dict[str, Numbers]:
    """Return the derived columns, each of shape (n_rows,); NaN where a row lacks what a column needs.

    Parameters
    ----------
    get : callable
        Hyperparameter name -> its values on their natural scale; all NaN where the corpus has none.
    log : callable
        Hyperparameter name -> the natural logs of the same values.
    name : callable
        Name of a category (``"architecture"``, or a hyperparameter) -> its values as lower-case text, "" for null.
    log_units, log_params : ndarray of shape (n_rows,), or float
        Natural logs of the hidden units a layer and of the parameter budget.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        training = _training(get, log, name("optimizer"), log_units, log_params)
        return training | _gates(get, log, name, log_units * np.nan)


def _training(
    get: Callable[[str], Numbers],
    log: Callable[[str], Numbers],
    optimizer: Names,
    log_units: Numbers,
    log_params: Numbers,
) -> dict[str, Numbers]:
    rate, decay, steps = log("lr_init"), log("lr_decay_rate"), log("train_steps")
    momentum = 1 / (1 + np.exp(-get("optimizer_logit_momentum")))
    heavy_ball = _contains(optimizer, "momentum")
    adaptive = (optimizer == "adam") | (optimizer == "rmsprop")
    mean_factor = _where(decay < 0, np.log(-np.expm1(decay) / -decay), 0.0)
    effective = rate - _where(heavy_ball, np.log1p(-momentum), 0.0)
    travel = effective + mean_factor + steps
    return {
        "momentum": momentum,
        "log_final_lr": rate + decay,
        "log_lr_steps": rate + steps,
        "log_mean_lr": rate + mean_factor,
        "log_mean_lr_steps": rate + mean_factor + steps,
        "log_effective_lr": effective,
        "log_travel": travel,
        "log_travel_adaptive": _where(adaptive, travel, np.nan),
        "log_travel_sgd": _where(adaptive, np.nan, travel),
        "log_l2_travel": log("l2_decay") + travel,
        "log_clipped_step": effective + log("gradient_clip_val"),
        "log_lr_units": effective + log_units,
        "log_steps_per_param": steps - log_params,
    }


def _gates(
    get: Callable[[str], Numbers], log: Callable[[str], Numbers], name: Callable[[str], Names], nothing: Numbers
) -> dict[str, Numbers]:
    architecture, init = name("architecture"), name("recurrent_matrix_init_type")
    out = {column: nothing for columns in ROLES.values() for column in columns.values()}
    for cell in (ARCHITECTURES[known] for known in _distinct(architecture) if known in ARCHITECTURES):
        mine = architecture == cell.name
        for family, columns in ROLES.items():
            read = get if family == "recurrent_bias_scale" else log
            values = [read(name) for name in PER_GATE[cell.name][family]]
            if family == "recurrent_matrix_scale" and len(values) > 1:
                used = init != "identity"
                values = [_where(used, value, np.nan) for value in values]
            roles = {"candidate": values[cell.gates.index(cell.candidate)], "mean": reduce(add, values) / len(values)}
            if cell.keep is not None:
                roles["keep"] = values[cell.gates.index(cell.keep)]
            for role, value in roles.items():
                out[columns[role]] = _where(mine, value, out[columns[role]])
    out["keep_bias"] = out["keep_recurrent_bias_scale"] + get("forget_gate_bias_hack")
    return out


def _where(condition: Any, yes: Any, no: Any) -> Any:
    """Choose row by row as `np.where` does, or for a single row."""
    return np.where(condition, yes, no) if isinstance(condition, np.ndarray) else yes if condition else no


def _contains(names: Names, word: str) -> Any:
    return word in names if isinstance(names, str) else np.array([word in text for text in names], dtype=bool)


def _distinct(names: Names) -> set[str]:
    return {names} if isinstance(names, str) else set(names)
