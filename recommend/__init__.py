"""Search the surrogate for configurations to start with."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .recommender import recommend

if TYPE_CHECKING:
    from .recommendation import Recommendation, RecommendedConfiguration
    from .space import Dimension, Space

__all__ = ["Dimension", "Recommendation", "RecommendedConfiguration", "Space", "recommend"]

_LAZY = {
    "Dimension": "space",
    "Recommendation": "recommendation",
    "RecommendedConfiguration": "recommendation",
    "Space": "space",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
