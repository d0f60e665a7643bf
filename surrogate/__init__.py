"""Models that predict the outcome of a run, and benchmarks that they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .boosting import Settings
from .metrics import score_setups
from .model import Surrogate
from .network import NetworkSettings

if TYPE_CHECKING:
    from .benchmark import Benchmark

__all__ = ["Benchmark", "NetworkSettings", "Settings", "Surrogate", "score_setups"]


def __getattr__(name: str) -> object:
    if name != "Benchmark":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .benchmark import Benchmark

    return Benchmark
