"""From the name of a setup to what is trained: the task at a scale, the network's layout, the population's size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import torch

from ..features import ARCHITECTURES
from .network import Layout
from .task import Task
from .tasks import Arithmetic, MemThru, ParensCounting, PerCap, RandomPoints, Rcf, Text8
from .text import load_text8

Scale = Literal["lab", "paper"]
LAB_CHARACTERS: Final = 4_503_641
"""Characters of text8, from its start, that the `lab` scale uses."""


@dataclass(frozen=True, order=True)
class Setup:
    """What is trained: (architecture, task_type, n_layers, max_params), as in the corpus, and the task's scale."""

    architecture: str
    task_type: str
    n_layers: int
    max_params: int
    scale: Scale = "lab"

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}, got {self.architecture!r}")
        if self.architecture == "+rnn" and self.n_layers == 1:
            raise ValueError("architecture '+rnn' needs at least 2 layers (n_layers), got 1")
        if self.n_layers < 1 or self.max_params < 1:
            raise ValueError(f"n_layers and max_params must be positive, got {self.n_layers} and {self.max_params}")

    def task(self) -> Task:
        """Return the task."""
        return make_task(self.task_type, self.scale, self.max_params)

    def layout(self, task: Task) -> Layout:
        """Return the layout of the widest network that the budget buys.

        Raises
        ------
        ValueError
            Where not even one unit a layer fits.
        """
        cell = ARCHITECTURES[self.architecture]
        width = int(cell.width(self.max_params, self.n_layers, task.n_in, task.n_out))
        if width < 1:
            least = int(cell.num_params(1, self.n_layers, task.n_in, task.n_out))
            raise ValueError(f"max_params={self.max_params} is too small for {self}: one unit a layer needs {least}")
        return Layout(self.architecture, self.n_layers, width, task.n_in, task.n_out)


@lru_cache(maxsize=32)
def make_task(task_type: str, scale: Scale, max_params: int) -> Task:
    """Return a task of the corpus at a scale.

    Parameters
    ----------
    task_type : str
        One of `TASK_TYPES`.
    scale : {"lab", "paper"}
    max_params : int
        Parameter budget; only `per_cap` depends on it, whose set has `max_params // 8` vectors.
    """
    if task_type not in TASK_TYPES:
        raise ValueError(f"task_type must be one of {', '.join(TASK_TYPES)}, got {task_type!r}")
    if scale == "lab":
        return _lab_task(task_type, max_params)
    if scale == "paper":
        return _paper_task(task_type, max_params)
    raise ValueError(f"scale must be 'lab' or 'paper', got {scale!r}")


def _lab_task(task_type: str, max_params: int) -> Task:
    if task_type == "text8":
        return Text8(load_text8(LAB_CHARACTERS))
    if task_type == "per_cap":
        return PerCap(samples=max_params // 8)
    return {"parens_counting": ParensCounting, "arithmetic": Arithmetic, "mem_thru": MemThru, "rcf": Rcf}[task_type]()


def _paper_task(task_type: str, max_params: int) -> Task:
    """Return a task of the paper's size; batch sizes, and the bits of `per_cap`, are not recorded and set here."""
    match task_type:
        case "text8":
            return Text8(load_text8(), steps=50, warm_up=13, batch=64)
        case "parens_counting":
            return ParensCounting(
                10, 10, noise=0.5, most=9, streams=10, steps=175, batch=64, items=200_000, at_end=True
            )
        case "arithmetic":
            return Arithmetic(-(10**7), 10**7, digits=9, answer=9, pause=8, batch=64, items=1_000_000)
        case "mem_thru":
            return MemThru(size=64, vectors=1, pause=10, batch=64, flagged=False)
        case "rcf":
            return RandomPoints()
        case _:
            return PerCap(samples=max_params, size=32, steps=5)


TASK_TYPES: Final = ("text8", "parens_counting", "arithmetic", "mem_thru", "rcf", "per_cap")


def capacity(num_params: int, device: torch.device) -> int:
    """Return how many members to train together.

    Small networks are slow for want of work per call, large ones for want of cache: on a CPU, measured, 64 members of
    1,000 parameters are best, 16 of 10,000 and 4 of 100,000. A GPU has no such limit below its memory.
    """
    if device.type == "cuda":
        return max(64, min(1024, 100_000_000 // num_params))
    return max(4, min(64, 160_000 // num_params))
