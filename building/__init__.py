"""From the original archive to models of its own: corpus, evaluation, surrogate and card, step by step."""

from __future__ import annotations

from .build import BuildPlan, build_models
from .errors import BuildError

__all__ = ["BuildError", "BuildPlan", "build_models"]
