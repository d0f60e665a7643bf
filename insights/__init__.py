"""Which hyperparameters matter, where the good regions are, how the optimum moves, how much seed noise hides."""

from __future__ import annotations

from .findings import TABLES, Findings, find_insights

__all__ = ["TABLES", "Findings", "find_insights"]
