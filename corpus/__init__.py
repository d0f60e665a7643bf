"""Tables of real RNN training runs: read, check, store.

What needs pandas is imported when it is first asked for, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .errors import CorpusError
from .schema import ABSURD_LOSS, COLUMNS, HP_PREFIX, LOSSES, SETUP

if TYPE_CHECKING:
    from .checks import as_corpus
    from .files import load_builtin, read_corpus, write_parquet
    from .hparams import configurations
    from .import_map import ImportMap, read_map
    from .importing import import_corpus
    from .summary import Refusal, Summary
    from .table import Corpus

__all__ = [
    "ABSURD_LOSS",
    "COLUMNS",
    "HP_PREFIX",
    "LOSSES",
    "SETUP",
    "Corpus",
    "CorpusError",
    "ImportMap",
    "Refusal",
    "Summary",
    "as_corpus",
    "configurations",
    "import_corpus",
    "load_builtin",
    "read_corpus",
    "read_map",
    "write_parquet",
]

_LAZY = {
    "Corpus": "table",
    "ImportMap": "import_map",
    "Refusal": "summary",
    "Summary": "summary",
    "as_corpus": "checks",
    "configurations": "hparams",
    "import_corpus": "importing",
    "load_builtin": "files",
    "read_corpus": "files",
    "read_map": "import_map",
    "write_parquet": "files",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
