"""The training tasks: what a network reads, what it has to answer, and how that is scored.

A task is a set of numbered items. `Task.items` makes a batch of any of them, for every member of a population at once,
and `Task.parts` says which numbers are for training, validation and test. Two scales exist (see `make_task`): `lab`,
small enough that a training takes a second, and `paper`, of Collins, Sohl-Dickstein and Sussillo (ICLR 2017),
appendix B.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .counter import random_below, random_bits, random_uniform
from .losses import CrossEntropy, Loss, SquaredError

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


class Text8(Task):
    """Predict the next character of English text of a-z and space.

    Parameters
    ----------
    text : array of uint8
        Symbols 0 (space), 1 to 26 (a to z), in order; split 90/5/5.
    steps, warm_up, batch : int
        T; steps at the start that are not scored, as the state is reset; B.
    """

    name, n_in, n_out, unit, trivial = "text8", 27, 27, "bits per character", 4.118
    loss = CrossEntropy(bits=True)
    evaluated = 256

    def __init__(self, text: NDArray[np.uint8], steps: int = 25, warm_up: int = 5, batch: int = 16) -> None:
        self.text = torch.from_numpy(np.array(text))
        self.steps, self.batch, self.scored, self._warm_up = steps, batch, slice(warm_up, None), warm_up
        self.parts = {part: range(r.start, r.stop - steps) for part, r in split(len(text)).items()}

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`; an item's number is the place of its window."""
        self.text = self.text.to(index.device)
        window = torch.arange(self.steps + 1, device=index.device).view(-1, 1, 1)
        symbols = self.text[index + window].long()
        return Batch(symbols[:-1], symbols[1 + self._warm_up :])


class ParensCounting(TableTask):
    """Count the open brackets of each kind, at every step, among noise.

    Parameters
    ----------
    kinds : int
        Kinds of brackets.
    noise_symbols : int
        Other symbols.
    noise : float
        Share of noise.
    most : int
        Largest count.
    steps, batch, items : int
        T, B, sequences in all.
    """

    name, unit, trivial = "parens_counting", "nats", 1.453
    evaluated = 2000

    def __init__(
        self, kinds: int = 2, noise_symbols: int = 4, noise: float = 0.3, most: int = 5, steps: int = 24,
        batch: int = 16, items: int = 40_000,
    ) -> None:  # fmt: skip
        self.n_in, self.n_out = 2 * kinds + noise_symbols, kinds * (most + 1)
        self.steps, self.batch, self.loss, self.parts = steps, batch, CrossEntropy(heads=kinds), split(items)
        rng = np.random.default_rng(20161129)
        symbols = np.empty((items, steps), dtype=np.uint8)
        counts = np.zeros((items, steps + 1, kinds), dtype=np.int8)
        rows = np.arange(items)
        for t in range(steps):
            kind = rng.integers(kinds, size=items)
            before = counts[rows, t, kind]
            opens = np.where(before == 0, True, np.where(before == most, False, rng.random(items) < 0.5))
            silent = rng.random(items) < noise
            symbols[:, t] = np.where(silent, 2 * kinds + rng.integers(noise_symbols, size=items), 2 * kind + ~opens)
            counts[:, t + 1] = counts[:, t]
            counts[rows, t + 1, kind] += np.where(silent, 0, np.where(opens, 1, -1)).astype(np.int8)
        self.inputs, self.answers = torch.from_numpy(symbols), torch.from_numpy(counts[:, 1:].copy())


class Arithmetic(TableTask):
    """Write the answer of a sum or difference, character by character: "37+58= 95", only the answer scored.

    Parameters
    ----------
    digits : int
        Digits of an operand, right-aligned.
    batch, items : int
        B, problems in all.
    """

    name, unit, trivial = "arithmetic", "nats per answer character", 1.906
    alphabet: Final = "0123456789+-= "
    loss = CrossEntropy()

    def __init__(self, digits: int = 2, batch: int = 32, items: int = 20_000) -> None:
        answer = digits + 1
        self.n_in = self.n_out = len(self.alphabet)
        self.steps, self.batch = 2 * digits + 1 + answer, batch
        self.scored, self.parts = slice(-answer, None), split(items)
        rng = np.random.default_rng(20170424)
        left, right = rng.integers(10**digits, size=(2, items))
        plus = rng.random(items) < 0.5
        lines = [
            f"{a:{digits}d}{'+' if p else '-'}{b:{digits}d}={a + b if p else a - b:{answer}d}"
            for a, b, p in zip(left.tolist(), right.tolist(), plus.tolist(), strict=True)
        ]
        places = {character: place for place, character in enumerate(self.alphabet)}
        symbols = np.array([[places[character] for character in line] for line in lines], dtype=np.uint8)
        self.inputs = torch.from_numpy(symbols[:, :-1].copy())
        self.answers = torch.from_numpy(symbols[:, -answer:].copy())


class MemThru(Task):
    """Reproduce vectors, uniform in +-sqrt 3, in order, after a pause, while one more input is 1.

    Parameters
    ----------
    size, vectors, pause, batch : int
        Numbers a vector, vectors, blank steps between, B.
    """

    name, unit, trivial, loss = "mem_thru", "mean squared error", 1.0, SquaredError()

    def __init__(self, size: int = 4, vectors: int = 3, pause: int = 3, batch: int = 32) -> None:
        self.n_in, self.n_out, self.batch = size + 1, size, batch
        self._vectors, self.steps = vectors, 2 * vectors + pause
        self.scored = slice(-vectors, None)
        valid, test = 2**60 + 73_000, 2**61 + 56_000  # so that answering 0 costs 1.000 there, as it does on average
        self.parts = {"train": range(2**60), "valid": range(valid, valid + 1000), "eval": range(test, test + 1000)}

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`; an item's number is hashed into its vectors."""
        rows, size = self._vectors, self.n_out
        element = torch.arange(rows * size, device=index.device).view(rows, 1, size, 1)
        vectors = (2 * random_uniform(random_bits(index.new_zeros(()), index).unsqueeze(1), element) - 1) * math.sqrt(3)
        inputs = vectors.new_zeros(self.steps, index.shape[0], self.n_in, index.shape[1])
        inputs[:rows, :, :size] = vectors
        inputs[-rows:, :, size] = 1
        return Batch(inputs, vectors)


class Rcf(Task):
    """Regress one fixed random Fourier function of a static N(0, 1) input; read at the last step.

    Parameters
    ----------
    size, steps, batch, items : int
        Numbers in the input, T, B, points in all (80 % for training, 10 % each for validation and test).
    features : int
        Cosines in the function.
    length : float
        Length scale of the function.
    seed : int
        Seed of function and points. With the default, linear regression reaches 0.80 on the test part.
    """

    name, n_out, unit, trivial, loss = "rcf", 1, "mean squared error", 1.0, SquaredError()

    def __init__(
        self, size: int = 4, steps: int = 4, batch: int = 64, items: int = 10_000, features: int = 128,
        length: float = 1.5, seed: int = 118,
    ) -> None:  # fmt: skip
        self.n_in, self.steps, self.batch = size, steps, batch
        self.scored, self.parts = slice(-1, None), split(items, (0.8, 0.9))
        rng = np.random.default_rng(seed)
        points = rng.standard_normal((items, size))
        waves, phases = rng.standard_normal((size, features)) / length, rng.uniform(0, 2 * math.pi, features)
        values = np.cos(points @ waves + phases) @ rng.standard_normal(features)
        values = (values - values.mean()) / values.std()
        self.points, self.values = torch.from_numpy(points), torch.from_numpy(values)

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`."""
        dtype = torch.get_default_dtype()
        self.points, self.values = (x.to(index.device, dtype) for x in (self.points, self.values))
        static = self.points[index].transpose(1, 2)
        return Batch(static.expand(self.steps, *static.shape), self.values[index].view(1, index.shape[0], 1, -1))


class PerCap(Task):
    """Memorise random labels of random binary vectors, an own set each run; read at the last step.

    Parameters
    ----------
    samples : int
        Vectors in the set; training, validation and test are the same set.
    size, steps, batch : int
        Bits in a vector (at most 62), T, B.
    """

    name, n_out, unit, trivial = "per_cap", 2, "bits per item", 1.0
    loss = CrossEntropy(bits=True)

    def __init__(self, samples: int, size: int = 16, steps: int = 4, batch: int = 64) -> None:
        self.n_in, self.steps, self.batch, self.evaluated = size, steps, batch, samples
        self.scored = slice(-1, None)
        self.parts = dict.fromkeys(("train", "valid", "eval"), range(samples))

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`; an item's bits are a hash of the member's stream and the item's number."""
        noise = random_bits(random_bits(stream, stream.new_full((), 2**62)), index)
        places = torch.arange(1, self.n_in + 1, device=index.device).view(1, -1, 1)
        static = ((noise.unsqueeze(1) >> places) & 1).to(torch.get_default_dtype())
        return Batch(static.expand(self.steps, *static.shape), (noise & 1).unsqueeze(0))
