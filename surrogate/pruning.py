"""Trees without the branches that a known setup cannot reach: the same predictions, to the bit, from half the nodes.

Works on LightGBM's text format (version v4 of it): every tree is a block of ``key=value`` lines. Inner nodes are
numbered from 0 and leaf i is called -i - 1 (``~i``) where a child is named.

Decision of a node with feature value x (LightGBM, `tree.h`): bit 0 of ``decision_type`` says categorical, bit 1 that
missing values go left, bits 2 and 3 what counts as missing (0 nothing, 1 zero, 2 NaN). A category goes left if its bit
is set in the node's bit set; a number goes left if x <= threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

_ZERO: Final = 1e-35
"""LightGBM's kZeroThreshold: numbers nearer to 0 are 0 where zero counts as missing."""
_NODE_KEYS: Final = ("split_feature", "threshold", "decision_type")
_SIZES: Final = "tree_sizes="
_FOOTER: Final = "\nend of trees"


def prune_model(text: str, known: Mapping[str, float]) -> str:
    """Drop the branches that rows with known feature values never reach.

    Parameters
    ----------
    text : str
        `Booster.model_to_string()`.
    known : mapping
        Feature name to the value that it has in every row to come (NaN: always missing).

    Returns
    -------
    str
        A model with as many trees, in the same order, with the same leaf values. Without the sizes of its trees, so
        that LightGBM reads it with one thread, as a forked process must.
    """
    body, footer, rest = text.partition(_FOOTER)
    header, *trees = body.split("\nTree=")
    names = next(line for line in header.splitlines() if line.startswith("feature_names=")).partition("=")[2].split()
    values = {names.index(name): value for name, value in known.items() if name in names}
    header = "\n".join(line for line in header.splitlines() if not line.startswith(_SIZES))
    pruned = [f"Tree={number}\n{_prune_tree(tree, values)}\n" for number, tree in enumerate(trees)]
    return f"{header}\n\n" + "\n".join(pruned) + footer + rest


def _prune_tree(block: str, known: Mapping[int, float]) -> str:
    """Return the lines of one tree after its number, pruned; the statistics of its nodes are left out."""
    fields = dict(line.split("=", 1) for line in block.splitlines()[1:] if "=" in line)
    tree = {key: value.split() for key, value in fields.items()}
    nodes, leaves = _reachable(tree, known)
    place = {node: number for number, node in enumerate(nodes)} | {~leaf: ~i for i, leaf in enumerate(leaves)}
    out = {"num_leaves": str(len(leaves)), "num_cat": "0"}
    if nodes:
        out |= {key: " ".join(tree[key][node] for node in nodes) for key in _NODE_KEYS}
        out |= _sets(tree, nodes, out)
        for side in ("left_child", "right_child"):
            children = (_follow(int(tree[side][node]), tree, known) for node in nodes)
            out[side] = " ".join(str(place[child]) for child in children)
    out["leaf_value"] = " ".join(tree["leaf_value"][leaf] for leaf in leaves)
    out |= {key: fields[key] for key in ("is_linear", "shrinkage")}
    return "\n".join(f"{key}={value}" for key, value in out.items()) + "\n"


def _reachable(tree: Mapping[str, list[str]], known: Mapping[int, float]) -> tuple[list[int], list[int]]:
    """Return the inner nodes and leaves that remain, parents first."""
    nodes: list[int] = []
    leaves: list[int] = []
    stack = [_follow(0 if tree.get("split_feature") else ~0, tree, known)]
    while stack:
        node = stack.pop()
        if node < 0:
            leaves.append(~node)
        else:
            nodes.append(node)
            stack += [_follow(int(tree[side][node]), tree, known) for side in ("right_child", "left_child")]
    return nodes, leaves


def _follow(node: int, tree: Mapping[str, list[str]], known: Mapping[int, float]) -> int:
    """Return the first node, from this one down, whose feature is not known."""
    while node >= 0 and int(tree["split_feature"][node]) in known:
        left = _goes_left(known[int(tree["split_feature"][node])], node, tree)
        node = int(tree["left_child" if left else "right_child"][node])
    return node


def _goes_left(value: float, node: int, tree: Mapping[str, list[str]]) -> bool:
    decision = int(tree["decision_type"][node])
    if decision & 1:
        return not math.isnan(value) and _in_set(int(value), int(float(tree["threshold"][node])), tree)
    missing = decision >> 2 & 3
    if math.isnan(value) and missing != 2:
        value = 0.0
    if (missing == 1 and abs(value) <= _ZERO) or (missing == 2 and math.isnan(value)):
        return bool(decision & 2)
    return value <= float(tree["threshold"][node])


def _in_set(category: int, number: int, tree: Mapping[str, list[str]]) -> bool:
    start, end = (int(bound) for bound in tree["cat_boundaries"][number : number + 2])
    word, bit = divmod(category, 32)
    return 0 <= category and start + word < end and bool(int(tree["cat_threshold"][start + word]) >> bit & 1)


def _sets(tree: Mapping[str, list[str]], nodes: list[int], out: Mapping[str, str]) -> dict[str, str]:
    """Renumber the bit sets of the categorical nodes that remain."""
    thresholds = out["threshold"].split()
    words: list[str] = []
    boundaries = [0]
    for place, node in enumerate(nodes):
        if int(tree["decision_type"][node]) & 1:
            number = int(float(tree["threshold"][node]))
            thresholds[place] = str(len(boundaries) - 1)
            start, end = (int(bound) for bound in tree["cat_boundaries"][number : number + 2])
            words += tree["cat_threshold"][start:end]
            boundaries.append(len(words))
    if not words:
        return {}
    return {
        "num_cat": str(len(boundaries) - 1),
        "threshold": " ".join(thresholds),
        "cat_boundaries": " ".join(map(str, boundaries)),
        "cat_threshold": " ".join(words),
    }
