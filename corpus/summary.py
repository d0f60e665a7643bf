"""What reading a corpus found: the one-line summary that every reader ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """Rows that could not become runs.

    Parameters
    ----------
    where : str
        The source they came from: a file, a member, "table".
    rows : int
        How many.
    why : str
        The rule that they break.
    """

    where: str
    rows: int
    why: str

    def __str__(self) -> str:
        return f"{self.rows:,} of {self.where}: {self.why}"


@dataclass(frozen=True)
class Summary:
    """What a reader found.

    Parameters
    ----------
    rows : int
        Runs in the corpus, diverged ones and duplicates included, refused ones not.
    setups : int
        Different (architecture, task_type, n_layers, max_params).
    diverged : int
        Runs whose training failed.
    duplicates : int
        Rows that repeat an earlier row: same source, setup, hyperparameters, seed and losses. They stay.
    contradictory : int
        Rows that share source, setup, hyperparameters and seed with a row of different losses. They stay. Without a
        seed, rows of the same configuration are replicates, and contradict only at the same `hyper_iter`.
    refused : tuple of Refusal
        Rows that could not become runs, and why.
    notes : tuple of str
        What else was passed over: columns and members that are not part of a corpus.
    counts : dict of dict of int
        Runs by architecture, then by task.
    """

    rows: int
    setups: int
    diverged: int
    duplicates: int
    contradictory: int
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def refused_rows(self) -> int:
        """Rows that could not become runs."""
        return sum(refusal.rows for refusal in self.refused)

    def __str__(self) -> str:
        facts = [f"{self.rows:,} runs in {self.setups:,} setups", f"{self.diverged:,} diverged"]
        facts += [f"{self.duplicates:,} duplicates", f"{self.contradictory:,} contradictory"]
        facts.append(f"{self.refused_rows:,} refused" + self._why())
        return ", ".join(facts) + "".join(f"; {note}" for note in self.notes)

    def _why(self) -> str:
        return f" ({'; '.join(map(str, self.refused))})" if self.refused else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON values, with counts by architecture, by task and by both."""
        by_task: dict[str, int] = {}
        for tasks in self.counts.values():
            for task, runs in tasks.items():
                by_task[task] = by_task.get(task, 0) + runs
        return {
            "rows": self.rows,
            "setups": self.setups,
            "diverged": self.diverged,
            "refused": self.refused_rows,
            "refusals": [{"where": r.where, "rows": r.rows, "why": r.why} for r in self.refused],
            "duplicates": self.duplicates,
            "contradictory": self.contradictory,
            "by_architecture": {name: sum(tasks.values()) for name, tasks in self.counts.items()},
            "by_task": dict(sorted(by_task.items())),
            "by_architecture_and_task": {name: dict(tasks) for name, tasks in self.counts.items()},
            "notes": list(self.notes),
        }
