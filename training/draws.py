"""Random configurations: the laws by which hyperparameters are drawn.

The ranges are those of Collins, Sohl-Dickstein and Sussillo (ICLR 2017), appendix A, but for learning rates, which go
up to 1, and training steps, which are few, as the `lab` scale trains small networks for seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..features import ARCHITECTURES

LAB_STEPS: Final = (100, 4000)
"""Range of `train_steps` at the `lab` scale."""

CHOICES: Final = {
    "recurrent_matrix_init_type": ("orthogonal", "normal", "identity"),
    "recurrent_bias_init_type": ("delta", "normal"),
    "activation": ("tanh", "relu"),
    "optimizer": ("SGD", "Momentum", "Adam", "RMSProp"),
}
"""Values of the categorical hyperparameters."""


def _log(low: float, high: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _gate_hparams(architecture: str, suffix: str, rng: np.random.Generator) -> dict[str, float]:
    if architecture == "irnn":
        return {f"input_scale{suffix}": _log(0.001, 2, rng), f"recurrent_matrix_scale{suffix}": _log(0.2, 1.4, rng)}
    return {
        f"input_scale{suffix}": _log(0.001, 2, rng),
        f"recurrent_matrix_scale{suffix}": _log(0.01, 2, rng),
        f"recurrent_bias_scale{suffix}": float(rng.uniform(-2, 2)),
    }


def _cell_hparams(architecture: str, rng: np.random.Generator) -> dict[str, Any]:
    inits = {"irnn": ["identity"], "rnn": ["orthogonal", "normal"]}
    init_types = inits.get(architecture, CHOICES["recurrent_matrix_init_type"])
    hparams: dict[str, Any] = {"recurrent_matrix_init_type": str(rng.choice(init_types))}
    if architecture != "irnn":
        hparams["recurrent_bias_init_type"] = str(rng.choice(CHOICES["recurrent_bias_init_type"]))
    if ARCHITECTURES[architecture].keep is not None:
        hparams["forget_gate_bias_hack"] = float(rng.uniform(0, 6))
    if architecture == "rnn":
        hparams["activation"] = str(rng.choice(CHOICES["activation"]))
    return hparams


def draw_configuration(
    architecture: str, rng: np.random.Generator, steps: tuple[float, float] = LAB_STEPS
) -> dict[str, Any]:
    """Return one random configuration of an architecture, every hyperparameter independent.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`.
    rng : numpy.random.Generator
        Source of randomness.
    steps : tuple of float, default LAB_STEPS
        Range of `train_steps`, log-uniform, rounded.
    """
    hparams = _cell_hparams(architecture, rng)
    for gate in ARCHITECTURES[architecture].gates:
        hparams |= _gate_hparams(architecture, f"_{gate}" if gate else "", rng)
    return hparams | {
        "optimizer": str(rng.choice(CHOICES["optimizer"])),
        "optimizer_logit_momentum": float(rng.uniform(1, 7)),
        "lr_init": _log(1e-4, 1, rng),
        "lr_decay_rate": _log(0.001, 1, rng),
        "gradient_clip_val": _log(1, 100, rng),
        "l2_decay": _log(1e-8, 1e-3, rng),
        "train_steps": round(_log(*steps, rng)),
    }


def draw_configurations(
    architecture: str, count: int, seed: int, steps: tuple[float, float] = LAB_STEPS
) -> list[dict[str, Any]]:
    """Return `count` random configurations; the same seed gives the same ones, and more begin with the fewer."""
    return [draw_configuration(architecture, np.random.default_rng([seed, number]), steps) for number in range(count)]


def check_configuration(architecture: str, hparams: Mapping[str, Any]) -> None:
    """Check that a configuration can be trained: exactly the architecture's hyperparameters, choices that exist.

    Raises
    ------
    ValueError
        Naming what is missing, unknown or impossible.
    """
    names = set(draw_configuration(architecture, np.random.default_rng(0)))
    if missing := sorted(names - set(hparams)):
        raise ValueError(f"a configuration of {architecture} lacks {', '.join(missing)}: {dict(hparams)}")
    if unknown := sorted(set(hparams) - names):
        raise ValueError(f"hyperparameters unknown to {architecture}: {', '.join(unknown)}")
    check_values(hparams)


def check_values(hparams: Mapping[str, Any]) -> None:
    """Check that choices, as far as `hparams` has them, exist, and that there is at least one training step.

    Raises
    ------
    ValueError
        Naming what is impossible.
    """
    for name, choices in CHOICES.items():
        if name in hparams and hparams[name] not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {hparams[name]!r}")
    if int(hparams["train_steps"]) < 1:
        raise ValueError(f"train_steps must be at least 1, got {hparams['train_steps']}")
