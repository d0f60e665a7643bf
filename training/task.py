"""What a task is: what a network reads, what it has to answer, and how that is scored.

A task is a set of numbered items. `Task.items` makes a batch of any of them, for every member of a population at once,
and `Task.parts` says which numbers are for training, validation and test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from .counter import random_below
from .losses import Loss

Part = Literal["train", "valid", "eval"]
EVALUATION_STREAM: Final = 1
"""Stream of random numbers from which fixed evaluation items are drawn."""


class Batch(NamedTuple):
    """Items for every member: T steps, P members, B items, I inputs, S scored steps (the last S of T).

    Attributes
    ----------
    inputs : Tensor
        Symbols, integers [T, P, B], or numbers [T, P, I, B].
    targets : Tensor
        Classes, integers [S, P, B], or, with several heads or numbers, [S, P, heads, B].
    """

    inputs: Tensor
    targets: Tensor


class Task(ABC):
    """What a network is trained on. A task of your own is a subclass: set the attributes, write `items`.

    Attributes
    ----------
    name : str
        The corpus's `task_type`.
    n_in, n_out : int
        Inputs and outputs of the network.
    steps : int
        T, time steps.
    batch : int
        B, sequences a training step.
    scored : slice
        The steps whose outputs are scored.
    loss : Loss
        Mean loss and its gradient; see `losses`.
    unit : str
        Unit of the loss; lower is better.
    trivial : float
        Loss of the best predictor that ignores the input.
    parts : dict of str to range
        Numbers of the items for training, validation and test.
    evaluated : int
        Most items that a final loss is measured on; they are always the same.
    """

    name: str
    n_in: int
    n_out: int
    steps: int
    batch: int
    scored: slice = slice(None)
    loss: Loss
    unit: str
    trivial: float
    parts: dict[Part, range]
    evaluated: int = 1000

    @abstractmethod
    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """Return the items with the given numbers.

        Parameters
        ----------
        index : Tensor
            Numbers of items, int64 [P, B], each within `parts`.
        stream : Tensor
            Each member's own random stream, int64 [P, 1]; for tasks whose items differ from run to run.
        """

    def training_batch(self, stream: Tensor, step: Tensor) -> Batch:
        """Return the batch of each member's training step; stream and step are int64 [P, 1]."""
        part = self.parts["train"]
        counter = step * self.batch + torch.arange(self.batch, device=stream.device)
        return self.items(part.start + random_below(stream, counter, len(part)), stream)

    def evaluation_items(self, part: Part) -> Tensor:
        """Return the numbers of the items that a final loss is measured on, int64 [at most `evaluated`]."""
        numbers = self.parts[part]
        if len(numbers) <= self.evaluated:
            return torch.arange(numbers.start, numbers.stop)
        chosen = random_below(torch.tensor(EVALUATION_STREAM), torch.arange(self.evaluated), len(numbers))
        return numbers.start + chosen


def split(count: int, shares: tuple[float, float] = (0.9, 0.95)) -> dict[Part, range]:
    """Return the parts of `count` items in order: training up to the first share, validation up to the second, test."""
    first, second = (round(count * share) for share in shares)
    return {"train": range(first), "valid": range(first, second), "eval": range(second, count)}


class TableTask(Task):
    """A task whose items lie in memory: `inputs` [items, T] of symbols, `answers` [items, S] or [items, S, heads]."""

    inputs: Tensor
    answers: Tensor

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`."""
        inputs, answers = self._table(index.device)
        return Batch(_steps_first(inputs[index].long()), _steps_first(answers[index].long()))

    def _table(self, device: torch.device) -> tuple[Tensor, Tensor]:
        self.inputs, self.answers = self.inputs.to(device), self.answers.to(device)
        return self.inputs, self.answers


def _steps_first(items: Tensor) -> Tensor:
    """Return [P, B, T] as [T, P, B] and [P, B, T, heads] as [T, P, heads, B]."""
    return items.permute(2, 0, 3, 1) if items.dim() == 4 else items.permute(2, 0, 1)
