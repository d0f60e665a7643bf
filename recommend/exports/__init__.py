"""Recommendations as other tools take them: starting points, search spaces and priors."""

from .export import Export
from .targets import TARGETS, export

__all__ = ["TARGETS", "Export", "export"]
