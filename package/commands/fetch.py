"""The command ``rnn-warmstart fetch``: bring the original data set here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch(
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Copy this file instead of downloading.", show_default=False),
    ] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the archive; made if needed.")] = Path("."),
) -> None:
    """Fetch the original data set: 630,880 runs, 177 MB, checked by size and SHA-256.

    An interrupted download goes on where it stopped when the command is given again. The download needs the package
    pooch (the extra `fetch`); --from needs nothing.

    Examples: `rnn-warmstart fetch`, `rnn-warmstart fetch --from ~/Downloads/rnn_hp_dataset.tar.gz --to data`.
    """
    from ..corpus.fetching import FetchError, fetch_archive
    from .progress import ReadingBar

    try:
        with ReadingBar(verb="") as bar:
            path = fetch_archive(to, source, progress=bar)
    except (FetchError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{path} is the original data set, complete and unchanged.")
