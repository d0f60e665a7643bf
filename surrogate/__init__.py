"""Gradient-boosted models that predict the outcome of a run."""

from .boosting import Settings
from .evaluation import score_setups
from .model import Surrogate

__all__ = ["Settings", "Surrogate", "score_setups"]
