"""A task of the user's own, described, and how much each known task counts for it.

Two tasks are apart by d^2 = sum over traits of (difference / unit)^2: kind of input, kind of output, and the logarithms
to base 2 of inputs, outputs, time steps and scored steps. A known task counts by exp(-d^2 / 2), the shares sum to 1,
and what counts for less than `LEAST` is left out. The units are set by hand so that another kind of output weighs as
much as a factor of 16 in a size; six tasks are too few to learn them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from ..features import check_whole

KINDS: Final = {"inputs": ("symbols", "numbers"), "outputs": ("classes", "numbers")}
UNITS: Final = {"inputs": 1.0, "outputs": 1.0, "n_in": 4.0, "n_out": 4.0, "time_steps": 4.0, "scored_steps": 4.0}
"""What counts as one apart: another kind, or so many factors of 2."""
LEAST: Final = 0.03
"""The least share of a known task that is asked."""


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """What a task asks of a network.

    Parameters
    ----------
    inputs : {"symbols", "numbers"}
        What a time step reads: a symbol out of `n_in`, one-hot, or `n_in` numbers.
    outputs : {"classes", "numbers"}
        What is answered: classes, scored by cross-entropy, or numbers, scored by the squared error.
    n_in, n_out : int
        Inputs and outputs of the network; they decide the width that a parameter budget buys.
    time_steps : int
        Length of a training sequence, steps.
    scored_steps : int
        How many of these steps have an answer that is scored, at most `time_steps`.
    name : str, default "own task"
        What the task is called in answers.

    Raises
    ------
    ValueError
        A kind is unknown, or a number is not a whole number of at least 1.
    """

    inputs: str
    outputs: str
    n_in: int
    n_out: int
    time_steps: int
    scored_steps: int
    name: str = "own task"

    def __post_init__(self) -> None:
        for kind, known in KINDS.items():
            if getattr(self, kind) not in known:
                raise ValueError(f"{kind} must be one of {', '.join(known)}, got {getattr(self, kind)!r}.")
        for size in ("n_in", "n_out", "time_steps", "scored_steps"):
            object.__setattr__(self, size, check_whole(size, getattr(self, size), 1))
        if self.scored_steps > self.time_steps:
            raise ValueError(
                f"scored_steps={self.scored_steps} is more than time_steps={self.time_steps}; a sequence cannot have "
                f"more answers than steps."
            )
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"name must be a text, got {self.name!r}.")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TaskSpec:
        """Return the task of a mapping, e.g. of a TOML file.

        Raises
        ------
        ValueError
            A trait is missing or unknown, or has an impossible value.
        """
        known = [item.name for item in fields(cls)]
        wrong = sorted(set(data) - set(known)) or sorted(set(known) - {"name"} - set(data))
        if wrong:
            what = "unknown" if wrong[0] not in known else "missing"
            raise ValueError(f"A task's description has {what} {', '.join(wrong)}; it needs {', '.join(known[:-1])}.")
        return cls(**data)

    def weights(self, tasks: Iterable[str]) -> dict[str, float]:
        """Return each of the tasks that counts, and its share; the shares sum to 1, largest first.

        Raises
        ------
        ValueError
            None of the tasks is described.
        """
        described = {task: DESCRIBED[task] for task in tasks if task in DESCRIBED}
        if not described:
            raise ValueError(
                f"The corpus has none of the tasks that a description can be compared with ({', '.join(DESCRIBED)}); "
                f'ask for one of its own tasks, or for task="any".'
            )
        likeness = {task: math.exp(-(self.distance(known) ** 2) / 2) for task, known in described.items()}
        nearest = max(likeness.values())
        kept = {task: value for task, value in likeness.items() if value >= LEAST * sum(likeness.values())}
        kept = kept if nearest > 0 else dict.fromkeys(described, 1.0)  # far from everything: all alike
        total = sum(kept.values())
        return {task: value / total for task, value in sorted(kept.items(), key=lambda item: -item[1])}

    def distance(self, other: TaskSpec) -> float:
        """Return how far apart two tasks are (see the module); symmetric, 0 for a task and itself."""
        return math.sqrt(sum((self._gap(other, trait) / unit) ** 2 for trait, unit in UNITS.items()))

    def _gap(self, other: TaskSpec, trait: str) -> float:
        mine, theirs = getattr(self, trait), getattr(other, trait)
        return float(mine != theirs) if trait in KINDS else math.log2(mine) - math.log2(theirs)


DESCRIBED: Final = {
    "text8": TaskSpec(inputs="symbols", outputs="classes", n_in=27, n_out=27, time_steps=25, scored_steps=20),
    "parens_counting": TaskSpec(inputs="symbols", outputs="classes", n_in=8, n_out=12, time_steps=24, scored_steps=24),
    "arithmetic": TaskSpec(inputs="symbols", outputs="classes", n_in=14, n_out=14, time_steps=8, scored_steps=3),
    "mem_thru": TaskSpec(inputs="numbers", outputs="numbers", n_in=5, n_out=4, time_steps=9, scored_steps=3),
    "rcf": TaskSpec(inputs="numbers", outputs="numbers", n_in=4, n_out=1, time_steps=4, scored_steps=1),
    "per_cap": TaskSpec(inputs="numbers", outputs="classes", n_in=16, n_out=2, time_steps=4, scored_steps=1),
}
"""The built-in corpus's tasks, as its runs were trained (training/tasks.py, scale `lab`)."""
