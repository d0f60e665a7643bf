"""A pandas table of the points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from .export import TextExport, listed
from .warm_start import WarmStart

ABOUT: Final = ("predicted_loss", "low", "high", "p_diverge", "expected_rank", "gain")
"""The columns beside the parameters."""


@dataclass(frozen=True, kw_only=True)
class FrameExport(TextExport):
    """The points as a table; ``text`` is the same as CSV.

    Parameters
    ----------
    frame : DataFrame
        A row a point, best first, index ``rank`` (1 is to be tried first). Columns: one a parameter, under its name;
        then ``predicted_loss``, ``low`` and ``high`` (the 90 % interval), ``p_diverge``, ``expected_rank`` and
        ``gain``, as a `RecommendedConfiguration` has them. Null where a parameter does not exist, or a loss is unknown.
    """

    frame: pd.DataFrame


def to_pandas(start: WarmStart) -> FrameExport:
    """Return the points as a table; the space and its priors are no part of it, and told as dropped.

    Raises
    ------
    ValueError
        A parameter has the name of one of the other columns.
    """
    if taken := [name for name in start.space.names if name in ABOUT]:
        raise ValueError(f"A table has columns of its own called {listed(ABOUT)}; give {listed(taken)} other names.")
    rows = []
    for point, told in zip(start.points, start.expectations, strict=True):
        low, high = told["interval"] or (None, None)
        told = told | {"low": low, "high": high}
        rows.append(point | {name: told[name] for name in ABOUT})
    ranks = pd.Index([told["rank"] for told in start.expectations], name="rank")
    frame = pd.DataFrame(rows, index=ranks)
    start = start.losing("A table has points, but no space and no priors; json, yaml and toml have them.")
    return FrameExport(target="pandas", points=start.points, dropped=start.dropped, frame=frame, text=frame.to_csv())
