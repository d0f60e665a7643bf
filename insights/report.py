"""The findings as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ..pages import Page
from .digest import GOOD, HIDES, MATTER, NOISE, OPTIMUM, REGIONS, importance_legend, moving, optimum_source, sections
from .figures import choice_figure, favourite_figure, importance_figure, noise_figure, optimum_figure, region_figure
from .findings import Findings


def make_page(found: Findings) -> Page:
    """Return the page: plots and tables of every finding, then what is not known.

    Raises
    ------
    ModuleNotFoundError
        Plotly is not installed; the message says how to install it.
    """
    page = Page("What the runs say about hyperparameters", _introduction(found))
    tables = {title: frame for title, _, frame in sections(found)}
    if MATTER in tables:
        page.add_text(importance_legend(found), heading=MATTER)
        alt = _alt(
            "Bars of the importance of each hyperparameter, the largest on top.", tables[MATTER]["hyperparameter"]
        )
        page.add_figure(importance_figure(found), alt, "Importance, with standard errors over setups")
        page.add_table(_with_trees(tables[MATTER], found), "The most important hyperparameters")
    if GOOD in tables:
        _add_regions(page, found)
        page.add_table(tables[GOOD], "Values of the best 5 % and of all")
    _add_optimum(page, found)
    for title, frame in tables.items():
        if title not in (MATTER, GOOD, HIDES):
            page.add_table(frame, title)
    if HIDES in tables:
        page.add_text(NOISE, heading=HIDES)
        alt = "Bars of the share that seed noise hides, over all, by task and by architecture."
        page.add_figure(noise_figure(found), alt, "Share that is the seed's, with standard errors over setups")
        page.add_table(tables[HIDES], "Configurations trained with several seeds")
    if found.notes:
        page.add_text(*found.notes, heading="What to keep in mind")
    return page


def _with_trees(table: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """Add the total effect by the surrogate's trees alone: where it is another, the surrogate does not know."""
    trees = found.tables["importance"]["trees"].head(len(table))
    return table.assign(**{"by trees alone": trees.round(2)}) if trees.notna().any() else table


def _introduction(found: Findings) -> str:
    about = found.about
    only = " ".join(
        f"Only {what} {about[key]}." for key, what in (("task", "task"), ("arch", "architecture")) if about[key]
    )
    asked = "and a surrogate that was asked about their setups" if about["surrogate"] else "without a surrogate"
    return f"{about['runs']:,} training runs in {about['setups']:,} setups, {asked}. {only}".strip()


def _add_regions(page: Page, found: Findings) -> None:
    page.add_text(REGIONS, heading=GOOD)
    figures = {
        "numbers": (
            region_figure(found),
            "Lines from the 10 to the 90 % quantile, thick of the best part, dotted of all.",
        ),
        "choices": (choice_figure(found), "Bars of how often each choice is made in the best part and among all."),
    }
    for what, (figure, alt) in figures.items():
        if figure is not None:
            page.add_figure(figure, alt, f"The best part and all configurations: {what}")


def _add_optimum(page: Page, found: Findings) -> None:
    source = optimum_source(found)
    names = moving(found, source)
    if names:
        whose = "the surrogate's" if source == "surrogate" else "the real"
        page.add_text(OPTIMUM.format(source=whose), heading="How the optimum moves")
    numbers = set(found.tables["optimum_numbers"]["hyperparameter"])
    for name in names:
        if name in numbers:
            alt = f"Points: {name} of the best part in each group with two standard errors; hollow points: of all."
            page.add_figure(optimum_figure(found, name), alt, f"{name}: the optimum, group by group")
        else:
            alt = f"Stacked bars: which {name} the best part has in each group."
            page.add_figure(
                favourite_figure(found, name, source), alt, f"{name}: the best part's choices, group by group"
            )


def _alt(text: str, names: Iterable[str]) -> str:
    return f"{text} From the top: {', '.join(names)}."
