"""What every export has: the points, and a report of what the target cannot express."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ...corpus.atomic import write_atomically
from ...features.dimension import Value


@dataclass(frozen=True, kw_only=True)
class Export:
    """A recommendation in the terms of one target.

    Parameters
    ----------
    target : str
        Name of the target.
    points : tuple of dict
        The configurations to try first, best first, under the user's names, exactly as the target will evaluate them.
    dropped : tuple of str
        What was changed, left out, or cannot be expressed by the target; a sentence each. Empty: nothing was lost.
    """

    target: str
    points: tuple[dict[str, Value], ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TextExport(Export):
    """An export that is a text.

    Parameters
    ----------
    text : str
        The document.
    """

    text: str

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the text to a file, UTF-8; whoever reads meanwhile sees the old file or the whole new one."""
        goal = Path(path)
        if not goal.parent.is_dir():
            raise FileNotFoundError(f"The folder {goal.parent} does not exist; make it, or write elsewhere.")
        write_atomically(goal, self.text.encode())
        return goal


def load(module: str, extra: str, target: str) -> ModuleType:
    """Import an optional package's module; the ModuleNotFoundError says how to install the package."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"The export {target!r} needs the package {module.split('.')[0]}: pip install 'rnn-warmstart[{extra}]'.",
            name=error.name,
        ) from error


def listed(names: Iterable[object]) -> str:
    """Return names for a sentence, separated by commas."""
    return ", ".join(map(str, names))
