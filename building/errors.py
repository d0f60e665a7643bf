"""What stops a build."""

from __future__ import annotations


class BuildError(ValueError):
    """A build cannot begin or go on; the message says why, and what to do."""
