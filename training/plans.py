"""Plans: the jobs of a grid of setups, breadth before depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
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
        first, origin = turn * self.configurations, (self.source, repr(setup))
        drawn = draw_configurations(
            setup.architecture, first + self.configurations, draw_seeds(1, "draw", *origin)[0], self.steps
        )[first:]
        repeated: list[dict[str, Any]] = [hparams for hparams in drawn for _ in range(self.seeds)]
        return Job(
            setup=setup,
            source=self.source,
            configurations=repeated,
            seeds=draw_seeds(len(repeated), "seed", turn, *origin),
            hyper_iters=[first + place // self.seeds for place in range(len(repeated))],
            priority=self.priority + 100 * turn,
        )
