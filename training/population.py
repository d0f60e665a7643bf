"""Populations: many configurations of one setup, trained as one batched network.

Each member has its own configuration, seed, schedule, clip, optimizer and end. A member that ends or diverges is
frozen; when a fifth have, they leave, are measured, and waiting ones take their places. Nothing a member computes
depends on its neighbours: its data and initial parameters come from its own seed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from .layer import Shape
from .network import Layout, Network
from .optimizers import OPTIMIZERS, clip_, update
from .state import Member, State
from .task import Batch, Part, Task

EVALUATION_BATCH: Final = 256
LEAVING_SHARE: Final = 0.2
"""Ended members leave when they are this share of the population."""


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes
    ----------
    place : int
        Place of the run in the caller's list.
    train_loss, valid_loss, eval_loss : float
        Final losses of the frozen network, in the task's unit; not finite where the network is broken.
    diverged : bool
        Whether a minibatch loss or the gradient's norm became NaN or infinite in training.
    steps_done : int
        Training steps until the end or until then.
    wall_seconds : float
        The run's share of the time that its population took, seconds: of the processor's on a CPU, else of the wall
        clock's.
    """

    place: int
    train_loss: float
    valid_loss: float
    eval_loss: float
    diverged: bool
    steps_done: int
    wall_seconds: float


class Population:
    """Members that train together.

    Parameters
    ----------
    task : Task
    layout : Layout
    like : Tensor
        A tensor of the wanted dtype and device.
    """

    def __init__(self, task: Task, layout: Layout, like: Tensor) -> None:
        self.task, self.layout, self.like = task, layout, like
        self.members: list[Member] = []
        self.clock = 0.0
        self.now = time.process_time if like.device.type == "cpu" else time.perf_counter

    def admit(self, newcomers: Sequence[Member]) -> None:
        """Add members, and sort all by what is done to slices of the population: activation, then optimizer."""
        fresh = State.of(newcomers, self.layout, self.like, self.clock)
        self._set([*self.members, *newcomers], self.state.joined(fresh) if self.members else fresh)

    def _set(self, members: list[Member], state: State) -> None:
        order = sorted(range(len(members)), key=lambda k: _sort_key(members[k]))
        self.members = [members[k] for k in order]
        self.state = state.take(torch.tensor(order, dtype=torch.int64, device=self.like.device))
        self.network: Network | None = None

    def _network(self, members: list[Member], batch: int) -> Network:
        shape = Shape(self.task.steps, len(members), self.layout.width, batch)
        tanh_members = sum(_is_tanh(member) for member in members)
        return Network(self.layout, shape, self.task.scored, self.like, tanh_members)

    def step(self) -> None:
        """Take one training step of every running member."""
        began, state, trained = self.now(), self.state, self.state.running.clone()
        if self.network is None:
            self.network = self._network(self.members, self.task.batch)
            self.gradient = torch.empty_like(state.theta)
        batch = self.task.training_batch(state.stream, state.step)
        outputs = self.network.forward(state.theta + state.offset, batch.inputs)
        loss, d_outputs = self.task.loss(outputs, columns(batch))
        grad = self.network.backward(d_outputs, out=self.gradient).addcmul_(state.l2, state.theta)
        norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
        healthy = torch.isfinite(loss.unsqueeze(1)) & torch.isfinite(norm)
        state.diverged |= state.running & ~healthy
        state.running &= healthy
        clip_(grad, norm, state.clip)
        lr = state.lr_init * state.lr_decay_rate ** (state.step / state.steps).to(self.like.dtype)
        running = int(state.running.sum())
        if running < len(self.members):
            grad.masked_fill_(~state.running, 0)
            lr = lr * state.running
        names = [str(member.hparams["optimizer"]) for member in self.members]
        update(names, state.theta, grad, state.m, state.v, lr, state.s, state.step + 1)
        state.step += state.running
        state.running &= state.step < state.steps
        self.clock += (self.now() - began) / max(running, 1)
        state.clock_end.masked_fill_(trained, self.clock)

    def ended(self) -> int:
        """Return how many members have ended."""
        return len(self.members) - int(self.state.running.sum())

    def release(self) -> list[Outcome]:
        """Measure the members that have ended, and let them go."""
        began = self.now()
        running = self.state.running.squeeze(1)
        leaving, staying = (torch.nonzero(mask).squeeze(1) for mask in (~running, running))
        members, state = [self.members[k] for k in leaving.tolist()], self.state.take(leaving)
        losses = self._measure(members, state)
        self._set([self.members[k] for k in staying.tolist()], self.state.take(staying))
        share = (self.now() - began) / len(members)
        rows = zip(
            members, *losses, state.diverged.view(-1).tolist(), state.step.view(-1).tolist(),
            (state.clock_end - state.clock_start).view(-1).tolist(), strict=True,
        )  # fmt: skip
        return [
            Outcome(member.place, train, valid, test, diverged, steps, seconds + share)
            for member, train, valid, test, diverged, steps, seconds in rows
        ]

    def _measure(self, members: list[Member], state: State) -> list[list[float]]:
        """Return the final losses of members: three lists (training, validation, test part)."""
        known: dict[range, list[float]] = {}
        parts: tuple[Part, ...] = ("train", "valid", "eval")
        for part in parts:
            numbers = self.task.parts[part]
            if numbers not in known:
                known[numbers] = self._part_loss(part, members, state)
        return [known[self.task.parts[part]] for part in parts]

    def _part_loss(self, part: Part, members: list[Member], state: State) -> list[float]:
        index = self.task.evaluation_items(part).to(self.like.device)
        theta, total, network = state.theta + state.offset, torch.zeros(len(members), dtype=torch.float64), None
        for chunk in index.split(EVALUATION_BATCH):
            if network is None or network.shape.batch != len(chunk):
                network = self._network(members, len(chunk))
            batch = self.task.items(chunk.expand(len(members), -1), state.stream)
            loss, _ = self.task.loss(network.forward(theta, batch.inputs), columns(batch))
            total += loss.double().cpu() * len(chunk)
        return (total / len(index)).tolist()


def columns(batch: Batch) -> Tensor:
    """Return a batch's targets as losses want them: [P, M], or [P, heads, M]; steps before sequences."""
    targets = batch.targets
    return targets.permute(1, 2, 0, 3).flatten(2) if targets.dim() == 4 else targets.permute(1, 0, 2).flatten(1)


def _is_tanh(member: Member) -> bool:
    return member.hparams.get("activation") == "tanh"


def _sort_key(member: Member) -> tuple[bool, int]:
    return not _is_tanh(member), list(OPTIMIZERS).index(str(member.hparams["optimizer"]))


def train(task: Task, layout: Layout, members: Sequence[Member], like: Tensor, capacity: int) -> Iterator[Outcome]:
    """Train members of one setup, `capacity` at a time, long ones first; yield each run when it is finished.

    Parameters
    ----------
    task : Task
    layout : Layout
    members : sequence of Member
    like : Tensor
        A tensor of the wanted dtype and device.
    capacity : int
        Members that train together.
    """
    waiting = sorted(members, key=lambda member: int(member.hparams["train_steps"]))
    population = Population(task, layout, like)
    while waiting or population.members:
        free = capacity - len(population.members)
        if waiting and free:
            population.admit([waiting.pop() for _ in range(min(free, len(waiting)))])
        leaving = max(1, math.ceil(LEAVING_SHARE * len(population.members)))
        while population.ended() < leaving:
            population.step()
        yield from population.release()
