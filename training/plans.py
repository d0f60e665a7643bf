"""Plans: the jobs of a grid of setups, breadth before depth."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from .draws import LAB_STEPS, draw_configurations
from .runs import Job, draw_seeds
from .setups import Scale, Setup


@dataclass(frozen=True)
class Grid:
    """Random configurations over a grid of setups.

    Attributes
    ----------
    architectures, tasks : sequence of str
    depths, sizes : sequence of int
        Layers; parameter budgets.
    configurations : int
        Random configurations a setup and round.
    rounds : int, default 1
        Every setup gets its first round before any gets its second.
    first : int, default 0
        Number of the first configuration (`hyper_iter`): how many of this grid an earlier one has made.
    seeds : int, default 1
        Runs a configuration.
    source : str, default "trainer/random"
    steps : tuple of int, default LAB_STEPS
        Range of `train_steps`.
    scale : {"lab", "paper"}, default "lab"
    priority : int, default 0
        Of the first round; each round more adds 100.
    """

    architectures: Sequence[str]
    tasks: Sequence[str]
    depths: Sequence[int]
    sizes: Sequence[int]
    configurations: int
    rounds: int = 1
    first: int = 0
    seeds: int = 1
    source: str = "trainer/random"
    steps: tuple[int, int] = LAB_STEPS
    scale: Scale = "lab"
    priority: int = 0

    def setups(self) -> Iterator[Setup]:
        """Yield the setups, small ones first; `+rnn` has none of depth 1."""
        for size, depth, task, architecture in product(self.sizes, self.depths, self.tasks, self.architectures):
            if architecture != "+rnn" or depth > 1:
                yield Setup(architecture, task, depth, size, self.scale)

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs, one a setup and round."""
        for turn in range(self.rounds):
            for setup in self.setups():
                yield self._job(setup, turn)

    def _job(self, setup: Setup, turn: int) -> Job:
        first, origin = self.first + turn * self.configurations, (self.source, repr(setup))
        drawn = draw_configurations(
            setup.architecture, first + self.configurations, draw_seeds(1, "draw", *origin)[0], self.steps
        )[first:]
        repeated: list[dict[str, Any]] = [hparams for hparams in drawn for _ in range(self.seeds)]
        return Job(
            setup=setup,
            source=self.source,
            configurations=repeated,
            seeds=draw_seeds(len(repeated), "seed", first, *origin),
            hyper_iters=[first + place // self.seeds for place in range(len(repeated))],
            priority=self.priority + 100 * turn,
        )


def setup_jobs(
    setup: Setup,
    configurations: int | Sequence[dict[str, Any]],
    seeds: int = 1,
    seed: int = 0,
    steps: tuple[float, float] = LAB_STEPS,
    at_once: int = 64,
) -> list[Job]:
    """Return the jobs of one setup, `at_once` runs each; their source is ``trainer/random`` or ``trainer/given``.

    Parameters
    ----------
    setup : Setup
    configurations : int or sequence of dict
        How many to draw at random, or the configurations themselves.
    seeds : int, default 1
        Runs a configuration.
    seed : int, default 0
        Decides the random configurations and all seeds.
    steps : tuple of float, default LAB_STEPS
        Range of `train_steps` of the random ones.
    at_once : int, default 64
        Runs a job.
    """
    drawn, source = configurations, "trainer/given"
    if isinstance(drawn, int):
        drawn, source = draw_configurations(setup.architecture, drawn, seed, steps), "trainer/random"
    repeated = [dict(hparams) for hparams in drawn for _ in range(seeds)]
    run_seeds = draw_seeds(len(repeated), "setup", seed, repr(setup))
    numbers = [place // seeds for place in range(len(repeated))]
    source = source if setup.scale == "lab" else f"{source}/{setup.scale}"
    return [
        Job(setup, source, repeated[part], run_seeds[part], numbers[part])
        for part in (slice(first, first + at_once) for first in range(0, len(repeated), at_once))
    ]


def read_grids(path: Path) -> list[Grid]:
    """Return the grids of a TOML file: one ``[[grid]]`` table each, its keys the attributes of `Grid`.

    Raises
    ------
    ValueError
        Where a key is unknown or a needed one is missing.
    """
    tables = tomllib.loads(path.read_text()).get("grid", [])
    if not tables:
        raise ValueError(f"{path} has no [[grid]] table")
    known = [field.name for field in fields(Grid)]
    for table in tables:
        unknown = sorted(set(table) - set(known))
        if unknown:
            raise ValueError(f"{path}: unknown key {unknown[0]!r} in [[grid]]; known keys: {', '.join(known)}")
    try:
        return [Grid(**table) for table in tables]
    except TypeError as error:
        raise ValueError(f"{path}: a [[grid]] table is incomplete: {error}") from None
