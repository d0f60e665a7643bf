"""What the trainings of `benchmarks/recommendation.py` say: figures, and their tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from provenance import markdown_table
from rnn_warmstart.training.setups import Setup
from scipy.special import gammaln

MOMENTS = (1, 3, 5, 10)
SEEDS = 3
OURS, OURS_UNSEEN = "recommend", "task unseen: recommend"
Floats = np.ndarray
Proposals = dict[str, list[dict[str, Any]]]


def judge(
    setup: Setup, random: Floats, proposals: Proposals, losses: Floats, intervals: Floats | None = None
) -> dict[str, Any]:
    """Return what came of a setup's proposals; losses of shape (all configurations in order, seeds)."""
    best, middle = min(random.min(), losses.min()), float(np.median(random))
    ends = np.cumsum([len(item) for item in proposals.values()])
    found: dict[str, Any] = {**asdict(setup), "best": best, "median": middle, "lists": {}}
    for name, part in zip(proposals, np.split(losses, ends[:-1]), strict=True):
        lowest = np.minimum.accumulate(part, axis=0)  # trial, seed
        found["lists"][name] = {
            "losses": part.tolist(),
            "better": [float(np.mean([share_better(random, x) for x in row])) for row in lowest],
            "regret": ((np.minimum(lowest, middle) - best) / (middle - best)).mean(axis=1).tolist(),
            "beats": {
                str(k): [
                    float(np.mean([chance_to_beat(random, x, min(k, len(random))) for x in row])) for row in lowest
                ]
                for k in (100, len(random))
            },
        }
    if intervals is not None:
        mine = losses[: len(intervals)]
        found["below"], found["above"] = (
            float(np.mean(outside)) for outside in (mine < intervals[:, :1], mine > intervals[:, 1:])
        )
    expected = [expected_lowest(random, min(trial, len(random)), middle) for trial in MOMENTS]
    found["random_regret"] = {str(t): (x - best) / (middle - best) for t, x in zip(MOMENTS, expected, strict=True)}
    return found


def share_better(random: Floats, loss: float) -> float:
    """Return the share of random configurations with a lower loss, ties half."""
    return float(np.mean(random < loss) + np.mean(random == loss) / 2)


def chance_to_beat(random: Floats, loss: float, k: int) -> float:
    """Return the probability that the best of k random configurations, drawn without replacement, is worse; ties half.

    All k are among the w worse ones with probability C(w, k) / C(n, k).
    """
    n = len(random)
    worse, not_better = (random > loss).sum(), (random >= loss).sum()
    return (draws_within(worse, n, k) + draws_within(not_better, n, k)) / 2


def draws_within(w: Any, n: int, k: int) -> Any:
    """Return C(w, k) / C(n, k); 0 where w < k."""
    w = np.asarray(w, dtype=np.float64)
    inside = w >= k
    safe = np.where(inside, w, n)
    log = gammaln(safe + 1) - gammaln(safe - k + 1) - gammaln(n + 1) + gammaln(n - k + 1)
    return np.where(inside, np.exp(log), 0.0)


def expected_lowest(random: Floats, k: int, highest: float) -> float:
    """Return the mean of the lowest of k random losses, drawn without replacement; none counts above `highest`."""
    ordered = np.minimum(np.sort(random), highest)
    none_before = draws_within(len(random) - np.arange(len(random) + 1), len(random), k)
    return float((ordered * -np.diff(none_before)).sum())


def summarise(results: list[dict[str, Any]], names: list[str], boots: int = 2000) -> dict[str, Any]:
    """Return, for each list after each of `MOMENTS`, its regret, its place and its wins over the setups."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(results), size=(boots, len(results)))
    table: dict[str, Any] = {}
    for name in names:
        table[name] = {}
        ours = OURS_UNSEEN if name.startswith("task unseen") else OURS
        for t in MOMENTS:
            lists = [item["lists"][name] for item in results]
            regret, better = (np.array([at(item[key], t) for item in lists]) for key in ("regret", "better"))
            mine = np.array([at(item["lists"][ours]["regret"], t) for item in results])
            table[name][str(t)] = {
                "regret": float(regret.mean()),
                "regret_95": np.quantile(regret[rows].mean(axis=1), [0.025, 0.975]).tolist(),
                "better_median": float(np.median(better)),
                "better_worst": float(better.max()),
                "beats_100": float(np.mean([at(item["beats"]["100"], t) > 0.5 for item in lists])),
                "beats_all": float(np.mean([at(item["beats"][list(item["beats"])[-1]], t) > 0.5 for item in lists])),
                "better_than_ours": float(np.mean(regret < mine)),
            }
        if len(results[0]["lists"][name]["losses"]) == 1:
            continue  # the end of a list of one is its beginning
        gains = np.array([np.mean(np.log(speed_up(item["lists"][ours], item["lists"][name]))) for item in results])
        table[name]["speed_up"] = [
            float(np.exp(gains.mean())),
            *np.exp(np.quantile(gains[rows].mean(axis=1), [0.025, 0.975])),
        ]
    table["random"] = {
        str(t): {"regret": float(np.mean([r["random_regret"][str(t)] for r in results]))} for t in MOMENTS
    }
    return table


def speed_up(ours: dict[str, Any], theirs: dict[str, Any]) -> Floats:
    """Return how many times fewer trials ours needs to reach what a rival has after all of its own; shape (n_seeds,).

    The level is the median of the rival's ends. Trials are those of each seed; one that never gets there counts one
    more than the list has.
    """
    mine, other = (np.minimum.accumulate(np.array(item["losses"]), axis=0) for item in (ours, theirs))
    level = np.median(other[-1])
    needed = [
        np.where((lowest <= level).any(axis=0), (lowest <= level).argmax(axis=0) + 1, len(lowest) + 1)
        for lowest in (mine, other)
    ]
    return needed[1].mean() / needed[0]


def at(values: list[float], trial: int) -> float:
    """Return the value after so many trials; a shorter list stays at its last."""
    return values[min(trial, len(values)) - 1]


def to_text(result: dict[str, Any]) -> str:
    """Return the tables."""
    about, quantiles = result["provenance"], result["quantile_rival"]
    rows = []
    for name, moments in result["summary"].items():
        rows += [[name, t, f"{item['regret']:.3f}", *_cells(item)] for t, item in moments.items() if t != "speed_up"]
    n = result["random"]
    below, above = (float(np.mean([item[side] for item in result["setups"]])) for side in ("below", "above"))
    header = ["list", "T", "regret", "95 %", "better, median", "better, worst", "beats best of 100",
              f"beats best of {n}", "setups where it is better than recommend"]  # fmt: skip
    each = [
        [f"{item['architecture']}", item["task_type"], str(item["n_layers"]), f"{item['max_params']:,}",
         *(f"{100 * at(item['lists'][name]['better'], t):.1f}%"
           for name in (OURS, OURS_UNSEEN) for t in (1, 5)),
         f"{at(item['lists'][OURS]['beats']['100'], 5):.2f}",
         f"{at(item['lists'][OURS]['beats'][str(n)], 5):.2f}"]
        for item in result["setups"]
    ]  # fmt: skip
    return f"""# Recommendations, trained for real

`python benchmarks/recommendation.py`, commit {about["commit"]}, corpus of {about["corpus"]["rows"]:,} runs in \
{about["corpus"]["setups"]} setups, SHA-256 {about["corpus"]["sha256"]}, seed {about["seed"]}. \
{len(result["setups"])} setups that the surrogate has not seen, {result["steps"]:,} training steps for everybody, {n} \
random configurations a setup, every proposal with {SEEDS} seeds. The quantile surrogate's proposals: Syne Tune \
{quantiles["libraries"]["syne-tune"]}, commit {quantiles["commit"]}, corpus of {quantiles["corpus"]["rows"]:,} runs.

{markdown_table(header, rows)}
{_faster(result["summary"])}

regret: 0 is the best loss that anybody reached in the setup, 1 the median of random configurations and all above;
mean over setups and seeds, 95 % by bootstrap over setups. The 90 % intervals of the recommended configurations
hold {1 - below - above:.1%} of their losses, {below:.1%} lie below, {
        above:.1%} above. better: share of the random configurations that are better
than the best of the first T. beats best of k: share of setups where it more often than not is better than the best of k
random configurations.

## By setup

Share of the random configurations that are better than the first, and than the best of five; chance that the best of
five is better than the best of 100, and of {n}.

{
        markdown_table(
            [
                "architecture",
                "task",
                "layers",
                "parameters",
                "first",
                "of five",
                "task unseen: first",
                "task unseen: of five",
                "beats 100",
                f"beats {n}",
            ],
            each,
        )
    }"""


def _cells(item: dict[str, Any]) -> list[str]:
    if "regret_95" not in item:  # random configurations are only compared with
        return [""] * 6
    low, high = item["regret_95"]
    shares = [f"{item[name]:.1%}" for name in ("better_median", "better_worst")]
    return [
        f"{low:.3f} to {high:.3f}",
        *shares,
        *(f"{item[name]:.0%}" for name in ("beats_100", "beats_all", "better_than_ours")),
    ]


def _faster(summary: dict[str, Any]) -> str:
    told = [
        f"{name} {gain:.1f} ({low:.1f} to {high:.1f})"
        for name, item in summary.items()
        if "speed_up" in item and name not in (OURS, OURS_UNSEEN)
        for gain, low, high in [item["speed_up"]]
    ]
    return (
        "Times fewer trials that `recommend` needs to reach what a list has at its end, geometric mean with 95 %: "
        + "; ".join(told)
        + "."
    )
