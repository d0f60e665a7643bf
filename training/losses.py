"""Losses of a population, with their gradients: one number a member.

Outputs have shape [P, O, M]: members, outputs, scored positions (steps x batch). A loss returns [P], the mean over
everything scored, and its gradient with respect to the outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Loss(Protocol):
    """What a task needs from its loss."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each member, [P], and its gradient, [P, O, M]."""
        ...


@dataclass(frozen=True)
class CrossEntropy:
    """Mean cross-entropy of the true class, by a softmax over the outputs.

    Parameters
    ----------
    heads : int, default 1
        Independent classifications a position; the outputs are `heads` blocks of classes.
    bits : bool, default False
        Whether the loss is in bits; otherwise in nats.
    summed : bool, default False
        Whether the heads' cross-entropies are added up; otherwise averaged.

    Notes
    -----
    Targets are integers, [P, M] with one head and [P, heads, M] with more.
    """

    heads: int = 1
    bits: bool = False
    summed: bool = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return -mean log p(target), [P], and its gradient (p - one_hot) / count, [P, O, M]."""
        members, _, positions = outputs.shape
        logits = outputs.view(members, self.heads, -1, positions)
        chosen = targets.view(members, self.heads, 1, positions)
        log_p = torch.log_softmax(logits, dim=2)
        weight = (1 / math.log(2) if self.bits else 1.0) / (positions * (1 if self.summed else self.heads))
        loss = -weight * log_p.gather(2, chosen).flatten(1).sum(dim=1)
        grad = log_p.exp_().mul_(weight)
        grad.scatter_add_(2, chosen, torch.full((), -weight, dtype=grad.dtype, device=grad.device).expand_as(chosen))
        return loss, grad.view_as(outputs)


@dataclass(frozen=True)
class SquaredError:
    """Mean squared error over outputs and positions; targets are numbers, [P, O, M]."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (output - target)^2, [P], and its gradient 2 (output - target) / count, [P, O, M]."""
        error = outputs - targets
        return error.square().flatten(1).mean(dim=1), error * (2 / error[0].numel())
