"""Made runs of which everything is known: losses from a known function of the hyperparameters, by an adaptive tuner.

They have the shape of the original data set (architectures, tasks, depths, sizes, hyperparameters and their ranges:
Collins, Sohl-Dickstein and Sussillo, ICLR 2017, appendix A); their losses say nothing about real networks. A run's
position u lies in a unit cube with one axis a hyperparameter, and its loss without noise is

    T f ** exp(-p(u)),    p(u) = sum_j w_j (u_j - o_j)^2 + (offsets of categories),

where T is the loss of the trivial answer, f T the lowest loss of the setup, w_j the weight of a hyperparameter, and
o_j its optimum, which moves with architecture, task, depth, size and optimizer. Seeds multiply it by a log-normal
factor.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rnn_warmstart.features import ARCHITECTURES

Floats = NDArray[np.float64]

TASKS: Final = {
    "text8": (4.75, 0.30), "rcf": (1.0, 0.45), "arithmetic": (1.9, 0.06), "parens_counting": (18.21, 1e-3),
    "per_cap": (1.0, 0.1), "mem_thru": (1.0, 0.02),
}  # fmt: skip
"""Loss of the trivial answer, and the share of it that is left at best in the easiest setup."""
SIZES: Final = (5_000, 20_000, 80_000, 320_000, 1_280_000)
IN_OUT: Final = {
    "text8": (27, 27), "rcf": (50, 1), "arithmetic": (12, 12), "parens_counting": (300, 100), "per_cap": (32, 1),
    "mem_thru": (64, 64),
}  # fmt: skip
ARCHITECTURE_EFFECTS: Final = {
    "rnn": (0.55, 0.30, 0.62), "irnn": (0.60, 0.25, 0.45), "ugrnn": (0.15, 0.20, 0.75), "gru": (0.10, 0.15, 0.80),
    "lstm": (0.25, 0.10, 0.84), "+rnn": (0.05, 0.15, 0.82),
}  # fmt: skip
"""Rise of the lowest loss (log), standard deviation of the seed's factor (log), learning rate (u) that may diverge."""
OPTIMIZERS: Final = {"SGD": (0.25, 0.75), "Momentum": (0.10, 0.60), "RMSProp": (0.05, 0.40), "Adam": (0.0, 0.45)}
"""Offset of p, and the best learning rate (u)."""
WEIGHTS: Final = {
    "lr_init": 6.0, "optimizer_logit_momentum": 1.5, "lr_decay_rate": 0.8, "train_steps": 1.0, "gradient_clip_val": 0.3,
    "l2_decay": 0.5, "forget_gate_bias_hack": 1.0, "recurrent_matrix_scale": 0.8, "input_scale": 0.3,
    "recurrent_bias_scale": 0.15, "number_of_samples": 0.7, "compute_steps": 0.6,
}  # fmt: skip
"""Weights w_j; the gates of an architecture share one weight."""
OFFSETS: Final = {"normal": 0.08, "identity": 0.15, "relu": 0.05, "True": 0.1}
"""Offset of p for categories; others have none."""


@dataclass(frozen=True)
class Law:
    """How a hyperparameter is drawn: from `choices`, or between `low` and `high` on a linear or logarithmic scale."""

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    integer: bool = False
    choices: tuple[str, ...] = ()

    def values(self, u: Floats) -> NDArray[np.float64] | NDArray[np.int64] | NDArray[np.str_]:
        """Return the values at positions `u` in [0, 1), shape (n,)."""
        if self.choices:
            return np.asarray(self.choices)[np.minimum(u * len(self.choices), len(self.choices) - 1).astype(np.int64)]
        low, high = (np.log(self.low), np.log(self.high)) if self.log else (self.low, self.high)
        found = low + (high - low) * u
        found = np.exp(found) if self.log else found
        return np.round(found).astype(np.int64) if self.integer else found


@lru_cache
def laws(architecture: str, task: str) -> tuple[Law, ...]:
    """Return the hyperparameters that a run of this architecture and task has."""
    cell = ARCHITECTURES[architecture]
    inits = {"rnn": ("orthogonal", "normal"), "irnn": ("identity",)}.get(
        architecture, ("orthogonal", "normal", "identity")
    )
    found = [Law("recurrent_matrix_init_type", choices=inits), Law("optimizer", choices=tuple(OPTIMIZERS))]
    for gate in (f"_{gate}" if gate else "" for gate in cell.gates):
        found += [
            Law(f"input_scale{gate}", 0.001, 2, log=True),
            Law(f"recurrent_matrix_scale{gate}", 0.01, 2, log=True),
        ]
        found += [] if architecture == "irnn" else [Law(f"recurrent_bias_scale{gate}", -2, 2)]
    found += [] if architecture == "irnn" else [Law("recurrent_bias_init_type", choices=("delta", "normal"))]
    found += [Law("activation", choices=("tanh", "relu"))] if architecture == "rnn" else []
    found += [Law("forget_gate_bias_hack", 0, 6)] if cell.keep is not None else []
    found += [
        Law("lr_init", 1e-4, 1e-1, log=True), Law("lr_decay_rate", 1e-3, 1, log=True),
        Law("optimizer_logit_momentum", 1, 7), Law("gradient_clip_val", 1, 100, log=True),
        Law("l2_decay", 1e-8, 1e-3, log=True), Law("train_steps", 50_000, 20_000_000, log=True, integer=True),
    ]  # fmt: skip
    if task == "per_cap":
        found += [Law("number_of_samples", 0.1, 10, log=True), Law("input_first_step_only", choices=("False", "True"))]
    return (*found, *([Law("compute_steps", 1, 6, integer=True)] if task == "arithmetic" else []))


@dataclass(frozen=True)
class Setup:
    """One setup: architecture, task, depth (layers) and budget (parameters)."""

    architecture: str
    task_type: str
    n_layers: int
    max_params: int

    def num_params(self) -> int:
        """Return the trained parameters of the widest network within the budget."""
        cell, pair = ARCHITECTURES[self.architecture], IN_OUT[self.task_type]
        return int(cell.num_params(cell.width(self.max_params, self.n_layers, *pair), self.n_layers, *pair))

    def lowest(self) -> float:
        """Return the log of the lowest share of the trivial loss that can be reached, below 0."""
        depth, size = np.log2(self.n_layers), np.log(self.max_params / SIZES[0]) / np.log(SIZES[-1] / SIZES[0])
        easy = 0.08 * depth if self.architecture in ("+rnn", "gru") else -0.15 * depth
        worse = ARCHITECTURE_EFFECTS[self.architecture][0]
        return float(np.log(TASKS[self.task_type][1]) * (0.55 + 0.45 * size) * np.exp(0.4 * (easy - worse)))

    def optimum(self, name: str) -> float:
        """Return where a hyperparameter is best, in [0.1, 0.9]."""
        depth, size = np.log2(self.n_layers), np.log(self.max_params / SIZES[0]) / np.log(SIZES[-1] / SIZES[0])
        own, task, cell = (_tendency(name, of) for of in ("", self.task_type, self.architecture))
        moved = 0.2 * own + 0.12 * task + 0.08 * cell + 0.05 * depth * _tendency(name, "depth")
        return float(np.clip(0.5 + moved + 0.12 * size * _tendency(name, "size"), 0.1, 0.9))


def _tendency(name: str, of: str) -> float:
    """Return a number in [-1, 1] that is always the same for these words."""
    return zlib.crc32(f"{name}/{of}".encode()) / 2**31 - 1.0


def setups(tasks: tuple[str, ...]) -> list[Setup]:
    """Return the setups of some tasks; +rnn has no depth 1, parens_counting also has depth 8."""
    return [
        Setup(architecture, task, depth, size)
        for task in tasks
        for size in SIZES
        for architecture in ARCHITECTURES
        for depth in ((1, 2, 4, 8) if task == "parens_counting" else (1, 2, 4))
        if (architecture, depth) != ("+rnn", 1)
    ]


@dataclass(frozen=True)
class Block:
    """The runs of one setup in the tuner's order, arrays of shape (n,).

    `noise_free` is the loss without noise; `loss` that of the run, NaN where it diverged; `risk` the chance of that.
    """

    setup: Setup
    hparams: dict[str, NDArray[np.float64] | NDArray[np.int64] | NDArray[np.str_]]
    noise_free: Floats
    risk: Floats
    loss: Floats


def noise_free(setup: Setup, u: Floats) -> tuple[Floats, Floats]:
    """Return the loss without noise and the probability to diverge, each of shape (n,), at positions `u` (n, d)."""
    axes = {law.name: (law, u[:, j]) for j, law in enumerate(laws(setup.architecture, setup.task_type))}
    optimizer = axes["optimizer"][0].values(axes["optimizer"][1])
    penalty = np.select([optimizer == name for name in OPTIMIZERS], [offset for offset, _ in OPTIMIZERS.values()])
    rate = np.select([optimizer == name for name in OPTIMIZERS], [best for _, best in OPTIMIZERS.values()])
    for name, (law, at) in axes.items():
        if law.choices:
            penalty = penalty + sum(OFFSETS.get(choice, 0.0) * (law.values(at) == choice) for choice in law.choices)
        else:
            penalty = penalty + _weight(name, optimizer) * (at - _best(setup, name, rate)) ** 2
    trivial, limit = TASKS[setup.task_type][0], ARCHITECTURE_EFFECTS[setup.architecture][2]
    steep = axes["lr_init"][1] - limit + 0.15 * (axes["gradient_clip_val"][1] - 0.5) + 0.02 * np.log2(setup.n_layers)
    return trivial * np.exp(setup.lowest() * np.exp(-penalty)), 1 / (1 + np.exp(-25 * steep))


def _weight(name: str, optimizer: NDArray[np.str_]) -> Floats | float:
    kind = next((kind for kind in WEIGHTS if name.startswith(kind)), name)
    return WEIGHTS[kind] * np.where(optimizer == "SGD", 0.0, 1.0) if "momentum" in name else WEIGHTS[kind]


def _best(setup: Setup, name: str, rate: Floats) -> Floats | float:
    if name == "train_steps":
        return 1.0  # longer is better
    return 0.6 * rate + 0.4 * setup.optimum(name) if name == "lr_init" else setup.optimum(name)


def tune(setup: Setup, runs: int, rng: np.random.Generator, rounds: int = 8) -> Block:
    """Return the runs that an adaptive tuner makes: a quarter at random, then mostly near the best ones so far."""
    d = len(laws(setup.architecture, setup.task_type))
    u, clean, risk, loss = np.empty((0, d)), np.empty(0), np.empty(0), np.empty(0)
    for number, part in enumerate(np.array_split(np.arange(runs), min(rounds, runs))):
        new = rng.random((len(part), d))
        if number >= rounds // 4:
            best = np.argsort(loss)[: max(1, len(loss) // 20)]  # NaN is last
            near = u[rng.choice(best, len(part))] + rng.normal(0, 0.3 / number, new.shape)
            new = np.where(rng.random((len(part), 1)) < 0.8, np.clip(near, 0, 1 - 1e-9), new)
        found, chance = noise_free(setup, new)
        noisy = found * np.exp(ARCHITECTURE_EFFECTS[setup.architecture][1] * rng.standard_normal(len(part)))
        noisy[rng.random(len(part)) < chance] = np.nan
        u, clean, risk, loss = (
            np.concatenate(pair) for pair in ((u, new), (clean, found), (risk, chance), (loss, noisy))
        )
    values = {law.name: law.values(u[:, j]) for j, law in enumerate(laws(setup.architecture, setup.task_type))}
    return Block(setup, values, clean, risk, loss)


def make_blocks(tasks: tuple[str, ...], runs: int, seed: int) -> Iterator[Block]:
    """Yield the runs of all setups of some tasks, `runs` in all, setup by setup."""
    known = setups(tasks)
    for number, (setup, part) in enumerate(zip(known, np.array_split(np.arange(runs), len(known)), strict=True)):
        if len(part):
            yield tune(setup, len(part), np.random.default_rng([seed, zlib.crc32(repr(tasks).encode()), number]))
