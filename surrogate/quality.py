"""What an evaluation found, as a table that a person reads."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ..corpus import Corpus
from ..corpus.atomic import write_atomically
from .splits import Parts, split_table

COLUMNS: Final = (
    "setups", "rho", "ceiling", "rho / ceiling", "lowest", "tau", "R2", "better than first",
    "regret 1", "regret 5", "regret 10", "90 % covers", "divergence AUC",
)  # fmt: skip
LEGEND: Final = """\
Per setup, then the mean over setups (R2: the median). rho: Spearman's between prediction and loss; ceiling: what a
predictor without error would reach at most, by how well seeds of one configuration agree at that architecture, task
and depth; rho / ceiling: with the rho among random runs alone, which the ceiling is for; lowest: rho of the worst
setup with 30 or more judged runs; tau: Kendall's, predicted losses rounded to 2 decimals; R2: of the predicted mean
loss, losses above twice the task's median cut there; better than first: share of the setup's runs better than the one
put first; regret k: distance of the best of the first k to the setup's best, 1 being the median's; 90 % covers: share
of losses inside the 90 % interval; divergence AUC: over all runs.
"""


def quality_row(summary: dict[str, Any], group: str = "all") -> list[str]:
    """Return the cells of `COLUMNS` for one group of an evaluation of `summarise_split`; "-" where there is none."""
    scores = summary["groups"][group]
    means = {name: entry["mean"] for name, entry in scores.items() if isinstance(entry, dict)}
    ratio = means["spearman_random"] / means["ceiling"] if means.get("ceiling") and "spearman_random" in means else None
    middle = scores.get("r2", {}).get("median")
    auc = summary.get("divergence", {}).get("auc") if group == "all" else None
    return [
        str(scores["setups"]),
        *(_number(value) for value in (means.get("spearman"), means.get("ceiling"), ratio)),
        *(_number(value) for value in (scores["spearman_min_many"], means.get("tau_2"), middle)),
        _percent(means.get("better_than_first")),
        *(_number(means.get(f"regret_{k}")) for k in (1, 5, 10)),
        _percent(means.get("coverage_0.9")),
        _number(auc),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def quality_text(corpus: Corpus, results: dict[str, dict[str, Any]], seed: int) -> str:
    """Return the results of several splits as Markdown: name to the summary of `summarise_split`."""
    rows = [["split", *COLUMNS], ["---"] * (1 + len(COLUMNS))]
    rows += [[name, *quality_row(summary)] for name, summary in results.items()]
    rows += [[f"{group}, by setup", *quality_row(results["by-setup"], group)] for group in _groups(results)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    about = f"{len(corpus):,} runs in {corpus.summary.setups:,} setups, SHA-256 {corpus.sha256}, seed {seed}."
    return f"{about}\n\n{table}\n\n{LEGEND}"


def write_quality(
    folder: Path, corpus: Corpus, splits: dict[str, Parts], results: dict[str, dict[str, Any]], seed: int
) -> None:
    """Write evaluation.json, evaluation.md and splits.parquet (`split_table`) into a folder, made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {"rows": len(corpus), "setups": corpus.summary.setups, "sha256": corpus.sha256}
    data = {"corpus": found, "seed": seed, "package": version("rnn-warmstart"), "splits": results}
    write_atomically(folder / "evaluation.json", (json.dumps(data, indent=1) + "\n").encode())
    write_atomically(folder / "evaluation.md", f"# Evaluation\n\n{quality_text(corpus, results, seed)}".encode())
    table = split_table(corpus.runs, splits)
    write_atomically(folder / "splits.parquet", table.to_parquet(index=False, compression="zstd"))


def _groups(results: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name in results.get("by-setup", {}).get("groups", {}) if name != "all"]
