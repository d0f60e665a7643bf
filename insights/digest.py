"""The findings as a person reads them: a few short tables of text, for the terminal and the page."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Final

import pandas as pd

from .findings import Findings
from .moves import GROUPINGS

SHOWN: Final = 12
"""Hyperparameters in a table."""
CHOICES: Final = 4
"""Choices of a category in a cell: those that the best part makes most often."""
MOVING: Final = 3
"""Hyperparameters whose optimum is shown group by group."""
NAMES: Final = {"task_type": "task", "architecture": "architecture", "n_layers": "depth", "max_params": "size"}


def shown(found: Findings) -> list[str]:
    """Return the hyperparameters that the tables show: the most important."""
    return found.tables["importance"]["hyperparameter"].head(SHOWN).tolist()


def importance_table(found: Findings) -> pd.DataFrame:
    """Return importance by the surrogate and by the runs, with standard errors, most important first."""
    table, columns = found.tables["importance"].head(SHOWN), {}
    columns["hyperparameter"] = table["hyperparameter"].tolist()
    titles = {"total": "total effect", "main": "alone", "runs_explained": "in the runs", "runs_trend": "trend"}
    for name, title in titles.items():
        if table[name].notna().any():
            pairs = zip(table[name], table[f"{name}_se"], strict=True)
            columns[title] = [with_error(value, error) for value, error in pairs]
    return pd.DataFrame(columns)


def importance_legend(found: Findings) -> str:
    """Return how to read `importance_table`."""
    return (BY_SURROGATE if found.about["surrogate"] else "") + IN_THE_RUNS


def region_table(found: Findings) -> pd.DataFrame:
    """Return where the best part lies, by the runs and by the surrogate, compared with all of the runs."""
    parts = {source: _regions(found, source) for source in ("runs", "surrogate")}
    rows = []
    for name in shown(found):
        runs, surrogate = (parts[source].get(name, {}) for source in ("runs", "surrogate"))
        if runs or surrogate:
            rows.append([name, runs.get("best", ""), surrogate.get("best", ""), (runs or surrogate)["all"]])
    table = pd.DataFrame(rows, columns=["hyperparameter", "best runs", "best by the surrogate", "all"])
    return table[[column for column in table if (table[column] != "").any()]]


def _regions(found: Findings, source: str) -> dict[str, dict[str, str]]:
    ranges, choices = (table[table["source"] == source] for table in (found.tables["ranges"], found.tables["choices"]))
    out = {
        str(row["hyperparameter"]): {"best": _interval(row, ""), "all": _interval(row, "all_")}
        for row in ranges.to_dict("records")
    }
    for name, part in choices.groupby("hyperparameter"):
        best, usual = (_shares(part.sort_values("share", ascending=False), column) for column in ("share", "all_share"))
        out[str(name)] = {"best": best, "all": usual}
    return out


def _interval(row: dict[Any, Any], prefix: str) -> str:
    return f"{number(row[f'{prefix}low'])} to {number(row[f'{prefix}high'])}"


def _shares(part: pd.DataFrame, column: str) -> str:
    first = part.head(CHOICES)
    return ", ".join(f"{choice} {share:.0%}" for choice, share in zip(first["choice"], first[column], strict=True))


def optimum_source(found: Findings) -> str:
    """Return what the optimum is read off: the surrogate, if one was asked, else the runs."""
    return "surrogate" if found.about["surrogate"] else "runs"


def moving(found: Findings, source: str) -> list[str]:
    """Return the most important hyperparameters whose optimum is known in several groups."""
    tables = (found.tables["optimum_numbers"], found.tables["optimum_choices"])
    known = {name for table in tables for name in table["hyperparameter"][table["source"] == source]}
    return [name for name in found.tables["importance"]["hyperparameter"] if name in known][:MOVING]


def optimum_table(found: Findings, by: str) -> pd.DataFrame:
    """Return where the optimum is, group by group of one of `GROUPINGS`; empty if there is one group only.

    Numbers are followed by two standard errors either side; of a category, the most frequent choice is named. The last
    row says how much of where the optimum lies in a setup the grouping explains.
    """
    source, columns = optimum_source(found), dict[str, dict[str, str]]()
    for name in moving(found, source):
        columns[name] = _number_cells(found, source, name, by) or _choice_cells(found, source, name, by)
        explained = _pick(found.tables["optimum_explained"], source, name, by)
        if len(explained):
            columns[name]["explained"] = f"{max(explained['explained'].iloc[0], 0):.0%}"
    table = pd.DataFrame(columns, dtype=object).fillna("").rename_axis(NAMES[by]).reset_index()
    return table if len(table) > 1 else table.iloc[:0]


def _number_cells(found: Findings, source: str, name: str, by: str) -> dict[str, str]:
    rows = _pick(found.tables["optimum_numbers"], source, name, by)
    return {
        group_name(row["group"]): f"{number(row['best'])} ({_interval(row, '')})" for row in rows.to_dict("records")
    }


def _choice_cells(found: Findings, source: str, name: str, by: str) -> dict[str, str]:
    rows = _pick(found.tables["optimum_choices"], source, name, by).sort_values("share", ascending=False)
    first = rows.groupby("group", sort=True).head(1).sort_values("group")
    return {group_name(row.group): f"{row.choice} {row.share:.0%}" for row in first.itertuples()}


def _pick(table: pd.DataFrame, source: str, name: str, by: str) -> pd.DataFrame:
    return table[(table["source"] == source) & (table["hyperparameter"] == name) & (table["by"] == by)]


def noise_table(found: Findings) -> pd.DataFrame:
    """Return how much seed noise hides, group by group."""
    table = found.tables["seed_noise"]
    return pd.DataFrame(
        {
            "of": [group_name(group) for group in table["group"]],
            "configurations": [f"{count:,}" for count in table["configurations"]],
            "hidden": [with_error(*pair) for pair in zip(table["hidden"], table["hidden_se"], strict=True)],
            "order kept": [percent(value) for value in table["order_kept"]],
            "spread": [percent(value) for value in table["spread"]],
            "of good ones": [percent(value) for value in table["spread_good"]],
        }
    )


def sections(found: Findings) -> list[tuple[str, str, pd.DataFrame]]:
    """Return every table that has rows: its title, how to read it, and the table."""
    source = "the surrogate's" if optimum_source(found) == "surrogate" else "the real"
    tables = [
        (MATTER, importance_legend(found), importance_table(found)),
        (GOOD, REGIONS, region_table(found)),
        *(
            (f"Where the optimum is, by {NAMES[by]}", OPTIMUM.format(source=source), optimum_table(found, by))
            for by in GROUPINGS
        ),
        (HIDES, NOISE, noise_table(found)),
    ]
    return [section for section in tables if len(section[2])]


MATTER: Final = "Which hyperparameters matter"
GOOD: Final = "Where the good regions are"
HIDES: Final = "How much seed noise hides"
BY_SURROGATE: Final = (
    "Total effect and alone: share of the differences between a setup's configurations that the hyperparameter "
    "explains, with its interactions and without, by the surrogate. "
)
IN_THE_RUNS: Final = (
    "In the runs: share that the hyperparameter explains alone, without a surrogate, seed noise included. Trend: rank "
    "correlation with the loss, negative where more is better. Each is the mean over setups with its standard error."
)
REGIONS: Final = (
    "The best 5 % of each setup: 10 to 90 % of their values, or the shares of their choices; all: the same of all "
    "configurations."
)
OPTIMUM: Final = (
    "Mean over setups of {source} best 5 %, with two standard errors either side; of choices the most frequent. "
    "Explained: how much of where a setup's optimum lies, compared with what was tried, the grouping explains. Where "
    "groups tried other values, as small networks longer trainings, the optimum differs for that reason too."
)
NOISE: Final = (
    "From configurations trained with several seeds. Hidden: share of the differences between single runs of a setup "
    "that are the seed's. Order kept: how often two configurations keep their order under other seeds. Spread: "
    "standard deviation over mean of a configuration's losses, the median; of good ones: of the best fifth."
)


def number(value: float) -> str:
    """Return a number with three digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(value: float) -> str:
    """Return a share in percent, or a dash."""
    return "-" if value != value else f"{value:.1%}"


def with_error(value: float, error: float) -> str:
    """Return a number with its standard error, two decimals, or a dash."""
    if value != value:
        return "-"
    return f"{value:.2f}" + ("" if error != error else f" ± {error:.2f}")


def group_name(group: object) -> str:
    """Return a group as text."""
    return f"{group:,}" if isinstance(group, Integral) else str(group)
