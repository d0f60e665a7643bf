"""Jobs and the runs that they make: rows of the corpus schema."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..corpus.schema import ABSURD_LOSS, COLUMNS, HP_PREFIX, LOSSES
from .draws import check_configuration
from .population import Outcome, train
from .setups import Setup, capacity
from .state import Member
from .task import Task


@dataclass(frozen=True)
class Job:
    """Runs of one setup that are trained together and stored together.

    Attributes
    ----------
    setup : Setup
    source : str
        The corpus's `source` of the runs, e.g. ``"trainer/random"``.
    configurations : list of dict
        Hyperparameters, one dict a run.
    seeds : list of int
        One a run.
    hyper_iters : list of int
        The corpus's `hyper_iter`, one a run.
    priority : int, default 0
        Jobs with lower numbers are done first.
    """

    setup: Setup
    source: str
    configurations: list[dict[str, Any]]
    seeds: list[int]
    hyper_iters: list[int]
    priority: int = 0

    def __post_init__(self) -> None:
        lengths = {len(self.configurations), len(self.seeds), len(self.hyper_iters)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                "a job needs as many seeds and hyper_iters as configurations, at least one, but got "
                f"{len(self.configurations)}, {len(self.seeds)} and {len(self.hyper_iters)}"
            )
        for hparams in self.configurations:
            check_configuration(self.setup.architecture, hparams)

    @property
    def name(self) -> str:
        """Name of the job: its priority and a hash of all it does, so that equal jobs are one."""
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()
        return f"{self.priority:06d}-{digest[:20]}"

    def to_json(self) -> str:
        """Return the job as JSON text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job of `to_json`."""
        data = json.loads(text)
        return cls(**(data | {"setup": Setup(**data["setup"])}))


def draw_seeds(count: int, *origin: int | str) -> list[int]:
    """Return `count` seeds below 2**47, which depend on the origin alone."""
    digest = hashlib.sha256(repr(origin).encode()).digest()
    rng = np.random.default_rng(list(digest))
    return [int(seed) for seed in rng.integers(2**47, size=count)]


def make_runs(
    job: Job, device: str = "cpu", dtype: torch.dtype = torch.float32, task: Task | None = None
) -> pd.DataFrame:
    """Train a job's networks; return its runs in the order of the job, in the corpus schema.

    Parameters
    ----------
    job : Job
    device : str, default "cpu"
        Any device of PyTorch, e.g. ``"cuda"``.
    dtype : torch.dtype, default torch.float32
    task : Task, optional
        A task of your own; by default the corpus's task that the setup names.
    """
    task = task or job.setup.task()
    layout = job.setup.layout(task)
    like = torch.zeros((), dtype=dtype, device=device)
    members = [
        Member(place, hparams, seed)
        for place, (hparams, seed) in enumerate(zip(job.configurations, job.seeds, strict=True))
    ]
    outcomes = sorted(
        train(task, layout, members, like, capacity(layout.num_params, like.device)), key=lambda outcome: outcome.place
    )
    return _rows(job, layout.num_params, outcomes)


def _rows(job: Job, num_params: int, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    setup = {key: value for key, value in asdict(job.setup).items() if key != "scale"}
    runs = pd.DataFrame([asdict(outcome) for outcome in outcomes]).drop(columns="place")
    runs = runs.assign(**setup, source=job.source, num_params=num_params, seed=job.seeds, hyper_iter=job.hyper_iters)
    losses = runs[list(LOSSES)]
    sound = losses.abs() <= ABSURD_LOSS  # False where a loss is NaN
    runs[list(LOSSES)] = losses.where(sound)
    runs["diverged"] |= ~sound.all(axis="columns")
    return pd.concat([runs[list(COLUMNS)], _hparam_columns(job.configurations)], axis=1)


def _hparam_columns(configurations: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(list(configurations)).add_prefix(HP_PREFIX)
    return frame[sorted(frame.columns)]
