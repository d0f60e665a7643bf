"""Gradient-boosted models that predict the outcome of a run, and benchmarks that they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .boosting import Settings
from .evaluation import score_setups
from .model import Surrogate

if TYPE_CHECKING:
    from .benchmark import Benchmark

__all__ = ["Benchmark", "Settings", "Surrogate", "score_setups"]


def __getattr__(name: str) -> object:
    if name != "Benchmark":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .benchmark import Benchmark

    return Benchmark
