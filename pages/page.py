"""One self-contained HTML page: what every report of the project is written with."""

from __future__ import annotations

import base64
import hashlib
import html
import math
import os
from collections.abc import Iterable
from importlib.metadata import version
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..corpus.atomic import write_atomically
from .style import CSS, check_plotly, make_template

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

HEIGHT: Final = 420
"""Height of a figure that names none, pixels."""

SCRIPT: Final = """
for (const plot of document.querySelectorAll(".plot")) {
  const figure = JSON.parse(document.getElementById(plot.id + "-data").textContent);
  const config = {responsive: true, displayModeBar: false, displaylogo: false, plotlyServerURL: ""};
  Plotly.newPlot(plot, figure.data, figure.layout, config).then(() => { plot.dataset.drawn = "true"; });
}
for (const event of ["beforeprint", "afterprint"])
  addEventListener(event, () => document.querySelectorAll(".plot").forEach((plot) => Plotly.Plots.resize(plot)));
"""


class Page:
    """An HTML page of headings, texts, tables and Plotly figures, in one file.

    Everything given is text and escaped; no markup. The file holds its style, scripts and data, and its content
    security policy forbids scripts of others and any connection. It is readable at the width of a phone: what is wider,
    a table say, scrolls in its own box.

    Parameters
    ----------
    title : str
        Title of the page and its first heading.
    intro : str, default ""
        First paragraph.

    Examples
    --------
    >>> page = Page("Losses", "Of two runs.")
    >>> page.add_text("Lower is better.", heading="What it shows")
    """

    def __init__(self, title: str, intro: str = "") -> None:
        self.title = _text("title", title)
        self._parts = [f"<h1>{html.escape(self.title)}</h1>"]
        self._figures = 0
        self._tables = 0
        if intro:
            self._parts.append(f'<p class="intro">{html.escape(intro)}</p>')

    def add_heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(_text('heading', text))}</h2>")

    def add_text(self, *paragraphs: str, heading: str = "") -> None:
        """Add paragraphs, under a heading if one is given."""
        if heading:
            self.add_heading(heading)
        self._parts += [f"<p>{html.escape(text)}</p>" for text in paragraphs]

    def add_warning(self, text: str) -> None:
        """Add a paragraph that stands out, led by the word Warning."""
        self._parts.append(f'<p class="warning"><strong>Warning:</strong> {html.escape(_text("warning", text))}</p>')

    def add_table(self, frame: pd.DataFrame, caption: str, *, index: bool = False) -> None:
        """Add a table; a wide one scrolls in its box.

        Parameters
        ----------
        frame : DataFrame
            The column names head it. Numbers are shown with four digits, flags as yes and no, nulls as nothing.
        caption : str
            What it shows, above it.
        index : bool, default False
            Whether the frame's index is the first column; else its first column heads the rows.
        """
        self._tables += 1
        shown = frame.reset_index() if index else frame
        heads = "".join(_head(str(name), shown.dtypes.iloc[place].kind) for place, name in enumerate(shown.columns))
        rows = "".join(f"<tr>{_row(row)}</tr>" for row in shown.astype(object).itertuples(index=False, name=None))
        name = f"table-{self._tables}"
        self._parts.append(
            f'<figure><figcaption id="{name}">{html.escape(_text("caption", caption))}</figcaption>'
            f'<div class="scroll" role="region" aria-labelledby="{name}" tabindex="0">'
            f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></figure>"
        )

    def add_figure(self, figure: Figure, alt: str, caption: str, *, min_width: int = 0) -> None:
        """Add a Plotly figure; it takes the page's width and the page's template.

        Parameters
        ----------
        figure : plotly.graph_objects.Figure
            Stays as it is; the page holds a copy. Its height is kept, its width is not.
        alt : str
            What one would see, for those who do not.
        caption : str
            What it shows, above it.
        min_width : int, default 0
            Width under which it is unreadable, pixels: on a narrower screen it scrolls in its box.

        Raises
        ------
        ValueError
            alt or caption is empty.
        ModuleNotFoundError
            Plotly is not installed; the message says how to install it.
        """
        self._parts.append(self._figure(figure, alt, caption, min_width))

    def add_figures(self, figures: Iterable[tuple[Figure, str, str]]) -> None:
        """Add small figures beside each other, as many as the screen is wide enough for.

        Parameters
        ----------
        figures : iterable of (figure, alt, caption)
            As `add_figure` takes them.
        """
        panels = "".join(self._figure(figure, alt, caption, 0) for figure, alt, caption in figures)
        self._parts.append(f'<div class="panels">{panels}</div>')

    def _figure(self, figure: Figure, alt: str, caption: str, min_width: int) -> str:
        check_plotly()
        from plotly.graph_objects import Figure

        self._figures += 1
        drawn = Figure(figure).update_layout(template=make_template(), width=None, autosize=True)
        drawn.update_layout(height=drawn.layout.height or HEIGHT)
        name, alt = f"figure-{self._figures}", html.escape(_text("alt", alt))
        style = f"height:{drawn.layout.height:.0f}px;min-width:{min_width}px"
        return (
            f"<figure><figcaption>{html.escape(_text('caption', caption))}</figcaption>"
            f'<div class="scroll"><div class="plot" id="{name}" role="img" aria-label="{alt}" style="{style}">'
            f"<noscript>{alt}</noscript></div></div>"
            f'<script type="application/json" id="{name}-data">{_harmless(drawn.to_json())}</script></figure>'
        )

    def to_html(self) -> str:
        """Return the page's text."""
        scripts = self._scripts()
        hashes = [f"'sha256-{_digest(script)}'" for script in scripts]
        allowed = " ".join([*hashes, "'unsafe-eval'"] if hashes else ["'none'"])  # Plotly's WebGL figures need eval
        policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
        head = (
            f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<link rel="icon" href="data:,">\n<title>{html.escape(self.title)}</title>\n<style>{CSS}</style>'
        )
        body = "\n".join(self._parts)
        footer = f"<footer>Written by rnn-warmstart {html.escape(version('rnn-warmstart'))}.</footer>"
        inlined = "\n".join(f"<script>{script}</script>" for script in scripts)
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n<main>\n{body}\n</main>\n{footer}\n'
            f"{inlined}\n</body>\n</html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page into a file, which appears whole or not at all; return its path.

        Raises
        ------
        FileNotFoundError
            The folder does not exist.
        """
        target = Path(path)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"The folder {target.parent} does not exist; make it, or write elsewhere.")
        write_atomically(target, self.to_html().encode())
        return target

    def _scripts(self) -> list[str]:
        if not self._figures:
            return []
        from plotly.offline import get_plotlyjs

        return [get_plotlyjs(), SCRIPT]


def _head(name: str, kind: str) -> str:
    """Return the head of a column; `kind` is its dtype's: numbers stand to the right, and so do their heads."""
    place = ' class="number"' if kind in "iuf" else ""
    return f'<th scope="col"{place}>{html.escape(name)}</th>'


def _row(values: tuple[Any, ...]) -> str:
    first, *rest = values
    return f'<th scope="row">{html.escape(_shown(first))}</th>' + "".join(map(_cell, rest))


def _cell(value: Any) -> str:
    kind = ' class="number"' if isinstance(value, Real) and not isinstance(value, bool) else ""
    return f"<td{kind}>{html.escape(_shown(value))}</td>"


def _shown(value: Any) -> str:
    """Return a cell's text: four digits of a number, thousands apart; nothing for a null."""
    if value is None or value != value:  # NaN, too, is null
        return ""
    if type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, Real) and math.isfinite(number := float(value)):
        return f"{number:,.4g}" if abs(number) < 1e4 else f"{number:,.0f}"
    return str(value)


def _text(name: str, value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text that is not empty, but got {value!r}.")
    return value


def _harmless(json: str) -> str:
    """Return JSON of the same meaning that cannot end the script element it stands in, nor open a comment."""
    return json.replace("<", "\\u003c")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
