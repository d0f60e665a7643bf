"""The six recurrent architectures: gates, and the width that a parameter budget buys.

Every layer of a network has the same width n. With G blocks of weights a layer, s learned initial-state vectors a
layer, I inputs, O outputs and L layers, a network has

    P(n) = G (I n + n^2 + n) + (L - 1) G (2 n^2 + n) + (n O + O) + s n L

parameters; `+rnn` reads its input in through a linear projection first, so that

    P(n) = (I n + n) + L (4 (2 n^2 + n) + n) + (n O + O).

Source: the rule of Collins, Sohl-Dickstein and Sussillo (ICLR 2017, section 1.4: the largest width that fits the
budget); the formula is derived from it and gives exactly the 1,268,217 parameters of the data set's documented row
(lstm, 4 layers, 27 inputs and outputs, n = 210).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Architecture:
    """One recurrent cell, as far as its parameters go.

    Parameters
    ----------
    name : str
        The corpus's spelling, e.g. ``"ugrnn"``.
    gates : tuple of str
        Suffixes of the per-gate hyperparameters (``recurrent_matrix_scale_<gate>``); ``("",)`` where the only block
        has none. Their number is G.
    candidate : str
        The gate that computes the new state, the counterpart of a plain RNN's only block.
    keep : str or None
        The gate that keeps the old state (`forget_gate_bias_hack` is added to it); None without one.
    states : int
        s, learned initial-state vectors a layer.
    reads_in : bool
        Whether a linear projection brings the input to the layers' width first.
    """

    name: str
    gates: tuple[str, ...]
    candidate: str
    keep: str | None
    states: int = 1
    reads_in: bool = False

    def polynomial(self, n_layers: ArrayLike, n_in: ArrayLike, n_out: ArrayLike) -> tuple[NDArray[np.float64], ...]:
        """Return (a, b, c) with P(n) = a n^2 + b n + c; arguments broadcast."""
        layers, inputs, outputs = (np.asarray(x, dtype=np.float64) for x in (n_layers, n_in, n_out))
        blocks = len(self.gates)
        if self.reads_in:
            a = 2.0 * blocks * layers
            b = inputs + 1 + (blocks + self.states) * layers + outputs
        else:
            a = blocks * (2 * layers - 1)
            b = blocks * (inputs + layers) + outputs + self.states * layers
        return np.broadcast_arrays(a, b, outputs)

    def num_params(self, width: ArrayLike, n_layers: ArrayLike, n_in: ArrayLike, n_out: ArrayLike) -> NDArray[np.int64]:
        """Return P(width), the number of trained parameters; arguments broadcast."""
        a, b, c = self.polynomial(n_layers, n_in, n_out)
        n = np.asarray(width, dtype=np.float64)
        return np.asarray(a * n**2 + b * n + c).astype(np.int64)

    def width(self, max_params: ArrayLike, n_layers: ArrayLike, n_in: ArrayLike, n_out: ArrayLike) -> NDArray[np.int64]:
        """Return the largest width with ``num_params(width) <= max_params`` (0 if not even one unit fits)."""
        budget = np.asarray(max_params, dtype=np.float64)
        a, b, c = self.polynomial(n_layers, n_in, n_out)
        root = (np.sqrt(np.maximum(b**2 - 4 * a * (c - budget), 0)) - b) / (2 * a)
        n = np.maximum(np.floor(root), 0)
        n += a * (n + 1) ** 2 + b * (n + 1) + c <= budget  # the root, rounded, may be one off
        n -= (a * n**2 + b * n + c > budget) & (n > 0)
        return np.asarray(n).astype(np.int64)


ARCHITECTURES: dict[str, Architecture] = {
    cell.name: cell
    for cell in (
        Architecture("rnn", gates=("",), candidate="", keep=None),
        Architecture("irnn", gates=("",), candidate="", keep=None),
        Architecture("ugrnn", gates=("g", "c"), candidate="c", keep="g"),
        Architecture("gru", gates=("r", "u", "c"), candidate="c", keep="u"),
        Architecture("lstm", gates=("i", "g", "c", "o"), candidate="c", keep="g", states=2),
        Architecture("+rnn", gates=("gy", "gh", "h", "y"), candidate="h", keep="gh", reads_in=True),
    )
}
