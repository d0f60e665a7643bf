"""The recurrent cells, each for a whole population at once, with backpropagation through time by hand.

The equations are those of Collins, Sohl-Dickstein and Sussillo (ICLR 2017), section 1.4; `layer` has the notation and
what the cells share. `forget_gate_bias_hack` is not here: it is a constant that the caller adds to the bias.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .layer import Layer, outer

_d_sigmoid = torch.ops.aten.sigmoid_backward.grad_input  # (g, s) -> g s (1 - s)
_d_tanh = torch.ops.aten.tanh_backward.grad_input  # (g, s) -> g (1 - s^2)
_d_relu = torch.ops.aten.threshold_backward.grad_input  # (g, s, 0) -> g where s > 0


def mix(gate: Tensor, old: Tensor, new: Tensor, out: Tensor) -> None:
    """Compute gate old + (1 - gate) new."""
    torch.sub(old, new, out=out).mul_(gate).add_(new)


def d_mix(d_out: Tensor, gate: Tensor, old: Tensor, new: Tensor, d_gate: Tensor, d_new: Tensor) -> None:
    """Compute the gradients of `mix` with respect to gate and new; that of old is gate d_out."""
    torch.mul(d_out, gate, out=d_new)
    torch.sub(d_out, d_new, out=d_new)
    torch.sub(old, new, out=d_gate).mul_(d_out)


class Rnn(Layer):
    """h = s(W S), s tanh for the first members of the population and ReLU for the others. Also `irnn`."""

    gates = ("",)

    def prepare(self) -> None:
        """Part the members by their units."""
        k = self.tanh_members
        self.z_tanh, self.z_relu = self.z[:, :k].unbind(0), self.z[:, k:].unbind(0)
        self.dz_tanh, self.dz_relu = self.dz[:, :k].unbind(0), self.dz[:, k:].unbind(0)
        self.h_tanh, self.h_relu = self.outputs[:, :k].unbind(0), self.outputs[:, k:].unbind(0)
        self.dh_tanh, self.dh_relu = self.dh[:k], self.dh[k:]

    def advance(self, t: int) -> None:
        """See `Layer.advance`."""
        self.arguments(t)
        torch.tanh(self.z_tanh[t], out=self.h_tanh[t])
        torch.clamp(self.z_relu[t], min=0, out=self.h_relu[t])

    def retreat(self, t: int) -> None:
        """See `Layer.retreat`."""
        _d_tanh(self.dh_tanh, self.h_tanh[t], grad_input=self.dz_tanh[t])
        _d_relu(self.dh_relu, self.h_relu[t], 0, grad_input=self.dz_relu[t])
        self.through_gates(t)


class Ugrnn(Layer):
    """g = sigmoid(..); c = tanh(..); h = g h- + (1 - g) c."""

    gates = ("g", "c")

    def prepare(self) -> None:
        """Name the gates."""
        self.g, self.c = self.rows(self.z, 0), self.rows(self.z, 1)
        self.dg, self.dc = self.rows(self.dz, 0), self.rows(self.dz, 1)

    def advance(self, t: int) -> None:
        """See `Layer.advance`."""
        self.arguments(t)
        mix(self.g[t].sigmoid_(), self.h[t], self.c[t].tanh_(), out=self.h[t + 1])

    def retreat(self, t: int) -> None:
        """See `Layer.retreat`."""
        d_mix(self.dh, self.g[t], self.h[t], self.c[t], d_gate=self.dg[t], d_new=self.dc[t])
        _d_sigmoid(self.dg[t], self.g[t], grad_input=self.dg[t])
        _d_tanh(self.dc[t], self.c[t], grad_input=self.dc[t])
        self.through_gates(t)
        self.dhs[t].addcmul_(self.g[t], self.dh)


class Gru(Layer):
    """r, u = sigmoid(..); c = tanh(W_ch (r h-) + W_cx x + b_c); h = u h- + (1 - u) c."""

    gates = ("r", "u", "c")

    def prepare(self) -> None:
        """Make the candidate's own stack [r h-; x; 1], and name the gates."""
        n = self.shape.units
        self.reset = torch.empty_like(self.stack[:-1])
        self.resets, self.rh = self.reset.unbind(0), self.reset[:, :, :n].unbind(0)
        self.ru, self.zc = self.empty(self.shape.steps, 2 * n), self.empty(self.shape.steps, n)
        self.dru, self.dzc = torch.empty_like(self.ru), torch.empty_like(self.zc)
        self.rus, self.r, self.u, self.c = (
            self.ru.unbind(0),
            self.rows(self.ru, 0),
            self.rows(self.ru, 1),
            self.zc.unbind(0),
        )
        self.drus, self.dr, self.du = self.dru.unbind(0), self.rows(self.dru, 0), self.rows(self.dru, 1)
        self.c, self.dc = self.zc.unbind(0), self.dzc.unbind(0)
        self.dreset = self.empty(1, self.dstack.shape[2])[0]
        self.drh = self.dreset[:, :n]

    def set_weights(self, weights: Tensor) -> None:
        """See `Layer.set_weights`: the candidate's rows of W have a stack of their own."""
        super().set_weights(weights)
        n = self.shape.units
        self.w_ru, self.w_c = weights[:, : 2 * n], weights[:, 2 * n :]
        self.w_ru_back, self.w_c_back = self.weights_back[:, :, : 2 * n], self.weights_back[:, :, 2 * n :]

    def start(self, initial: list[Tensor]) -> None:
        """See `Layer.start`."""
        super().start(initial)
        n = self.shape.units
        self.reset[:, :, n:].copy_(self.stack[:-1, :, n:])

    def advance(self, t: int) -> None:
        """See `Layer.advance`."""
        torch.bmm(self.w_ru, self.stacks[t], out=self.rus[t])
        self.rus[t].sigmoid_()
        torch.mul(self.r[t], self.h[t], out=self.rh[t])
        torch.bmm(self.w_c, self.resets[t], out=self.c[t])
        mix(self.u[t], self.h[t], self.c[t].tanh_(), out=self.h[t + 1])

    def retreat(self, t: int) -> None:
        """See `Layer.retreat`."""
        d_mix(self.dh, self.u[t], self.h[t], self.c[t], d_gate=self.du[t], d_new=self.dc[t])
        _d_tanh(self.dc[t], self.c[t], grad_input=self.dc[t])
        torch.bmm(self.w_c_back, self.dc[t], out=self.dreset)
        torch.mul(self.drh, self.h[t], out=self.dr[t])
        _d_sigmoid(self.drus[t], self.rus[t], grad_input=self.drus[t])
        torch.bmm(self.w_ru_back, self.drus[t], out=self.dstacks[t])
        self.drh.mul_(self.r[t]).addcmul_(self.u[t], self.dh)
        self.dstacks[t].add_(self.dreset)

    def weight_gradient(self) -> Tensor:
        """See `Layer.weight_gradient`."""
        return torch.cat([outer(self.dru, self.stack[:-1]), outer(self.dzc, self.reset)], dim=1)


class Lstm(Layer):
    """i, f, o = sigmoid(..); c_in = tanh(..); c = f c- + i c_in; h = o tanh(c). The forget gate f is named `g`."""

    gates = ("i", "g", "o", "c")

    def prepare(self) -> None:
        """Make the memory cell's buffers, and name the gates."""
        self.sigmoids, self.d_sigmoids = self.rows(self.z, 0, 3), self.rows(self.dz, 0, 3)
        self.i, self.f, self.o, self.c_in = (self.rows(self.z, k) for k in range(4))
        self.di, self.df, self.do, self.dc_in = (self.rows(self.dz, k) for k in range(4))
        n, steps = self.shape.units, self.shape.steps
        self.c, self.tanh_c = self.empty(steps + 1, n).unbind(0), self.empty(steps, n).unbind(0)
        self.dc = torch.empty_like(self.dh)

    def start(self, initial: list[Tensor]) -> None:
        """See `Layer.start`."""
        super().start(initial)
        self.c[0].copy_(initial[1].unsqueeze(2).expand_as(self.c[0]))

    def advance(self, t: int) -> None:
        """See `Layer.advance`."""
        self.arguments(t)
        self.sigmoids[t].sigmoid_()
        self.c_in[t].tanh_()
        torch.mul(self.f[t], self.c[t], out=self.c[t + 1]).addcmul_(self.i[t], self.c_in[t])
        torch.tanh(self.c[t + 1], out=self.tanh_c[t])
        torch.mul(self.o[t], self.tanh_c[t], out=self.h[t + 1])

    def turn(self) -> None:
        """See `Layer.turn`."""
        super().turn()
        self.dc.zero_()

    def retreat(self, t: int) -> None:
        """See `Layer.retreat`."""
        torch.mul(self.dh, self.tanh_c[t], out=self.do[t])
        torch.mul(self.dh, self.o[t], out=self.spare)
        self.dc.add_(_d_tanh(self.spare, self.tanh_c[t], grad_input=self.spare))
        torch.mul(self.dc, self.c_in[t], out=self.di[t])
        torch.mul(self.dc, self.c[t], out=self.df[t])
        torch.mul(self.dc, self.i[t], out=self.dc_in[t])
        self.dc.mul_(self.f[t])
        _d_sigmoid(self.d_sigmoids[t], self.sigmoids[t], grad_input=self.d_sigmoids[t])
        _d_tanh(self.dc_in[t], self.c_in[t], grad_input=self.dc_in[t])
        self.through_gates(t)

    def state_gradients(self) -> list[Tensor]:
        """See `Layer.state_gradients`; the second is that of the memory cell."""
        return [*super().state_gradients(), self.dc.sum(dim=2)]


class IntersectionRnn(Layer):
    """`+rnn`: y = gy x + (1 - gy) y_in goes up, h = gh h- + (1 - gh) h_in goes on in time.

    gy, gh = sigmoid(..); h_in = tanh(..); y_in = ReLU(..). The inputs must have the layer's width.
    """

    gates = ("gy", "gh", "h", "y")

    def prepare(self) -> None:
        """Make the outputs' buffer, and name the gates."""
        self.outputs = self.empty(self.shape.steps, self.shape.units)
        self.y, self.xs, self.dxs = self.outputs.unbind(0), self.x.unbind(0), self.dx.unbind(0)
        self.sigmoids, self.d_sigmoids = self.rows(self.z, 0, 2), self.rows(self.dz, 0, 2)
        self.gy, self.gh, self.h_in, self.y_in = (self.rows(self.z, k) for k in range(4))
        self.dgy, self.dgh, self.dh_in, self.dy_in = (self.rows(self.dz, k) for k in range(4))

    def advance(self, t: int) -> None:
        """See `Layer.advance`."""
        self.arguments(t)
        self.sigmoids[t].sigmoid_()
        self.y_in[t].clamp_(min=0)
        mix(self.gy[t], self.xs[t], self.y_in[t], out=self.y[t])
        mix(self.gh[t], self.h[t], self.h_in[t].tanh_(), out=self.h[t + 1])

    def backward(self, d_outputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See `Layer.backward`: the outputs' gradient enters by y, the state's by h."""
        self.turn()
        for t in reversed(range(self.shape.steps)):
            self.dh, dy = self.dhs[t + 1], d_outputs[t]
            d_mix(dy, self.gy[t], self.xs[t], self.y_in[t], d_gate=self.dgy[t], d_new=self.dy_in[t])
            self.retreat(t)
            self.dxs[t].addcmul_(self.gy[t], dy)
        return self.weight_gradient(), self.state_gradients()

    def retreat(self, t: int) -> None:
        """See `Layer.retreat`; the gradients of gy and y_in are already there."""
        d_mix(self.dh, self.gh[t], self.h[t], self.h_in[t], d_gate=self.dgh[t], d_new=self.dh_in[t])
        _d_sigmoid(self.d_sigmoids[t], self.sigmoids[t], grad_input=self.d_sigmoids[t])
        _d_tanh(self.dh_in[t], self.h_in[t], grad_input=self.dh_in[t])
        _d_relu(self.dy_in[t], self.y_in[t], 0, grad_input=self.dy_in[t])
        self.through_gates(t)
        self.dhs[t].addcmul_(self.gh[t], self.dh)


CELLS: dict[str, type[Layer]] = {
    "rnn": Rnn,
    "irnn": Rnn,
    "ugrnn": Ugrnn,
    "gru": Gru,
    "lstm": Lstm,
    "+rnn": IntersectionRnn,
}
"""The layer class of each architecture of `rnn_warmstart.features.ARCHITECTURES`."""
