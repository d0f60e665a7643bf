"""Models that predict the outcome of a run, their quality, and benchmarks that they answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .boosting import Settings
from .model import Surrogate
from .network import NetworkSettings

if TYPE_CHECKING:
    from .benchmark import Benchmark
    from .metrics import score_setups

__all__ = ["Benchmark", "NetworkSettings", "Settings", "Surrogate", "score_setups"]
_LATER: Final = {"Benchmark": "benchmark", "score_setups": "metrics"}
"""What a recommendation does not need, and its module: loaded when first used (scipy.stats takes most of a second)."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
