"""How every page looks: style sheet, colours, and the Plotly template of its figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from ..surrogate.plots import COLOURS

if TYPE_CHECKING:
    from plotly.graph_objects import layout

SCALE: Final = "Cividis"
"""Plotly's colour scale that looks the same with and without colour blindness (Nunez, Anderton and Renslow 2018)."""
INK: Final = "#1a1a1a"
LINES: Final = "#d9d9d9"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

WIDE: Final = 8.0
"""Highest over lowest number from which on a log axis shows them better."""

CSS: Final = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1rem; max-width: 72rem; background: #fff; color: {INK};
  font: 1rem/1.5 {FONT}; overflow-wrap: break-word; }}
h1 {{ font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }}
h2 {{ font-size: 1.2rem; line-height: 1.3; margin: 2rem 0 .5rem; }}
p {{ margin: .5rem 0; max-width: 46rem; }}
.intro {{ font-size: 1.1rem; }}
.warning {{ border-left: 4px solid {COLOURS[1]}; background: #fdf3ec; padding: .5rem .75rem; }}
figure {{ margin: 1.25rem 0; }}
figcaption {{ color: #404040; margin-bottom: .25rem; max-width: 46rem; }}
.panels {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); gap: 0 1rem; }}
.panels > figure {{ min-width: 0; margin: .75rem 0; display: flex; flex-direction: column; justify-content: end; }}
.scroll {{ overflow-x: auto; }}
.scroll:focus-visible {{ outline: 2px solid {COLOURS[0]}; }}
table {{ border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid {LINES}; padding: .25rem .5rem; text-align: left; white-space: nowrap; }}
th {{ font-weight: 600; }}
tbody th {{ position: sticky; left: 0; background: #fff; }}
.number {{ text-align: right; }}
footer {{ margin-top: 2rem; border-top: 1px solid {LINES}; padding-top: .5rem; color: #595959; font-size: .875rem; }}
@media print {{
  body {{ max-width: none; padding: 0; font-size: 10pt; }}
  figure, .warning {{ break-inside: avoid; }}
  h2 {{ break-after: avoid; }}
  .scroll {{ overflow: visible; }}
  th, td {{ white-space: normal; padding: .1rem .3rem; }}
  table {{ font-size: 7pt; }}
}}
"""


def fit_axis(low: float, high: float) -> dict[str, Any]:
    """Return the settings of an axis that shows numbers from low to high: logarithmic where that shows them better."""
    if low > 0 and high / low > WIDE:
        return log_axis(low / 1.1, high * 1.1)
    margin = 0.04 * (high - low) or 1.0
    return {"type": "linear", "range": [low - margin, high + margin]}


def log_axis(low: float, high: float) -> dict[str, Any]:
    """Return the settings of a logarithmic axis; over more than a decade and a half only powers of ten are marked."""
    ticks = {"dtick": 1} if high / low > 30 else {"nticks": 6}
    return {"type": "log", "range": [math.log10(low), math.log10(high)], **ticks}


def check_plotly() -> None:
    """Raise ModuleNotFoundError, with the command that helps, if Plotly is not installed."""
    try:
        import plotly  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Figures on pages need Plotly: pip install 'rnn-warmstart[pages]'.", name="plotly"
        ) from error


def make_template() -> layout.Template:
    """Return the Plotly template of every figure: white, few lines, colours that colour-blind people can tell apart.

    Dragging does nothing, so that a finger on a figure scrolls the page.
    """
    from plotly.graph_objects import layout

    axis = {
        "gridcolor": LINES,
        "linecolor": "#8c8c8c",
        "zeroline": False,
        "automargin": True,
        "ticks": "outside",
        "exponentformat": "power",
    }
    scale = {"sequential": SCALE, "sequentialminus": SCALE}
    look = {
        "colorway": COLOURS,
        "colorscale": scale,
        "font": {"family": FONT, "color": INK, "size": 13},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "xaxis": axis,
        "yaxis": axis,
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
        "dragmode": False,
        "hoverlabel": {"font": {"family": FONT}},
    }
    return layout.Template(layout=look)
