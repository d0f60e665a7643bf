"""Initial parameters of one member, drawn from its own seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .network import Layout


def draw_parameters(layout: Layout, hparams: Mapping[str, Any], seed: int) -> NDArray[np.float64]:
    """Return a member's initial parameters, [N], in the order of `Layout.shapes`.

    Input matrices are N(0, 1) / sqrt(fan in) times `input_scale`, recurrent ones and biases as their `init_type` says,
    read-in and readout N(0, 1) / sqrt(fan in) with bias 0, initial states 0.
    """
    rng = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    if layout.cell.reads_in:
        parts.append(_linear(layout.width, layout.n_in, rng))
    for layer in range(layout.n_layers):
        n_in = layout.layer_inputs(layer)
        parts.extend(_gate(hparams, gate, layout.width, n_in, rng) for gate in layout.gates)
        parts.extend([np.zeros(layout.width)] * layout.cell.states)
    parts.append(_linear(layout.n_out, layout.width, rng))
    return np.concatenate([part.ravel() for part in parts])


def _linear(n_out: int, n_in: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.column_stack([rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), np.zeros(n_out)])


def _gate(hparams: Mapping[str, Any], gate: str, n: int, n_in: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a gate's rows of W = [W_h, W_x, b], [n, n + n_in + 1]."""
    suffix = f"_{gate}" if gate else ""
    init_type = hparams["recurrent_matrix_init_type"]
    scale = hparams[f"recurrent_matrix_scale{suffix}"] if init_type != "identity" or not gate else 1.0
    inputs = rng.standard_normal((n, n_in)) / np.sqrt(n_in) * hparams[f"input_scale{suffix}"]
    recurrent = scale * RECURRENT_INITS[init_type](n, rng)
    return np.column_stack([recurrent, inputs, _bias(hparams, f"recurrent_bias_scale{suffix}", n, rng)])


def _bias(hparams: Mapping[str, Any], name: str, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a gate's bias, [n]; 0 where the architecture has no bias hyperparameters (irnn)."""
    if name not in hparams:
        return np.zeros(n)
    return hparams[name] * (np.ones(n) if hparams["recurrent_bias_init_type"] == "delta" else rng.standard_normal(n))


def _orthogonal(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random orthogonal matrix, uniform (Haar): Q of a normal matrix, signs fixed by R's diagonal."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


RECURRENT_INITS = {
    "orthogonal": _orthogonal,
    "normal": lambda n, rng: rng.standard_normal((n, n)) / np.sqrt(n),
    "identity": lambda n, rng: np.eye(n),
}
"""Recurrent matrices, [n, n], before `recurrent_matrix_scale`, by `recurrent_matrix_init_type`."""


def hack_offsets(layout: Layout) -> NDArray[np.float64]:
    """Return 1 where `forget_gate_bias_hack` is added to a parameter (biases of the gates that keep), else 0; [N]."""
    hacked = ("gy", "gh") if layout.cell.reads_in else (layout.cell.keep,)
    ones: list[NDArray[np.float64]] = [np.zeros(layout.width * (layout.n_in + 1) * layout.cell.reads_in)]
    for layer in range(layout.n_layers):
        rows = np.zeros((len(layout.gates), layout.width, layout.width + layout.layer_inputs(layer) + 1))
        rows[[gate in hacked for gate in layout.gates], :, -1] = 1
        ones.extend([rows.ravel(), np.zeros(layout.width * layout.cell.states)])
    return np.concatenate([*ones, np.zeros(layout.n_out * (layout.width + 1))])
