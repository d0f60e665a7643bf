"""A population of networks in one flat tensor of parameters, [P, N]: its layout, its forward and backward pass.

A member's N parameters, in order: the read-in (`+rnn` only), for each layer W and the initial states, the readout.
The bias is the last column of each matrix. See `layer` for the notation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..features import ARCHITECTURES, Architecture
from .cells import CELLS
from .layer import Shape, outer, wide


@dataclass(frozen=True)
class Layout:
    """Where each parameter of a network lies.

    Parameters
    ----------
    architecture : str
    n_layers : int
        L, depth in layers.
    width : int
        n, units a layer.
    n_in, n_out : int
        Inputs and outputs of the network.
    """

    architecture: str
    n_layers: int
    width: int
    n_in: int
    n_out: int

    @property
    def cell(self) -> Architecture:
        """The architecture's gates and states."""
        return ARCHITECTURES[self.architecture]

    @property
    def gates(self) -> tuple[str, ...]:
        """Gate suffixes in the order of W's row blocks."""
        return CELLS[self.architecture].gates

    def layer_inputs(self, layer: int) -> int:
        """Return I of a layer, counted from 0."""
        return self.width if layer or self.cell.reads_in else self.n_in

    @cached_property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of a member's parameters, in the order in which they lie in the flat tensor."""
        n = self.width
        shapes: list[tuple[int, ...]] = []
        if self.cell.reads_in:
            shapes.append((n, self.n_in + 1))
        for layer in range(self.n_layers):
            shapes.append((len(self.gates) * n, n + self.layer_inputs(layer) + 1))
            shapes.extend([(n,)] * self.cell.states)
        return [*shapes, (self.n_out, n + 1)]

    @cached_property
    def num_params(self) -> int:
        """N, parameters of one member."""
        return sum(torch.Size(shape).numel() for shape in self.shapes)

    def views(self, flat: Tensor) -> list[Tensor]:
        """Return views of a flat tensor [P, N] in the parameters' shapes, [P, ...] each."""
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        return [part.unflatten(1, shape) for part, shape in zip(flat.split(sizes, dim=1), self.shapes, strict=True)]


class Network:
    """Buffers and passes for P members, T steps and a batch of B.

    Parameters
    ----------
    layout : Layout
    shape : Shape
    scored : slice
        The steps whose outputs are wanted.
    like : Tensor
        A tensor of the wanted dtype and device.
    tanh_members : int, default 0
        Only `rnn` uses it: the first so many members have tanh units, the others ReLU.
    """

    def __init__(self, layout: Layout, shape: Shape, scored: slice, like: Tensor, tanh_members: int = 0) -> None:
        self.layout, self.shape, self.scored = layout, shape, scored
        reads_in = layout.cell.reads_in
        self.layers = [
            CELLS[layout.architecture](
                shape, layout.layer_inputs(layer), like, tanh_members, inputs_are_data=not layer and not reads_in
            )
            for layer in range(layout.n_layers)
        ]
        self.data = like.new_empty(shape.steps, shape.members, layout.n_in + 1, shape.batch) if reads_in else None
        self.top = like.new_ones(shape.steps, shape.members, shape.units + 1, shape.batch)
        self.d_top = like.new_zeros(shape.steps, shape.members, shape.units, shape.batch)

    def forward(self, flat: Tensor, inputs: Tensor) -> Tensor:
        """Return the outputs at the scored steps, [P, O, M] with M = scored steps x B, steps before sequences.

        Parameters
        ----------
        flat : Tensor
            Parameters, [P, N].
        inputs : Tensor
            Symbols, integers [T, P, B], or numbers [T, P, I, B].
        """
        self.parameters = parameters = self.layout.views(flat)
        rest = iter(parameters)
        if self.data is not None:
            self.data[:, :, -1] = 1
            encode(inputs, self.data[:, :, :-1])
            self.layers[0].x.copy_(self.unwide(torch.bmm(next(rest), wide(self.data))))
        else:
            encode(inputs, self.layers[0].x)
        states = self.layout.cell.states
        outputs = self.layers[0].forward(next(rest), [next(rest) for _ in range(states)])
        for layer in self.layers[1:]:
            layer.x.copy_(outputs)
            outputs = layer.forward(next(rest), [next(rest) for _ in range(states)])
        self.top[:, :, :-1].copy_(outputs)
        return torch.bmm(next(rest), wide(self.top[self.scored]))

    def backward(self, d_outputs: Tensor, out: Tensor) -> Tensor:
        """Write the gradient of every parameter, [P, N], into `out`, after `forward` on the same batch.

        Parameters
        ----------
        d_outputs : Tensor
            Gradient of the loss with respect to the outputs, [P, O, M].
        out : Tensor
            Receives the gradient.
        """
        gradients = [torch.bmm(d_outputs, wide(self.top[self.scored]).transpose(1, 2))]
        readout = self.parameters[-1][:, :, :-1].transpose(1, 2)
        self.d_top[self.scored] = self.unwide(torch.bmm(readout, d_outputs))
        d_layer = self.d_top
        for layer in reversed(self.layers):
            d_weights, d_initial = layer.backward(d_layer)
            gradients = [d_weights, *d_initial, *gradients]
            d_layer = layer.dx
        if self.data is not None:
            gradients = [outer(d_layer, self.data), *gradients]
        return torch.cat([gradient.flatten(1) for gradient in gradients], dim=1, out=out)

    def unwide(self, columns: Tensor) -> Tensor:
        """Return [P, rows, T B] as [T, P, rows, B]."""
        return columns.unflatten(2, (-1, self.shape.batch)).permute(2, 0, 1, 3)


def encode(inputs: Tensor, out: Tensor) -> None:
    """Write inputs into rows [T, P, I, B]: numbers as they are, symbols one-hot."""
    if inputs.is_floating_point():
        out.copy_(inputs)
    else:
        out.zero_().scatter_(2, inputs.unsqueeze(2), 1.0)
