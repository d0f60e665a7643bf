"""The surrogate and its competitors under one protocol, on the built-in corpus or on other people's runs.

    python benchmarks/protocol.py                      # benchmarks/results/protocol.{json,md}, splits.parquet
    python benchmarks/protocol.py --split by-setup --competitors none --write     # the other results stay
    python benchmarks/protocol.py --split task --competitors XGBoost --without-surrogate --write     # nor do others
    python benchmarks/protocol.py --corpus reimers_bilstm.csv.gz --map docs/import/reimers.toml --name reimers \
        --split random --split by-setup --split task --competitors "LightGBM, L2, loss score" --write
    python benchmarks/protocol.py --smoke              # seconds, writes nothing

Splits, scores and ceiling are those of ``rnn-warmstart evaluate``. Competitors (`benchmarks/competitors.py`) are judged
on by-setup, task and architecture, those that are named on all chosen splits. Folds are cached, so a second call
recomputes only what changed; every score names the commit that gave it. Needs the packages of
``pip install '.[benchmarks]'``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from competitors import CODE, COMPETITORS, PARTS_OF_THE_SURROGATE
from provenance import RESULTS, current_commit, markdown_table, provenance, write_result
from rich.console import Console
from rnn_warmstart.corpus import import_corpus, load_builtin
from rnn_warmstart.corpus.atomic import write_atomically
from rnn_warmstart.surrogate import NetworkSettings, Settings
from rnn_warmstart.surrogate.protocol import (
    FITTING,
    Judged,
    evaluate_split,
    judge_split,
    lead,
    predict_with,
    summarise_split,
)
from rnn_warmstart.surrogate.quality import COLUMNS, LEGEND, quality_row
from rnn_warmstart.surrogate.splits import SPLITS, Parts, split_runs, split_table

SURROGATE = "surrogate"
COMPARED = ("by-setup", "task", "architecture")
CACHE = Path(__file__).parent / "cache"
QUICK = Settings(trees=20, diverge_trees=5, folds=2,
                 network=NetworkSettings(units=16, layers=1, members=1, epochs=2))  # fmt: skip


def evaluate(
    runs: pd.DataFrame,
    splits: dict[str, Parts],
    settings: Settings,
    chosen: dict[str, list[str]],
    cache: Path,
    jobs: int,
) -> dict[str, dict[str, Any]]:
    """Return split -> predictor -> summary, for the predictors chosen for each split."""
    console = Console(stderr=True)
    results: dict[str, dict[str, Any]] = {}
    for split, parts in splits.items():
        ours: Judged | None = None
        for name in chosen[split]:
            predictor = predict_with(settings) if name == SURROGATE else COMPETITORS[name]
            key: dict[str, Any] = {"predictor": name}
            code = FITTING if name == SURROGATE else CODE
            if name in (SURROGATE, *PARTS_OF_THE_SURROGATE):
                key["settings"], code = settings.to_dict(), tuple(sorted({*FITTING, *code}))
            console.print(f"{split}: {name}")
            found = judge_split(runs, evaluate_split(runs, parts, predictor, key, cache=cache, jobs=jobs, code=code))
            result = {"commit": current_commit(), **key} | summarise_split(found)
            if name == SURROGATE:
                ours = found
            elif ours is not None:
                result["behind_the_surrogate"] = lead(ours, found)
            results.setdefault(split, {})[name] = result
    return results


def as_text(results: dict[str, dict[str, Any]], origin: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    corpus = origin["corpus"]
    about, source = "", ""
    if "file" in origin:
        about, source = " on other people's runs", " on {name} (SHA-256 {sha256}) by {map},".format(**origin["file"])
    text = (
        f"# The surrogate under the protocol{about}\n\n`python benchmarks/protocol.py`,{source} corpus of "
        f"{corpus['rows']:,} runs in {corpus['setups']} setups, SHA-256 {corpus['sha256']}, seed {origin['seed']}.\n\n"
    )
    judged = {split: found[SURROGATE] for split, found in results.items() if SURROGATE in found}
    rows = [[split, *quality_row(found), found["commit"]] for split, found in judged.items()]
    text += (markdown_table(["split", *COLUMNS, "commit"], rows) + "\n" if rows else "") + LEGEND
    if "by-setup" in judged:
        summary = judged["by-setup"]
        rows = [[name, *quality_row(summary, name)] for name in summary["groups"]]
        text += "\n## By setup\n\n" + markdown_table(["setups", *COLUMNS], rows) + _about_intervals(summary)
    for split in (name for name in results if set(results[name]) - {SURROGATE}):
        rows = [[name, *quality_row(found), found["commit"]] for name, found in results[split].items()]
        rows.sort(key=lambda row: row[2], reverse=True)
        text += f"\n## Competitors, {split}\n\n" + markdown_table(["predictor", *COLUMNS, "commit"], rows)
        text += _about_leads(results[split])
    return text


def with_earlier(name: str, results: dict[str, dict[str, Any]], origin: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the results, and those of the file that are of other splits or predictors, of the same runs and seed."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return results
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if any(earlier["provenance"][key] != origin[key] for key in ("seed", "corpus")):
        return results
    splits = [split for split in SPLITS if split in earlier["results"] or split in results]
    return {split: earlier["results"].get(split, {}) | results.get(split, {}) for split in splits}


def _about_leads(found: dict[str, dict[str, Any]]) -> str:
    """Return by how much the surrogate is ahead of each competitor that was judged in the same call."""
    rows = [
        [name, *("{:+.3f} ({:+.3f} to {:+.3f})".format(*values) for values in result["behind_the_surrogate"].values())]
        for name, result in found.items()
        if "behind_the_surrogate" in result
    ]
    table = markdown_table(["the surrogate is ahead of", "rho", "better than first", "regret 1"], rows)
    about = "Mean over setups, 95 % by bootstrap over setups; above 0 the surrogate is better."
    return f"\n{table}\n{about}\n" if rows else ""


def _about_intervals(summary: dict[str, Any]) -> str:
    found, scores = summary["intervals"], summary["groups"]["all"]
    lines = [
        f"{level}: {scores[f'coverage_{level}']['mean']:.1%} inside, width {scores[f'width_{level}']['median']:.2f} of "
        f"the task's median loss (median over setups), pinball loss {scores[f'pinball_{level}']['mean']:.4f}"
        for level in (0.5, 0.8, 0.9, 0.95)
    ]
    share = (
        f"90 % intervals cover 80 to 97 % in {found['covered_80_to_97']:.1%} of the {found['setups_with_many_runs']} "
        f"setups with 30 or more runs; perfect intervals would in {found['covered_80_to_97_if_perfect']:.1%}.\n"
        if found
        else ""
    )
    return "\nIntervals, by level. " + "; ".join(lines) + f".\n\n{share}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", action="append", choices=list(SPLITS), help="default: all")
    parser.add_argument("--competitors", default="all", help="all, none, or names separated by ';'")
    parser.add_argument("--without-surrogate", action="store_true", help="judge the competitors alone")
    parser.add_argument("--corpus", type=Path, help="a table of other people's runs; with --map and --name")
    parser.add_argument("--map", type=Path, help="what its columns mean, as `rnn-warmstart corpus import` takes it")
    parser.add_argument("--name", help="of its results in benchmarks/results")
    parser.add_argument("--folds", type=int, default=5, help="folds that calibrate each fitted surrogate")
    parser.add_argument("--jobs", type=int, default=1, help="parts at a time")
    parser.add_argument(
        "--write", action="store_true", help="write the results although not all splits were chosen; the others stay"
    )
    parser.add_argument("--smoke", action="store_true", help="few runs and trees; writes nothing")
    options = parser.parse_args()
    chosen = {"all": list(COMPETITORS), "none": []}.get(options.competitors, options.competitors.split(";"))
    if unknown := sorted(set(chosen) - set(COMPETITORS)):
        parser.error(f"unknown competitors {unknown}; known: {'; '.join(COMPETITORS)}.")
    if len({value is None for value in (options.corpus, options.map, options.name)}) > 1:
        parser.error("give --corpus, --map and --name, or none of them.")
    corpus = import_corpus(options.corpus, options.map) if options.corpus else load_builtin()
    runs, settings, cache = corpus.runs, replace(Settings(seed=options.seed), folds=options.folds), CACHE
    names = options.split or [name for name in SPLITS if name != "late"]
    if options.smoke:
        import tempfile

        cache, settings, names = Path(tempfile.mkdtemp()), QUICK, ["by-setup"]
        chosen = ["scikit-learn, ridge", "LightGBM, LambdaRank"]
        runs = runs[runs["source"] == "lab"].iloc[np.arange(0, 10_000, 4)].reset_index(drop=True)
    splits = {name: split_runs(runs, name, options.seed) for name in names}
    compared = COMPARED if options.competitors == "all" else names
    first = [] if options.without_surrogate else [SURROGATE]
    predictors = {name: first + (chosen if name in compared else []) for name in names}
    results = evaluate(runs, splits, settings, predictors, cache, options.jobs)
    origin = provenance(corpus, options.seed)
    if options.corpus:
        digest = hashlib.sha256(options.corpus.read_bytes()).hexdigest()
        origin["file"] = {"name": options.corpus.name, "sha256": digest, "map": options.map.name}
    write, title = not options.smoke and (options.write or not options.split), options.name or "protocol"
    if write:
        results = with_earlier(title, results, origin)
    text = as_text(results, origin)
    if write:
        write_result(title, {"provenance": origin, "results": results}, text)
    if write and not options.corpus:
        splits = {name: split_runs(runs, name, options.seed) for name in results}
        write_atomically(
            RESULTS / "splits.parquet", split_table(runs, splits).to_parquet(index=False, compression="zstd")
        )
    print(text)


if __name__ == "__main__":
    main()
