"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CorpusFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Archive, member (.p), Parquet file or folder. Default: the runs shipped with the package.",
        show_default=False,
    ),
]
