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
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .architecture import ARCHITECTURES

Columns = dict[str, NDArray[np.float64]]
Names = NDArray[np.object_]
FAMILIES: Final = ("input_scale", "recurrent_matrix_scale", "recurrent_bias_scale")
"""Hyperparameters that a cell has once a gate, as ``<family>_<gate>`` (``<family>`` alone in a cell of one block)."""


def derive(
    get: Callable[[str], NDArray[np.float64]],
    name: Callable[[str], Names],
    log_units: NDArray[np.float64],
    log_params: NDArray[np.float64],
) -> Columns:
    """Return the derived columns, each of shape (n_rows,); NaN where a row lacks what a column needs.

    Parameters
    ----------
    get : callable
        Hyperparameter name -> its values on their natural scale (not logs); all NaN where the corpus has none.
    name : callable
        Name of a category (``"architecture"``, or a hyperparameter) -> its values as lower-case text, "" for null.
    log_units, log_params : ndarray of shape (n_rows,)
        Natural logs of the hidden units a layer and of the parameter budget.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _training(get, name("optimizer"), log_units, log_params) | _gates(get, name)


def _training(
    get: Callable[[str], NDArray[np.float64]],
    optimizer: Names,
    log_units: NDArray[np.float64],
    log_params: NDArray[np.float64],
) -> Columns:
    rate, decay, steps = np.log(get("lr_init")), np.log(get("lr_decay_rate")), np.log(get("train_steps"))
    momentum = 1 / (1 + np.exp(-get("optimizer_logit_momentum")))
    heavy_ball = np.array(["momentum" in text for text in optimizer], dtype=bool)
    adaptive = (optimizer == "adam") | (optimizer == "rmsprop")
    mean_factor = np.where(decay < 0, np.log(-np.expm1(decay) / -decay), 0.0)
    effective = rate - np.where(heavy_ball, np.log1p(-momentum), 0.0)
    travel = effective + mean_factor + steps
    return {
        "momentum": momentum,
        "log_final_lr": rate + decay,
        "log_lr_steps": rate + steps,
        "log_mean_lr": rate + mean_factor,
        "log_mean_lr_steps": rate + mean_factor + steps,
        "log_effective_lr": effective,
        "log_travel": travel,
        "log_travel_adaptive": np.where(adaptive, travel, np.nan),
        "log_travel_sgd": np.where(adaptive, np.nan, travel),
        "log_l2_travel": np.log(get("l2_decay")) + travel,
        "log_clipped_step": effective + np.log(get("gradient_clip_val")),
        "log_lr_units": effective + log_units,
        "log_steps_per_param": steps - log_params,
    }


def _gates(get: Callable[[str], NDArray[np.float64]], name: Callable[[str], Names]) -> Columns:
    architecture, init = name("architecture"), name("recurrent_matrix_init_type")
    nothing = np.full(len(architecture), np.nan)
    out = {f"{role}_{family}": nothing.copy() for family in FAMILIES for role in ("candidate", "keep", "mean")}
    present = set(architecture)
    for cell in (ARCHITECTURES[known] for known in present if known in ARCHITECTURES):
        rows = architecture == cell.name if len(present) > 1 else slice(None)
        for family in FAMILIES:
            convert = _identity if family == "recurrent_bias_scale" else np.log
            values = {gate: convert(get(f"{family}_{gate}" if gate else family)[rows]) for gate in cell.gates}
            if family == "recurrent_matrix_scale" and len(cell.gates) > 1:
                unused = init[rows] == "identity"
                values = {gate: np.where(unused, np.nan, value) for gate, value in values.items()}
            out[f"candidate_{family}"][rows] = values[cell.candidate]
            out[f"mean_{family}"][rows] = sum(values.values()) / len(values)
            if cell.keep is not None:
                out[f"keep_{family}"][rows] = values[cell.keep]
    out["keep_bias"] = out["keep_recurrent_bias_scale"] + get("forget_gate_bias_hack")
    return out


def _identity(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values
