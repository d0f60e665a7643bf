"""Search the surrogate for configurations to start with."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .recommender import recommend

if TYPE_CHECKING:
    from .prior import Prior, SurrogatePrior
    from .recommendation import Recommendation, RecommendedConfiguration
    from .sampler import WarmSampler
    from .task_spec import TaskSpec
    from .warm import warm_space, warm_study

__all__ = [
    "Prior",
    "Recommendation",
    "RecommendedConfiguration",
    "SurrogatePrior",
    "TaskSpec",
    "WarmSampler",
    "recommend",
    "warm_space",
    "warm_study",
]

_LAZY = {
    "Prior": "prior",
    "SurrogatePrior": "prior",
    "TaskSpec": "task_spec",
    "WarmSampler": "sampler",
    "warm_space": "warm",
    "warm_study": "warm",
    "Recommendation": "recommendation",
    "RecommendedConfiguration": "recommendation",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
