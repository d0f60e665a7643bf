"""The four optimizers, for many members at once, each with its own rates.

Every rule gets a slice of the population, in place: parameters, gradient and two slots of memory, [P, N]; learning
rate `lr`, the sigmoid s of `optimizer_logit_momentum` and the number of this step (1 upwards), [P, 1]. A member with
gradient 0 and rate 0 stays where it is. Equal to `torch.optim` step for step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

ADAM_BETA2: Final = 0.999
ADAM_EPSILON: Final = 1e-8
RMSPROP_EPSILON: Final = 1e-10

Rule = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], None]


def sgd(theta: Tensor, grad: Tensor, m: Tensor, v: Tensor, lr: Tensor, s: Tensor, step: Tensor) -> None:
    """theta -= lr g."""
    theta.addcmul_(lr, grad, value=-1)


def momentum(theta: Tensor, grad: Tensor, m: Tensor, v: Tensor, lr: Tensor, s: Tensor, step: Tensor) -> None:
    """m = s m + g; theta -= lr m."""
    m.mul_(s).add_(grad)
    theta.addcmul_(lr, m, value=-1)


def adam(theta: Tensor, grad: Tensor, m: Tensor, v: Tensor, lr: Tensor, s: Tensor, step: Tensor) -> None:
    """m, v: running means of g and g^2, corrected for their start at 0; theta -= lr m / (sqrt v + eps)."""
    m.mul_(s).addcmul_(grad, 1 - s)
    v.mul_(ADAM_BETA2).addcmul_(grad, grad, value=1 - ADAM_BETA2)
    root = (v / (1 - ADAM_BETA2**step)).sqrt_().add_(ADAM_EPSILON)
    theta.addcmul_(lr / (1 - s**step), m.div(root), value=-1)


def rmsprop(theta: Tensor, grad: Tensor, m: Tensor, v: Tensor, lr: Tensor, s: Tensor, step: Tensor) -> None:
    """v = s v + (1 - s) g^2; theta -= lr g / (sqrt v + eps)."""
    v.mul_(s).addcmul_(grad.square(), 1 - s)
    theta.addcmul_(lr, grad.div(v.sqrt().add_(RMSPROP_EPSILON)), value=-1)


OPTIMIZERS: Final[dict[str, Rule]] = {"SGD": sgd, "Momentum": momentum, "Adam": adam, "RMSProp": rmsprop}
"""Rules by the value of the hyperparameter `optimizer`; members of a population are sorted in this order."""


def update(
    names: list[str], theta: Tensor, grad: Tensor, m: Tensor, v: Tensor, lr: Tensor, s: Tensor, step: Tensor
) -> None:
    """Take one step of every member, in place.

    Parameters
    ----------
    names : list of str
        Each member's optimizer, equal ones beside each other.
    theta, grad, m, v : Tensor
        [P, N].
    lr, s, step : Tensor
        [P, 1].
    """
    first = 0
    while first < len(names):
        last = first + 1
        while last < len(names) and names[last] == names[first]:
            last += 1
        OPTIMIZERS[names[first]](*(tensor[first:last] for tensor in (theta, grad, m, v, lr, s, step)))
        first = last


def clip_(grad: Tensor, norm: Tensor, limit: Tensor) -> None:
    """Scale each member's gradient, [P, N], down to the global norm `limit`, [P, 1], where `norm` is above it."""
    grad.mul_(torch.clamp(limit / norm, max=1))
