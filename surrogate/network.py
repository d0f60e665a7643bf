"""Small neural networks that map a feature matrix to scores: fitted, evaluated and stored with NumPy alone.

Notation: x inputs of one layer, W and b its weights, z = x W + b, silu(z) = z sigma(z), m dropout mask.

A member is a multilayer perceptron with SiLU units (Elfwing, Uchibe and Doya 2018), fitted by Adam (Kingma and Ba 2015)
with dropout (Srivastava et al. 2014) and a learning rate that rises linearly over the first tenth of the steps and
falls to 0 along a cosine (Smith and Topin 2018). Of each target it learns not a number but a distribution over bins, by
the cross-entropy to the target smeared over its neighbouring bins by a Gaussian (the histogram loss of Imani and White
2018); the distribution's mean is its prediction, its standard deviation says how sure it is. An `Ensemble` mixes the
distributions of members that differ in their seed. Everything is float32.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8
LARGEST: Final = 4.0
"""Inputs are cut at this many standard deviations."""
FINE: Final = 32
"""Parts of a bin that targets are rounded to."""
CHUNK: Final = 512
"""Rows that are predicted at a time, so that a layer stays in the cache."""
MOST_ROWS: Final = 3_000_000
"""Runs that one network sees in all its epochs, at most: many runs need fewer epochs (`count_epochs`)."""
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkSettings:
    """How networks look and how they are fitted.

    Parameters
    ----------
    units, layers : int
        Hidden units a layer, hidden layers.
    members : int
        Networks in an ensemble.
    epochs, batch : int
        Passes over the runs, fewer for many runs (`count_epochs`); runs a step.
    learning_rate : float
        Highest learning rate.
    dropout : float
        Probability that a hidden unit is left out in a step.
    bins : int
        Bins between the lowest and the highest value of a target that is told from the next.
    reach : float
        That value: bins lie between -reach and reach.
    smear : float
        Standard deviation of the Gaussian that smears a target, in bins.
    """

    units: int = 192
    layers: int = 4
    members: int = 3
    epochs: int = 40
    batch: int = 256
    learning_rate: float = 4e-3
    dropout: float = 0.2
    bins: int = 32
    reach: float = 3.2
    smear: float = 0.75

    @property
    def edges(self) -> Floats:
        """The bins' borders, shape (bins + 1,)."""
        return np.linspace(-self.reach, self.reach, self.bins + 1)


@dataclass(frozen=True)
class Inputs:
    """Turns a feature matrix into network inputs: numbers standardised, categories one-hot, what is missing 0.

    Parameters
    ----------
    numbers, categories : tuple of int
        Columns of the matrix.
    centre, spread : ndarray of shape (n_numbers,)
        Mean and standard deviation of the numbers where they are present.
    sizes : tuple of int
        Codes of each category: 0 to size - 1.
    """

    numbers: tuple[int, ...]
    categories: tuple[int, ...]
    centre: Floats
    spread: Floats
    sizes: tuple[int, ...]

    @classmethod
    def fit(cls, matrix: Floats, categories: list[int]) -> Inputs:
        """Learn means, deviations and codes."""
        numbers = tuple(column for column in range(matrix.shape[1]) if column not in categories)
        values = matrix[:, list(numbers)]
        present = ~np.isnan(values)
        count = np.maximum(present.sum(axis=0), 1)
        centre = np.where(present, values, 0).sum(axis=0) / count
        spread = np.sqrt((np.where(present, values - centre, 0) ** 2).sum(axis=0) / count)
        sizes = tuple(int(np.nanmax(matrix[:, column], initial=-1)) + 1 for column in categories)
        return cls(numbers, tuple(categories), centre, np.where(spread > 0, spread, 1.0), sizes)

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.numbers) + sum(self.sizes)

    @property
    def columns(self) -> NDArray[np.int64]:
        """The matrix's column behind each input, shape (width,)."""
        return np.concatenate([self.numbers, np.repeat(self.categories, self.sizes)]).astype(np.int64)

    def without(self, columns: Collection[int]) -> Inputs:
        """Return the same without the inputs of some columns of the matrix."""
        numbers = [place for place, column in enumerate(self.numbers) if column not in columns]
        categories = [place for place, column in enumerate(self.categories) if column not in columns]
        return Inputs(
            tuple(self.numbers[place] for place in numbers),
            tuple(self.categories[place] for place in categories),
            self.centre[numbers],
            self.spread[numbers],
            tuple(self.sizes[place] for place in categories),
        )

    def __call__(self, matrix: Floats) -> Singles:
        """Return the inputs of shape (n_rows, width)."""
        out = np.zeros((len(matrix), self.width), dtype=np.float32)
        scaled = (matrix[:, list(self.numbers)] - self.centre) / self.spread
        out[:, : len(self.numbers)] = np.where(np.isnan(scaled), 0.0, scaled.clip(-LARGEST, LARGEST))
        start = len(self.numbers)
        for column, size in zip(self.categories, self.sizes, strict=True):
            out[:, start : start + size] = matrix[:, column, None] == np.arange(size)
            start += size
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "numbers": self.numbers,
            "categories": self.categories,
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "sizes": self.sizes,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Inputs:
        """Rebuild from `to_dict`, or from its JSON."""
        numbers, categories, sizes = (
            tuple(int(item) for item in data[key]) for key in ("numbers", "categories", "sizes")
        )
        centre, spread = (np.asarray(data[key], dtype=np.float64) for key in ("centre", "spread"))
        return cls(numbers, categories, centre, spread, sizes)


@dataclass(frozen=True)
class Ensemble:
    """Fitted networks of one form, over the same inputs.

    Parameters
    ----------
    inputs : Inputs
        What the networks see of a feature matrix.
    widths : tuple of int
        Units of every layer, inputs and outputs included.
        The last layer has one for each bin of each target.
    weights : ndarray of shape (n_members, n_weights), float32
        Each member's weights: W row by row, then b, layer by layer.
    levels : ndarray of shape (n_bins,)
        The values in the middle of the bins.
    """

    inputs: Inputs
    widths: tuple[int, ...]
    weights: Singles
    levels: Floats

    @classmethod
    def fit(
        cls,
        matrix: Floats,
        targets: Floats,
        categories: list[int],
        settings: NetworkSettings,
        seed: int,
        progress: Callable[[float], None] | None = None,
    ) -> Ensemble:
        """Fit on a feature matrix of shape (n_runs, n_features) and targets of shape (n_runs, n_targets).

        Parameters
        ----------
        matrix, targets : ndarray
        categories : list of int
            Columns of the matrix that hold codes.
        settings : NetworkSettings
        seed : int
            Of everything random.
        progress : callable, optional
            Called with the share done, 0 to 1, after each epoch.
        """
        inputs = Inputs.fit(matrix, categories)
        x, y = inputs(matrix), Bins.of(targets, settings)
        widths = (inputs.width, *[settings.units] * settings.layers, targets.shape[1] * settings.bins)
        members = []
        for member in range(settings.members):
            rng = np.random.default_rng([seed, member])
            weights = _initial(widths, rng)
            for epoch in _descend(weights, x, y, widths, settings, rng):
                if progress is not None:
                    progress((member + (epoch + 1) / count_epochs(len(x), settings)) / settings.members)
            members.append(weights)
        return cls(inputs, widths, np.stack(members), (settings.edges[:-1] + settings.edges[1:]) / 2)

    def predict(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of what each row's targets may be, shape (n_rows, n_targets) each."""
        x = self.inputs(matrix)
        found = np.empty((len(x), self.widths[-1] // len(self.levels), 2), dtype=np.float32)
        for start in range(0, len(x), CHUNK):
            found[start : start + CHUNK] = self._moments(x[start : start + CHUNK]).mean(axis=0)
        return spread_out(found)

    def _moments(self, x: Singles) -> Singles:
        layers = self.layers
        for w, b in layers[:-1]:
            x = x @ w  # of shape (n_members, n_rows, units) after the first layer
            x += b
            gate = x * np.float32(0.5)  # silu(x) = h tanh(h) + h with h = x / 2
            np.tanh(gate, out=x)
            x *= gate
            x += gate
        w, b = layers[-1]
        return moments(x @ w + b, self.powers)

    def narrowed(self, known: Mapping[int, float]) -> Ensemble:
        """Return the same networks for rows whose features of these columns never change: with fewer inputs.

        What the known features (column to value, NaN for missing) add to the first layer goes into its biases.
        """
        row = np.full((1, 1 + int(self.inputs.columns.max())), np.nan)
        row[0, list(known)] = list(known.values())
        kept = ~np.isin(self.inputs.columns, list(known))
        constant = np.where(kept, np.float32(0), self.inputs(row)[0])
        members = []
        for flat in self.weights:
            w, b = _layers(flat, self.widths)[0]
            members.append(np.concatenate([w[kept].ravel(), (b + constant @ w).ravel(), flat[w.size + b.size :]]))
        widths = (int(kept.sum()), *self.widths[1:])
        return Ensemble(self.inputs.without(known), widths, np.stack(members), self.levels)

    @cached_property
    def powers(self) -> Singles:
        """The levels and their squares, shape (n_bins, 2)."""
        return np.stack([self.levels, self.levels**2], axis=1).astype(np.float32)

    @cached_property
    def layers(self) -> list[tuple[Singles, Singles]]:
        """All members' (W, b) of each layer, of shapes (n_members, below, above) and (n_members, 1, above)."""
        members = [_layers(weights, self.widths) for weights in self.weights]
        return [
            (np.stack([w for w, _ in layer]), np.stack([b for _, b in layer])) for layer in zip(*members, strict=True)
        ]


@dataclass(frozen=True)
class Bins:
    """Targets as distributions over bins.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_targets)
        Rows of the table.
    table : ndarray of shape (n_values, n_bins), float32
        The distribution of each value that is told from the next.
    """

    codes: NDArray[np.int64]
    table: Singles

    @classmethod
    def of(cls, targets: Floats, settings: NetworkSettings) -> Bins:
        """Smear targets of shape (n_rows, n_targets), which are rounded to 1/`FINE` of a bin."""
        edges = settings.edges
        values = np.linspace(edges[0], edges[-1], settings.bins * FINE + 1)
        below = ndtr((edges - values[:, None]) / (settings.smear * (edges[1] - edges[0])))
        table = np.diff(below, axis=1) / (below[:, -1:] - below[:, :1])
        codes = np.rint((targets.clip(edges[0], edges[-1]) - edges[0]) / (values[1] - values[0]))
        return cls(codes.astype(np.int64), table.astype(np.float32))

    def take(self, rows: NDArray[np.int64]) -> Singles:
        """Return the distributions of some rows, shape (n_rows, n_targets * n_bins)."""
        return self.table[self.codes[rows]].reshape(len(rows), -1)


def moments(z: Singles, powers: Singles) -> Singles:
    """Return the first two moments of distributions over levels, shape (..., n_targets, 2).

    z, of shape (..., n_targets * n_levels), holds the logarithms of their weights, up to a constant each; powers are
    the levels and their squares, shape (n_levels, 2).
    """
    weights = _softmax(z.reshape(-1, len(powers)))
    return (weights @ powers).reshape(*z.shape[:-1], -1, 2)


def spread_out(found: Singles) -> tuple[Floats, Floats]:
    """Return means and standard deviations from two moments, shape (..., 2) in."""
    mean, square = np.moveaxis(found.astype(np.float64), -1, 0)
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def _softmax(z: Singles) -> Singles:
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    z /= z.sum(axis=-1, keepdims=True)
    return z


def count_weights(widths: tuple[int, ...]) -> int:
    """Return the number of weights of a network with these layers."""
    return sum((below + 1) * above for below, above in pairwise(widths))


def count_epochs(runs: int, settings: NetworkSettings) -> int:
    """Return the passes over so many runs: as many as the settings say, unless those are more than `MOST_ROWS` rows."""
    return min(settings.epochs, max(1, MOST_ROWS // runs))


def _layers(flat: Singles, widths: tuple[int, ...]) -> list[tuple[Singles, Singles]]:
    """Return views (W, b) into a flat vector."""
    layers, start = [], 0
    for below, above in pairwise(widths):
        middle, end = start + below * above, start + (below + 1) * above
        layers.append((flat[start:middle].reshape(below, above), flat[middle:end].reshape(1, above)))
        start = end
    return layers


def _descend(
    weights: Singles,
    x: Singles,
    y: Bins,
    widths: tuple[int, ...],
    settings: NetworkSettings,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Fit one network, changing its weights in place; yield the number of every epoch, from 0, when it is done."""
    gradient, first, second = (np.zeros_like(weights) for _ in range(3))
    layers, slopes = _layers(weights, widths), _layers(gradient, widths)
    batch = min(settings.batch, len(x))
    batches = len(x) // batch
    epochs = count_epochs(len(x), settings)
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        for index in range(batches):
            rows = order[index * batch : (index + 1) * batch]
            _backward(x[rows], y.take(rows), layers, slopes, settings, rng)
            step = epoch * batches + index
            rate = settings.learning_rate * _schedule(step / (epochs * batches))
            _adam(weights, gradient, first, second, rate, step + 1)
        yield epoch


def _initial(widths: tuple[int, ...], rng: np.random.Generator) -> Singles:
    """Draw weights and biases uniformly between -1/sqrt(n) and 1/sqrt(n), n the units below."""
    parts = []
    for below, above in pairwise(widths):
        parts.append(rng.uniform(-1, 1, (below + 1) * above) / np.sqrt(below))
    return np.concatenate(parts).astype(np.float32)


def _schedule(share: float) -> float:
    """Return the learning rate's factor after this share of the steps."""
    return share / 0.1 if share < 0.1 else 0.5 * (1 + np.cos(np.pi * (share - 0.1) / 0.9))


def _backward(
    x: Singles,
    y: Singles,
    layers: list[tuple[Singles, Singles]],
    slopes: list[tuple[Singles, Singles]],
    settings: NetworkSettings,
    rng: np.random.Generator,
) -> None:
    """Write the gradient of the mean cross-entropy over batch and targets into `slopes`, with fresh dropout masks."""
    outputs, derivatives = [x], []
    for w, b in layers[:-1]:
        z = outputs[-1] @ w + b
        gate = _sigmoid(z)
        mask = _draw_mask(z.shape, settings.dropout, rng)
        outputs.append(z * gate * mask)
        derivatives.append(gate * (1 + z * (1 - gate)) * mask)  # m silu'(z)
    w, b = layers[-1]
    guessed = _softmax((outputs[-1] @ w + b).reshape(len(x), -1, settings.bins)).reshape(y.shape)
    error = (guessed - y) * np.float32(settings.bins / y.size)
    for index in range(len(layers) - 1, -1, -1):
        np.matmul(outputs[index].T, error, out=slopes[index][0])
        np.sum(error, axis=0, keepdims=True, out=slopes[index][1])
        if index:
            error = (error @ layers[index][0].T) * derivatives[index - 1]


def _sigmoid(z: Singles) -> Singles:
    """Return 1 / (1 + exp(-z)), by the function that NumPy computes fastest."""
    return np.float32(0.5) * np.tanh(np.float32(0.5) * z) + np.float32(0.5)


def _draw_mask(shape: tuple[int, ...], dropout: float, rng: np.random.Generator) -> Singles:
    """Return 0 with about probability `dropout` (in steps of 1/256), else what keeps the mean at 1."""
    dropped = round(256 * dropout)
    bits = np.frombuffer(rng.bytes(int(np.prod(shape))), dtype=np.uint8).reshape(shape)
    return (bits >= dropped) * np.float32(256 / (256 - dropped))


def _adam(weights: Singles, gradient: Singles, first: Singles, second: Singles, rate: float, step: int) -> None:
    """Move the weights by one step of Adam, in place."""
    first *= BETAS[0]
    first += (1 - BETAS[0]) * gradient
    second *= BETAS[1]
    second += (1 - BETAS[1]) * gradient**2
    size = rate / (1 - BETAS[0] ** step)
    weights -= size * first / (np.sqrt(second / (1 - BETAS[1] ** step)) + EPSILON)
