"""Self-contained HTML pages: texts, tables and Plotly figures in one file that asks no network for anything."""

from __future__ import annotations

from .page import Page
from .style import check_plotly

__all__ = ["Page", "check_plotly"]
