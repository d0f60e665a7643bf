"""The trainer's optimizers, schedule and clip for the user's own training loop, by `torch.optim`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR

from .configuration import Configuration, hparams_of
from .draws import check_values
from .optimizers import ADAM_BETA2, ADAM_EPSILON, RMSPROP_EPSILON, clip_

HPARAMS: Final = (
    "optimizer", "optimizer_logit_momentum", "lr_init", "lr_decay_rate", "gradient_clip_val", "l2_decay", "train_steps",
)  # fmt: skip
"""Hyperparameters that say how to train; every architecture has them."""


@dataclass(frozen=True)
class Descent:
    """How to go downhill: a `torch.optim` optimizer and what the trainer does around it.

    Attributes
    ----------
    optimizer : torch.optim.Optimizer
        SGD (also for Momentum), Adam or RMSprop.
    scheduler : ExponentialLR
        Learning rate lr_init lr_decay_rate^(t / train_steps) at step t, counted from 0.
    clip : float
        Largest global norm of the gradient, the l2 term included.
    l2 : float
        The gradient gets l2 theta added, before the clip (`weight_decay` of `torch.optim` would add it after).
    train_steps : int
        Steps to train for; the trainer stops then.
    """

    optimizer: torch.optim.Optimizer
    scheduler: ExponentialLR
    clip: float
    l2: float
    train_steps: int

    @torch.no_grad()
    def step(self) -> None:
        """Take one training step along the gradients that ``loss.backward()`` left, then clear them.

        The order is the trainer's: l2 term, clip, optimizer, learning rate of the next step.

        Raises
        ------
        FloatingPointError
            Where the gradient's norm is NaN or infinite. Nothing is changed but the gradients: the trainer, too, stops
            there with the last finite weights, and calls the run diverged.
        RuntimeError
            Where no parameter has a gradient.
        """
        groups = self.optimizer.param_groups
        pairs = [(theta, theta.grad) for group in groups for theta in group["params"] if theta.grad is not None]
        if not pairs:
            raise RuntimeError("no parameter has a gradient: call loss.backward() before step()")
        for theta, grad in pairs:
            grad.add_(theta, alpha=self.l2)
        norm = _norm([grad for _, grad in pairs])
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"the training diverged: the gradient's norm is {norm.item()} at step {self.scheduler.last_epoch}; the "
                f"weights are left as they were. Try the next recommendation, or a lower lr_init"
            )
        for _, grad in pairs:
            clip_(grad, norm, norm.new_tensor(self.clip))
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()


def _norm(grads: list[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in grads]))


def optimizer(config: Configuration, params: Iterable[Tensor]) -> Descent:
    """Return the optimizer, learning-rate schedule and gradient clip of a configuration, for `params`.

    Parameters
    ----------
    config : RecommendedConfiguration or mapping
        A recommendation's configuration, or a dict with at least the hyperparameters in `HPARAMS`.
    params : iterable of Tensor
        What to train, e.g. ``model.parameters()``; frozen ones are left alone.

    Returns
    -------
    Descent
        Call its `step` after each ``loss.backward()``, for `train_steps` steps.

    Raises
    ------
    TypeError
        Where `config` is of another kind.
    ValueError
        Where it lacks a hyperparameter, or one is impossible.
    """
    hparams = hparams_of(config)
    if missing := sorted(set(HPARAMS) - set(hparams)):
        raise ValueError(f"a configuration to train with needs {', '.join(HPARAMS)}, but lacks {', '.join(missing)}")
    check_values(hparams)
    steps = int(hparams["train_steps"])
    chosen = _torch_optimizer(hparams, params)
    return Descent(
        optimizer=chosen,
        scheduler=ExponentialLR(chosen, gamma=float(hparams["lr_decay_rate"]) ** (1 / steps)),
        clip=float(hparams["gradient_clip_val"]),
        l2=float(hparams["l2_decay"]),
        train_steps=steps,
    )


def _torch_optimizer(hparams: Mapping[str, Any], params: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Return the equal, step for step, of the rule in `optimizers.OPTIMIZERS`."""
    lr = float(hparams["lr_init"])
    s = torch.sigmoid(torch.tensor(float(hparams["optimizer_logit_momentum"]), dtype=torch.float64)).item()
    match hparams["optimizer"]:
        case "SGD":
            return torch.optim.SGD(params, lr)
        case "Momentum":
            return torch.optim.SGD(params, lr, momentum=s)
        case "Adam":
            return torch.optim.Adam(params, lr, betas=(s, ADAM_BETA2), eps=ADAM_EPSILON)
        case _:
            return torch.optim.RMSprop(params, lr, alpha=s, eps=RMSPROP_EPSILON)
