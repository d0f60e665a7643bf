"""Initial weights for the user's own `nn.RNN`, `nn.GRU` and `nn.LSTM`, the same as the trainer's.

Notation: n units a layer, I inputs of a layer. PyTorch keeps W_ih [G n, I], W_hh [G n, n] and two biases b_ih, b_hh
[G n] a layer, rows gate by gate; the trainer keeps W = [W_h, W_x, b] with one bias, and adds `forget_gate_bias_hack` to
it as a constant. So b_ih becomes the trained bias, and b_hh the constant: it is frozen.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .configuration import Configuration, architecture_of, hparams_of
from .draws import check_configuration
from .initial import draw_parameters, hack_offsets
from .network import Layout


class Counterpart(NamedTuple):
    """PyTorch's module of an architecture, and its row blocks by the names of the architecture's gates."""

    module: type[nn.RNNBase]
    gates: tuple[str, ...]


COUNTERPARTS: Final = {
    "rnn": Counterpart(nn.RNN, ("",)),
    "irnn": Counterpart(nn.RNN, ("",)),
    "gru": Counterpart(nn.GRU, ("r", "u", "c")),  # PyTorch: r, z, n
    "lstm": Counterpart(nn.LSTM, ("i", "g", "c", "o")),  # PyTorch: i, f, g, o
}
"""Source: "Variables" in the documentation of `torch.nn.RNN`, `torch.nn.GRU` and `torch.nn.LSTM`."""


def apply(
    config: Configuration, module: nn.RNNBase, readout: nn.Linear | None = None, *, seed: int | None = None
) -> None:
    """Initialise a recurrent module in place as a configuration says.

    Input matrices, recurrent matrices and biases get their scales gate by gate, in PyTorch's order of gates. `bias_hh`
    is set to `forget_gate_bias_hack` at the gate that keeps the old state and to 0 elsewhere, and is frozen
    (``requires_grad=False``), as the trainer has one trained bias a gate.

    Parameters
    ----------
    config : RecommendedConfiguration or mapping
        A recommendation's configuration, whose depth and width the module must have; or a dict of all
        hyperparameters of rnn, irnn, gru or lstm, by the corpus's names, for any depth and width.
    module : nn.RNN, nn.GRU or nn.LSTM
        Of any dtype, on any device, stacked or not; `batch_first` and `dropout` make no difference.
    readout : nn.Linear, optional
        The layer that reads the module's outputs: gets weights N(0, 1) / sqrt(n) and bias 0, as in the trainer.
    seed : int, optional
        Seed of the draws; the trainer's run of that seed begins with the same weights. By default it is drawn from
        PyTorch's own generator, so that ``torch.manual_seed`` decides it.

    Raises
    ------
    TypeError
        Where `config`, `module` or `readout` is of another kind, or the module of another architecture.
    ValueError
        Where the configuration is incomplete, PyTorch has no module for its architecture (ugrnn, +rnn), or the module
        cannot express it (`nonlinearity`, depth, width, ``bias=False``, `bidirectional`, `proj_size`).
    """
    hparams = hparams_of(config)
    architecture = architecture_of(hparams)
    check_configuration(architecture, hparams)
    _check_kind(architecture, module)
    relu = hparams.get("activation", "relu") == "relu"
    _check_module(module, nonlinearity=("relu" if relu else "tanh") if isinstance(module, nn.RNN) else None)
    _check_size(config, module)
    _check_readout(module, readout)
    n_out = readout.out_features if readout is not None else 0
    layout = Layout(architecture, module.num_layers, module.hidden_size, module.input_size, n_out)
    drawn = draw_parameters(layout, hparams, int(torch.randint(2**62, ())) if seed is None else seed)
    constant = hack_offsets(layout) * hparams.get("forget_gate_bias_hack", 0)
    _fill(layout, module, readout, drawn, constant)


@torch.no_grad()
def _fill(
    layout: Layout,
    module: nn.RNNBase,
    readout: nn.Linear | None,
    drawn: NDArray[np.float64],
    constant: NDArray[np.float64],
) -> None:
    """Write flat parameters, [N], and the constants added to them, [N], where PyTorch keeps them."""
    n, order = layout.width, torch_rows(layout)
    *weights, last = _matrices(layout, drawn)
    for layer, (w, offset) in enumerate(zip(weights, _matrices(layout, constant), strict=False)):
        parameters = {"weight_hh": w[order, :n], "weight_ih": w[order, n:-1], "bias_ih": w[order, -1]}
        for name, value in (parameters | {"bias_hh": offset[order, -1]}).items():
            getattr(module, f"{name}_l{layer}").copy_(value)
        getattr(module, f"bias_hh_l{layer}").requires_grad_(False)
    if readout is not None:
        readout.weight.copy_(last[:, :-1])
        readout.bias.copy_(last[:, -1])


class InitialState(nn.Module):
    """Initial states that are learned, as the trainer's are; PyTorch's modules begin at 0 and stay there.

    Parameters
    ----------
    module : nn.RNN, nn.GRU or nn.LSTM
        Whose states they are; it is not kept.

    Attributes
    ----------
    states : nn.ParameterList
        h, and c where the module has one, [n_layers, 1, n] each; 0 at the start.
    """

    def __init__(self, module: nn.RNNBase) -> None:
        super().__init__()
        zeros = next(module.parameters()).new_zeros(module.num_layers, 1, module.hidden_size)
        self.states = nn.ParameterList(zeros.clone() for _ in range(1 + isinstance(module, nn.LSTM)))

    def forward(self, batch: int) -> Tensor | tuple[Tensor, ...]:
        """Return the states of `batch` sequences, as the module wants them: ``module(inputs, initial(batch))``."""
        states = tuple(state.expand(-1, batch, -1).contiguous() for state in self.states)
        return states if len(states) == 2 else states[0]


def torch_rows(layout: Layout) -> Tensor:
    """Return, for each row of PyTorch's matrices, the row of the trainer's W that it is, [G n]."""
    rows = [layout.gates.index(gate) for gate in COUNTERPARTS[layout.architecture].gates]
    return torch.cat([torch.arange(layout.width) + layout.width * row for row in rows])


def _matrices(layout: Layout, flat: NDArray[np.float64]) -> list[Tensor]:
    """Return W of each layer, [G n, n + I + 1], then the readout's, [O, n + 1]; the initial states between are left."""
    return [part[0] for part in layout.views(torch.from_numpy(flat)[None])[:: 1 + layout.cell.states]]


def _check_kind(architecture: str, module: nn.Module) -> None:
    if architecture not in COUNTERPARTS:
        raise ValueError(
            f"PyTorch has no module for {architecture}, only for {', '.join(COUNTERPARTS)}: recommend one of these, or "
            f"train {architecture} with rnn_warmstart.training.make_runs"
        )
    wanted = COUNTERPARTS[architecture].module
    if not isinstance(module, wanted):
        raise TypeError(
            f"a configuration of {architecture} needs module to be an nn.{wanted.__name__}, got "
            f"{type(module).__name__}; of a whole model pass the recurrent module alone, e.g. model.{architecture}"
        )


def _check_module(module: nn.RNNBase, nonlinearity: str | None) -> None:
    """Check the module's options; `nonlinearity` is None for modules that have none."""
    wanted = {"bias": True, "bidirectional": False, "proj_size": 0, "nonlinearity": nonlinearity}
    for name, value in wanted.items():
        if value is not None and getattr(module, name) != value:
            raise ValueError(
                f"the configuration needs {name}={value!r}, but the module has {name}={getattr(module, name)!r}: "
                f"build it with nn.{type(module).__name__}(..., {name}={value!r})"
            )


def _check_size(config: Configuration, module: nn.RNNBase) -> None:
    """Check that a recommended configuration is of the module's depth and width."""
    for name, size in (("n_layers", module.num_layers), ("hidden_units", module.hidden_size)):
        wanted = getattr(config, name, None)
        if wanted is not None and wanted != size:
            raise ValueError(
                f"the configuration was recommended for {name}={wanted}, but the module has {size} (its num_layers is "
                f"{module.num_layers}, its hidden_size {module.hidden_size}): build it with these, or pass "
                f"config.hparams to try the hyperparameters at another size"
            )


def _check_readout(module: nn.RNNBase, readout: nn.Linear | None) -> None:
    if readout is None:
        return
    if not isinstance(readout, nn.Linear):
        raise TypeError(f"readout must be an nn.Linear, got {type(readout).__name__}")
    if readout.in_features != module.hidden_size or readout.bias is None:
        raise ValueError(
            f"readout must be nn.Linear({module.hidden_size}, ...) with a bias, to read the module's outputs, "
            f"got in_features={readout.in_features}, bias={readout.bias is not None}"
        )
