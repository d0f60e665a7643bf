"""Recommendations as other tools take them: starting points, search spaces and priors."""

from .export import Export, TextExport
from .targets import TARGETS, TEXTS, export

__all__ = ["TARGETS", "TEXTS", "Export", "TextExport", "export"]
