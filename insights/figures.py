"""The findings as Plotly figures; Plotly is loaded when the first is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from ..surrogate.plots import COLOURS
from .digest import NAMES, group_name, shown
from .findings import Findings
from .moves import GROUPINGS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LABELS: Final = {"surrogate": "by the surrogate", "runs": "in the runs"}
STYLE: Final = {"surrogate": (COLOURS[0], "circle"), "runs": (COLOURS[1], "diamond")}
ROW: Final = 26
"""Height of a bar or a point, pixels."""
FRAME: Final = 120
"""Height of what surrounds them, pixels."""
NUMBERS: Final = 6
"""Hyperparameters whose regions are drawn."""


def importance_figure(found: Findings) -> Figure:
    """Draw the total effect by the surrogate and the share explained in the runs, with standard errors."""
    from plotly.graph_objects import Bar, Figure

    table = found.tables["importance"].set_index("hyperparameter").loc[shown(found)[::-1]]
    figure = Figure()
    for source, column in (("runs", "runs_explained"), ("surrogate", "total")):
        if table[column].notna().any():
            error = {"array": table[f"{column}_se"].fillna(0), "thickness": 1}
            name = "total effect by the surrogate" if source == "surrogate" else "explained in the runs"
            figure.add_trace(
                Bar(
                    x=table[column],
                    y=table.index,
                    orientation="h",
                    name=name,
                    error_x=error,
                    marker_color=_colour(source),
                )
            )
    return _finish(figure, 2 * len(table), "share of the variance within a setup", legend_traceorder="reversed")


def region_figure(found: Findings) -> Figure | None:
    """Draw where the best part of the most important numbers lies: one panel each; None if it is not known."""
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    ranges = found.tables["ranges"]
    names = [name for name in shown(found) if name in set(ranges["hyperparameter"])][:NUMBERS]
    if not names:
        return None
    figure = make_subplots(rows=len(names), cols=1, subplot_titles=names, vertical_spacing=0.45 / len(names))
    for panel, name in enumerate(names, start=1):
        for row in ranges[ranges["hyperparameter"] == name].iloc[::-1].to_dict("records"):
            for kind, prefix in (("all", "all_"), ("best", "")):
                x = [row[f"{prefix}{end}"] for end in ("low", "middle", "high")]
                look = _look(row["source"], kind) | {"showlegend": panel == 1}
                figure.add_trace(Scatter(x=x, y=[f"{kind} {LABELS[row['source']]}"] * 3, **look), row=panel, col=1)
        figure.update_xaxes(type=_axis(found, name), row=panel, col=1)
    return figure.update_layout(height=FRAME + 6 * ROW * len(names), showlegend=False)


def choice_figure(found: Findings) -> Figure | None:
    """Draw how often the best part makes each choice, compared with all; None if there is no choice."""
    from plotly.graph_objects import Bar, Figure

    table = found.tables["choices"]
    table = table[table["hyperparameter"].isin(shown(found))]
    if table.empty:
        return None
    figure = Figure()
    for source in ("surrogate", "runs"):
        part = table[table["source"] == source]
        for column, kind in (("share", "best"), ("all_share", "all")):
            if len(part):
                labels = part["hyperparameter"] + ": " + part["choice"]
                pattern = {"shape": "/" if kind == "all" else ""}
                figure.add_trace(
                    Bar(x=part[column], y=labels, orientation="h", name=f"{kind} {LABELS[source]}",
                        marker={"color": _colour(source), "opacity": 1 if kind == "best" else 0.35, "pattern": pattern})
                )  # fmt: skip
    labels = table["hyperparameter"] + ": " + table["choice"]
    return _finish(figure, 3 * labels.nunique(), "share of the configurations").update_yaxes(autorange="reversed")


def optimum_figure(found: Findings, name: str) -> Figure:
    """Draw a number's optimum in every group with two standard errors, and the centre of all configurations."""
    from plotly.graph_objects import Figure, Scatter

    table = found.tables["optimum_numbers"]
    table = table[table["hyperparameter"] == name]
    figure = Figure()
    for source, part in table.groupby("source", sort=False):
        colour, symbol = STYLE[str(source)]
        labels, error = _labels(part), {"array": part["high"] - part["best"], "arrayminus": part["best"] - part["low"]}
        best = {"color": colour, "symbol": symbol, "size": 9}
        figure.add_trace(Scatter(x=part["best"], y=labels, error_x=error, mode="markers", marker=best,
                                 name=f"best {LABELS[str(source)]}"))  # fmt: skip
        hollow = {"color": colour, "symbol": f"{symbol}-open", "size": 7}
        figure.add_trace(Scatter(x=part["all"], y=labels, mode="markers", marker=hollow,
                                 name=f"all {LABELS[str(source)]}"))  # fmt: skip
    return (
        _finish(figure, _labels(table).nunique(), name)
        .update_xaxes(type=_axis(found, name))
        .update_yaxes(categoryorder="array", categoryarray=_order(table)[::-1])
    )


def favourite_figure(found: Findings, name: str, source: str) -> Figure:
    """Draw which choices the best part makes in every group."""
    from plotly.graph_objects import Bar, Figure

    table = found.tables["optimum_choices"]
    table = table[(table["hyperparameter"] == name) & (table["source"] == source)]
    figure = Figure()
    for number, (choice, part) in enumerate(table.groupby("choice", sort=True)):
        marker = {"color": COLOURS[number % len(COLOURS)], "pattern": {"shape": ["", "/", ".", "x"][number % 4]}}
        figure.add_trace(Bar(x=part["share"], y=_labels(part), orientation="h", name=str(choice), marker=marker))
    figure.update_layout(barmode="stack")
    return _finish(figure, _labels(table).nunique(), f"share of the best part, {LABELS[source]}").update_yaxes(
        categoryorder="array", categoryarray=_order(table)[::-1]
    )


def noise_figure(found: Findings) -> Figure:
    """Draw the share that seed noise hides, with standard errors."""
    from plotly.graph_objects import Bar, Figure

    table = found.tables["seed_noise"].iloc[::-1]
    labels = [group_name(group) for group in table["group"]]
    error = {"array": table["hidden_se"].fillna(0), "thickness": 1}
    figure = Figure(Bar(x=table["hidden"], y=labels, orientation="h", error_x=error, marker_color=COLOURS[0]))
    return _finish(figure, len(table), "share of the differences within a setup that are the seed's")


def _finish(figure: Figure, rows: int, title: str, **layout: Any) -> Figure:
    return figure.update_layout(height=FRAME + ROW * rows, xaxis_title=title, **layout)


def _labels(table: pd.DataFrame) -> pd.Series:
    texts = [f"{NAMES[by]} {group_name(group)}" for by, group in zip(table["by"], table["group"], strict=True)]
    return pd.Series(texts, index=table.index, dtype=object)


def _order(table: pd.DataFrame) -> list[str]:
    """Return the groups' labels, grouping by grouping, each in its own order."""
    pairs = {(by, group) for by, group in zip(table["by"], table["group"], strict=True)}
    ordered = [sorted(group for each, group in pairs if each == by) for by in GROUPINGS]
    return [
        f"{NAMES[by]} {group_name(group)}" for by, groups in zip(GROUPINGS, ordered, strict=True) for group in groups
    ]


def _axis(found: Findings, name: str) -> str:
    table = found.tables["importance"]
    return "log" if (table["scale"][table["hyperparameter"] == name] == "log").any() else "linear"


def _colour(source: str) -> str:
    return STYLE[source][0]


def _look(source: str, kind: str) -> dict[str, Any]:
    """Return the look of a region: thick if of the best part, thin and dotted if of all."""
    colour, symbol = STYLE[source]
    line = {"color": colour, "width": 5 if kind == "best" else 2, "dash": "solid" if kind == "best" else "dot"}
    marker = {"color": colour, "symbol": symbol, "size": [0, 10, 0]}
    return {"mode": "lines+markers", "line": line, "marker": marker, "name": f"{kind} {LABELS[source]}"}
