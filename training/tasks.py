"""The six tasks, at two scales.

The defaults are the `lab` scale, small enough that a training takes a second. The `paper` scale is that of Collins,
Sohl-Dickstein and Sussillo (ICLR 2017), appendix B, as far as it is known; what is guessed, each class says.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .counter import random_bits, random_normal, random_uniform
from .losses import CrossEntropy, SquaredError
from .task import Batch, Part, TableTask, Task, split


def _entropy(symbols: Tensor) -> float:
    """Return the mean entropy of the columns of [items, columns], in nats: the loss of the best constant guesses."""
    shares = [torch.bincount(column.long()).double() / len(column) for column in symbols.unbind(1)]
    return float(torch.stack([-torch.special.xlogy(share, share).sum() for share in shares]).mean())


class Text8(Task):
    """Predict the next character of English text of a-z and space.

    Parameters
    ----------
    text : array of uint8
        Symbols 0 (space), 1 to 26 (a to z), in order; split 90/5/5.
    steps, warm_up, batch : int
        T; steps at the start that are not scored, as the state is reset; B.
    """

    name, n_in, n_out, unit = "text8", 27, 27, "bits per character"
    loss = CrossEntropy(bits=True)
    evaluated = 256

    def __init__(self, text: NDArray[np.uint8], steps: int = 25, warm_up: int = 5, batch: int = 16) -> None:
        self.text = torch.from_numpy(np.array(text))
        self.trivial = _entropy(self.text.view(-1, 1)) / math.log(2)
        self.steps, self.batch, self.scored, self._warm_up = steps, batch, slice(warm_up, None), warm_up
        self.parts = {part: range(r.start, r.stop - steps) for part, r in split(len(text)).items()}

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`; an item's number is the place of its window."""
        self.text = self.text.to(index.device)
        window = torch.arange(self.steps + 1, device=index.device).view(-1, 1, 1)
        symbols = self.text[index + window].long()
        return Batch(symbols[:-1], symbols[1 + self._warm_up :])


class ParensCounting(TableTask):
    """Count the open brackets of each kind among noise.

    A step is noise, or a bracket of a random kind, which opens with probability 1/2, always when its count is 0, never
    when it is `most`.

    Parameters
    ----------
    kinds, noise_symbols : int
        Kinds of brackets, other symbols.
    noise : float
        Share of noise.
    most : int
        Largest count.
    streams : int
        Sets of input lines; each symbol comes on a random one (guessed from the paper's 300 inputs).
    steps, batch, items : int
        T, B, sequences in all.
    at_end : bool
        Whether only the last step is scored, with the heads' losses added up.
    """

    name, unit = "parens_counting", "nats"
    evaluated = 2000

    def __init__(
        self, kinds: int = 2, noise_symbols: int = 4, noise: float = 0.3, most: int = 5, streams: int = 1,
        steps: int = 24, batch: int = 16, items: int = 40_000, at_end: bool = False,
    ) -> None:  # fmt: skip
        self.n_in, self.n_out = streams * (2 * kinds + noise_symbols), kinds * (most + 1)
        self.steps, self.batch, self.parts = steps, batch, split(items)
        self.loss, self.scored = CrossEntropy(heads=kinds, summed=at_end), slice(-1, None) if at_end else slice(None)
        rng = np.random.default_rng(20161129)
        symbols = np.empty((items, steps), dtype=np.int16)
        counts = np.zeros((items, kinds), dtype=np.int8)
        answers = np.empty((items, 1 if at_end else steps, kinds), dtype=np.int8)
        for t in range(steps):
            symbols[:, t] = _bracket_step(counts, noise_symbols, noise, most, rng)
            answers[:, 0 if at_end else t] = counts
        if streams > 1:
            symbols += (2 * kinds + noise_symbols) * rng.integers(streams, size=symbols.shape, dtype=np.int16)
        self.inputs, self.answers = torch.from_numpy(symbols), torch.from_numpy(answers)
        self.trivial = _entropy(self.answers.flatten(1)) * (kinds if at_end else 1)


def _bracket_step(
    counts: NDArray[np.int8], noise_symbols: int, noise: float, most: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Draw one symbol a sequence, 2 kind + (0 open, 1 close) or noise, and update the counts, [items, kinds]."""
    items, kinds = counts.shape
    rows, kind = np.arange(items), rng.integers(kinds, size=items)
    before = counts[rows, kind]
    opens = np.where(before == 0, True, np.where(before == most, False, rng.random(items) < 0.5))
    silent = rng.random(items) < noise
    counts[rows, kind] += np.where(silent, 0, np.where(opens, 1, -1)).astype(np.int8)
    return np.where(silent, 2 * kinds + rng.integers(noise_symbols, size=items), 2 * kind + ~opens).astype(np.int16)


class Arithmetic(TableTask):
    """Write the answer of a sum or difference, character by character: "37+58= 95", only the answer scored.

    Parameters
    ----------
    low, high : int
        Range of the operands.
    digits, answer : int
        Characters of an operand and of the answer, right-aligned.
    pause : int
        Blanks between the equals sign and the answer (a guess where the paper has 36 steps).
    batch, items : int
        B, problems in all.
    """

    name, unit = "arithmetic", "nats per answer character"
    alphabet: Final = "0123456789+-= "
    loss = CrossEntropy()

    def __init__(
        self, low: int = 0, high: int = 99, digits: int = 2, answer: int = 3, pause: int = 0, batch: int = 32,
        items: int = 20_000,
    ) -> None:  # fmt: skip
        self.n_in = self.n_out = len(self.alphabet)
        self.steps, self.batch = 2 * digits + 1 + pause + answer, batch
        self.scored, self.parts = slice(-answer, None), split(items)
        rng = np.random.default_rng(20170424)
        left, right = rng.integers(low, high + 1, size=(2, items))
        plus = rng.random(items) < 0.5
        lines = [
            f"{a:{digits}d}{'+' if p else '-'}{b:{digits}d}={' ' * pause}{a + b if p else a - b:{answer}d}"
            for a, b, p in zip(left.tolist(), right.tolist(), plus.tolist(), strict=True)
        ]
        places = {character: place for place, character in enumerate(self.alphabet)}
        symbols = np.array([[places[character] for character in line] for line in lines], dtype=np.uint8)
        self.inputs = torch.from_numpy(symbols[:, :-1].copy())
        self.answers = torch.from_numpy(symbols[:, -answer:].copy())
        self.trivial = _entropy(self.answers)


class MemThru(Task):
    """Reproduce vectors, uniform in +-sqrt 3, in order, after a pause.

    Parameters
    ----------
    size, vectors, pause, batch : int
        Numbers a vector, vectors, blank steps between, B.
    flagged : bool
        Whether one more input is 1 while the vectors are to be reproduced.
    """

    name, unit, trivial, loss = "mem_thru", "mean squared error", 1.0, SquaredError()

    def __init__(self, size: int = 4, vectors: int = 3, pause: int = 3, batch: int = 32, flagged: bool = True) -> None:
        self.n_in, self.n_out, self.batch = size + flagged, size, batch
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
        inputs[-rows:, :, size:] = 1
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
        Seed of function and points. With the default, linear regression reaches 0.79 on the test part.
    """

    name, n_out, unit, trivial, loss = "rcf", 1, "mean squared error", 1.0, SquaredError()

    def __init__(
        self, size: int = 4, steps: int = 4, batch: int = 64, items: int = 10_000, features: int = 128,
        length: float = 1.5, seed: int = 61,
    ) -> None:  # fmt: skip
        self.n_in, self.steps, self.batch = size, steps, batch
        self.scored, self.parts = slice(-1, None), split(items, (0.8, 0.9))
        rng = np.random.default_rng(seed)
        points = rng.standard_normal((items, size))
        waves, phases = rng.standard_normal((size, features)) / length, rng.uniform(0, 2 * math.pi, features)
        values = np.cos(points @ waves + phases) @ rng.standard_normal(features)
        values -= values.mean()
        values /= np.sqrt(np.mean(values[self.parts["eval"].start :] ** 2))  # answering 0 costs 1 on the test part
        self.points, self.values = torch.from_numpy(points), torch.from_numpy(values)

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`."""
        dtype = torch.get_default_dtype()
        self.points, self.values = (x.to(index.device, dtype) for x in (self.points, self.values))
        static = self.points[index].transpose(1, 2)
        return Batch(static.expand(self.steps, *static.shape), self.values[index].view(1, index.shape[0], 1, -1))


class RandomPoints(Task):
    """`rcf` of the paper: regress random numbers at random points; predicting 0 gives 1.0.

    A point's weight in the loss is proportional to 1 / (number + 5000). Points are drawn with these probabilities, so
    that the plain mean squared error is that loss in expectation. Training, validation and test are the same points.

    Parameters
    ----------
    size, steps, batch, items : int
        Numbers in a point, T, B, points in all.
    """

    name, n_out, unit, trivial, loss = "rcf", 1, "mean squared error", 1.0, SquaredError()
    evaluated = 4000
    offset: Final = 5000

    def __init__(self, size: int = 50, steps: int = 50, batch: int = 64, items: int = 1_000_000) -> None:
        self.n_in, self.steps, self.batch = size, steps, batch
        self.scored = slice(-1, None)
        self.parts = dict.fromkeys(("train", "valid", "eval"), range(items))

    def training_batch(self, stream: Tensor, step: Tensor) -> Batch:
        """See `Task.training_batch`."""
        counter = step * self.batch + torch.arange(self.batch, device=stream.device)
        return self.items(self._weighted(random_uniform(stream, counter)), stream)

    def evaluation_items(self, part: Part) -> Tensor:
        """See `Task.evaluation_items`: evenly spaced quantiles of the weights."""
        return self._weighted((torch.arange(self.evaluated) + 0.5) / self.evaluated)

    def _weighted(self, quantile: Tensor) -> Tensor:
        """Return the point i at a quantile of the weights: log(1 + i / offset) / log(1 + items / offset), inverted."""
        items = len(self.parts["train"])
        place = self.offset * torch.expm1(quantile.double() * math.log1p(items / self.offset))
        return place.long().clamp_(max=items - 1)

    def items(self, index: Tensor, stream: Tensor) -> Batch:
        """See `Task.items`; a point and its value are a hash of its number."""
        place = torch.arange(self.n_in + 1, device=index.device).view(1, -1, 1)
        numbers = random_normal(random_bits(index.new_zeros(()), index).unsqueeze(1), place)
        static = numbers[:, : self.n_in]
        return Batch(static.expand(self.steps, *static.shape), numbers[:, self.n_in :].unsqueeze(0))


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
