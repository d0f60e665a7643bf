"""The members of a population: what each is, and its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .initial import draw_parameters, hack_offsets
from .network import Layout


@dataclass(frozen=True)
class Member:
    """A run to be made: its place in the caller's list, its configuration and its seed."""

    place: int
    hparams: Mapping[str, Any]
    seed: int


@dataclass
class State:
    """Everything that belongs to a member, members first: [P, N] for the first four, [P, 1] for the others.

    Attributes
    ----------
    theta : Tensor
        Parameters.
    offset : Tensor
        `forget_gate_bias_hack` at the parameters that it is added to; not trained.
    m, v : Tensor
        The optimizers' memory.
    stream : Tensor
        The seed, as the stream of random numbers (int64).
    step, steps : Tensor
        Steps done, steps to do (int64).
    running, diverged : Tensor
        Flags.
    lr_init, lr_decay_rate, s, clip, l2 : Tensor
        Hyperparameters; s is the sigmoid of `optimizer_logit_momentum`.
    clock_start, clock_end : Tensor
        The population's clock, in seconds for each member, when the member came and when it ended (float64).
    """

    theta: Tensor
    offset: Tensor
    m: Tensor
    v: Tensor
    stream: Tensor
    step: Tensor
    steps: Tensor
    running: Tensor
    diverged: Tensor
    lr_init: Tensor
    lr_decay_rate: Tensor
    s: Tensor
    clip: Tensor
    l2: Tensor
    clock_start: Tensor
    clock_end: Tensor

    @classmethod
    def of(cls, members: Sequence[Member], layout: Layout, like: Tensor, clock: float) -> State:
        """Return the state of new members before their first step, in the dtype and on the device of `like`."""

        def column(values: list[Any], dtype: torch.dtype = like.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=like.device).view(-1, 1)

        def hparam(name: str) -> Tensor:
            return column([float(member.hparams.get(name, 0)) for member in members])

        count = len(members)
        theta = np.stack([draw_parameters(layout, member.hparams, member.seed) for member in members])
        start = torch.from_numpy(theta).to(like)
        return cls(
            theta=start,
            offset=torch.from_numpy(hack_offsets(layout)).to(like) * hparam("forget_gate_bias_hack"),
            m=torch.zeros_like(start),
            v=torch.zeros_like(start),
            stream=column([member.seed for member in members], torch.int64),
            step=column([0] * count, torch.int64),
            steps=column([int(member.hparams["train_steps"]) for member in members], torch.int64),
            running=column([True] * count, torch.bool),
            diverged=column([False] * count, torch.bool),
            lr_init=hparam("lr_init"),
            lr_decay_rate=hparam("lr_decay_rate"),
            s=torch.sigmoid(hparam("optimizer_logit_momentum").double()).to(like),
            clip=hparam("gradient_clip_val"),
            l2=hparam("l2_decay"),
            clock_start=column([clock] * count, torch.float64),
            clock_end=column([clock] * count, torch.float64),
        )

    def take(self, index: Tensor) -> State:
        """Return the members at the given places, in that order."""
        return State(**{field.name: getattr(self, field.name)[index] for field in fields(State)})

    def joined(self, other: State) -> State:
        """Return these members followed by the other's."""
        names = [field.name for field in fields(State)]
        return State(**{name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names})
