"""A pandas table of the points."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from .export import TextExport
from .warm_start import WarmStart


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
    """Return the points as a table; the space and its priors are no part of it, and told as dropped."""
    rows = []
    for point, told in zip(start.points, start.expectations, strict=True):
        low, high = told["interval"] or (None, None)
        losses = {"predicted_loss": told["predicted_loss"], "low": low, "high": high}
        rows.append(point | losses | {name: told[name] for name in ("p_diverge", "expected_rank", "gain")})
    ranks = pd.Index([told["rank"] for told in start.expectations], name="rank")
    frame = pd.DataFrame(rows, index=ranks)
    start = start.losing("A table has points, but no space and no priors; json, yaml and toml have them.")
    return FrameExport(target="pandas", points=start.points, dropped=start.dropped, frame=frame, text=frame.to_csv())
