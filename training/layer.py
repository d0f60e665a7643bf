"""What all recurrent layers share: the stack, the loop over time there and back, and the buffers.

Notation
--------
P members, B sequences (batch), T steps, n units, I inputs of the layer, G gates, K = n + I + 1.

A layer keeps, for each step t, the *stack* S_t = [h_{t-1}; x_t; 1], shape [P, K, B]. With W = [W_h, W_x, b], shape
[P, G n, K], one batched product z_t = W S_t gives every gate's argument. The batch comes last, so that the rows of
a gate are one contiguous block. All buffers are made once and used at every training step.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor


class Shape(NamedTuple):
    """Sizes that every layer of a network shares: steps T, members P, units n, batch B."""

    steps: int
    members: int
    units: int
    batch: int


class Layer:
    """One recurrent layer: its buffers, its loop over time, and what all cells share.

    Parameters
    ----------
    shape : Shape
    n_in : int
        I, inputs of the layer.
    like : Tensor
        A tensor of the wanted dtype and device.
    tanh_members : int, default 0
        Only `Rnn` uses it: the first so many members have tanh units, the others ReLU.
    inputs_are_data : bool, default False
        Whether the gradient with respect to the inputs may be left out.
    """

    gates: ClassVar[tuple[str, ...]]
    """Suffixes of the gates' hyperparameters, in the order of the rows of W."""

    def __init__(
        self, shape: Shape, n_in: int, like: Tensor, tanh_members: int = 0, inputs_are_data: bool = False
    ) -> None:
        steps, n = shape.steps, shape.units
        self.shape, self.n_in, self.tanh_members, self.like = shape, n_in, tanh_members, like
        self.stack = self.empty(steps + 1, n + n_in + 1)
        self.stack[:, :, -1] = 1
        self.x = self.stack[:steps, :, n : n + n_in]
        self.stacks = self.stack.unbind(0)
        self.h = self.stack[:, :, :n].unbind(0)  # h[t] is the state before step t
        self.outputs = self.stack[1:, :, :n]
        self.z, self.dz = (self.empty(steps, len(self.gates) * n) for _ in range(2))
        self.zs, self.dzs = self.z.unbind(0), self.dz.unbind(0)
        self.dstack = self.empty(steps + 1, n if inputs_are_data else n + n_in)
        self.dstacks, self.dhs = self.dstack.unbind(0), self.dstack[:, :, :n].unbind(0)
        self.dx = self.dstack[:steps, :, n:]
        self.dh, self.spare = self.empty(1, n)[0], self.empty(1, n)[0]
        self.prepare()

    def empty(self, steps: int, rows: int) -> Tensor:
        """Return an unset buffer [steps, P, rows, B]."""
        return self.like.new_empty(steps, self.shape.members, rows, self.shape.batch)

    def rows(self, buffer: Tensor, first: int, count: int = 1) -> tuple[Tensor, ...]:
        """Return, for each step, the rows of `count` gates from gate `first` on."""
        n = self.shape.units
        return buffer[:, :, first * n : (first + count) * n].unbind(0)

    def prepare(self) -> None:
        """Make the cell's own views and buffers."""

    def forward(self, weights: Tensor, initial: list[Tensor]) -> Tensor:
        """Run over all steps, reading the inputs from `x`; return the outputs, [T, P, n, B].

        Parameters
        ----------
        weights : Tensor
            W, [P, G n, K].
        initial : list of Tensor
            Initial state vectors, [P, n] each: h, then c where the cell has one.
        """
        self.set_weights(weights)
        self.start(initial)
        for t in range(self.shape.steps):
            self.advance(t)
        return self.outputs

    def backward(self, d_outputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the gradients of W, [P, G n, K], and of the initial states, [P, n] each; leave that of x in `dx`.

        Parameters
        ----------
        d_outputs : Tensor
            Gradient of the loss with respect to the outputs, [T, P, n, B].
        """
        self.turn()
        for t in reversed(range(self.shape.steps)):
            torch.add(d_outputs[t], self.dhs[t + 1], out=self.dh)
            self.retreat(t)
        return self.weight_gradient(), self.state_gradients()

    def set_weights(self, weights: Tensor) -> None:
        """Keep W and the part of W^T through which gradients go back (views are made once, not at every step)."""
        self.weights = weights
        self.weights_back = weights[:, :, : self.dstack.shape[2]].transpose(1, 2)

    def start(self, initial: list[Tensor]) -> None:
        """Set the state before the first step."""
        self.h[0].copy_(initial[0].unsqueeze(2).expand_as(self.h[0]))

    def turn(self) -> None:
        """Set the state's gradient after the last step: nothing reads that state."""
        self.dhs[-1].zero_()

    def arguments(self, t: int) -> None:
        """Compute every gate's argument: z_t = W S_t."""
        torch.bmm(self.weights, self.stacks[t], out=self.zs[t])

    def through_gates(self, t: int) -> None:
        """Compute what reaches the stack through the gates: dS_t = W^T dz_t."""
        torch.bmm(self.weights_back, self.dzs[t], out=self.dstacks[t])

    def weight_gradient(self) -> Tensor:
        """Return dW = sum_t dz_t S_t^T."""
        return outer(self.dz, self.stack[:-1])

    def state_gradients(self) -> list[Tensor]:
        """Return the gradients of the initial states: the sum over the batch."""
        return [self.dhs[0].sum(dim=2)]

    def advance(self, t: int) -> None:
        """Compute h[t + 1] from the stack of step t."""
        raise NotImplementedError

    def retreat(self, t: int) -> None:
        """Compute dz_t and dS_t from `dh`, the gradient of h[t + 1]."""
        raise NotImplementedError


def wide(buffer: Tensor) -> Tensor:
    """Return [T, P, rows, B] as [P, rows, T B]."""
    return buffer.permute(1, 2, 0, 3).flatten(2)


def outer(left: Tensor, right: Tensor) -> Tensor:
    """Return sum_t left_t right_t^T, [P, rows of left, rows of right], as one batched product."""
    return torch.bmm(wide(left), wide(right).transpose(1, 2))
