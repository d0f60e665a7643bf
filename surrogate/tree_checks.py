"""Trees in LightGBM's text format, checked before LightGBM reads them: it may crash on a wrong text.

See `pruning` for the format. An inner node's children are leaves, or inner nodes with higher numbers, as LightGBM
numbers nodes in the order in which it splits; with every node but the root being a child once, that makes it a tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_FOOTER: Final = "end of trees"
_HEADER: Final = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1"}
_AN_INNER_NODE: Final = {
    "split_feature": int, "split_gain": float, "threshold": float, "decision_type": int, "left_child": int,
    "right_child": int, "internal_value": float, "internal_weight": float, "internal_count": int,
}  # fmt: skip
_A_LEAF: Final = {"leaf_value": float, "leaf_weight": float, "leaf_count": int}
Numbers = NDArray[Any]


def check_trees(text: str, n_features: int) -> None:
    """Raise ValueError unless a text is a model of LightGBM whose trees can be followed, of so many features."""
    head, found, rest = text.partition("\n\nTree=")
    blocks, end, _ = (found + rest).partition(_FOOTER)
    header = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    for name, value in _HEADER.items():
        if header.get(name) != value:
            raise ValueError(f"{name} must be {value}, got {header.get(name)!r}")
    if (
        header.get("max_feature_idx") != str(n_features - 1)
        or len(header.get("feature_names", "").split()) != n_features
    ):
        raise ValueError(f"must have {n_features} features, as the encoder has")
    if len(header.get("feature_infos", "").split()) != n_features or not end:
        raise ValueError("is incomplete")
    sizes = _numbers(header.get("tree_sizes", ""), int, "tree_sizes")
    start, content = 2, blocks.encode()
    for number, size in enumerate(sizes.tolist()):
        block = content[start : start + size]
        if size < 1 or not block.startswith(f"Tree={number}\n".encode()) or b"\nTree=" in block:
            raise ValueError(f"tree {number} does not lie where tree_sizes says")
        _check_tree(dict(line.split("=", 1) for line in block.decode().splitlines() if "=" in line), number, n_features)
        start += size
    if content[start:].strip():
        raise ValueError("holds more than tree_sizes says")


def _check_tree(fields: Mapping[str, str], number: int, n_features: int) -> None:
    where = f"tree {number}"
    leaves, categories = (
        int(_numbers(fields.get(name, ""), int, f"{where}, {name}", 1)[0]) for name in ("num_leaves", "num_cat")
    )
    if leaves < 1 or categories < 0 or fields.get("is_linear") != "0":
        raise ValueError(f"{where} is none that this package fits")
    for kinds, count in ((_AN_INNER_NODE, leaves - 1), (_A_LEAF, leaves)):
        for name, kind in kinds.items():
            if name in fields and (name == "leaf_value" or leaves > 1):
                _numbers(fields[name], kind, f"{where}, {name}", count)
    if "leaf_value" not in fields or not np.isfinite(_numbers(fields.get("shrinkage", ""), float, where, 1)).all():
        raise ValueError(f"{where} has no leaf_value or no shrinkage")
    if leaves > 1:
        _check_nodes(fields, where, leaves, n_features)
        _check_categories(fields, where, categories)


def _check_nodes(fields: Mapping[str, str], where: str, leaves: int, n_features: int) -> None:
    features, left, right = (
        _numbers(fields[name], int, where) for name in ("split_feature", "left_child", "right_child")
    )
    if features.min() < 0 or features.max() >= n_features:
        raise ValueError(f"{where} asks for a feature that there is not")
    children, parents = np.concatenate([left, right]), np.tile(np.arange(leaves - 1), 2)
    expected = np.concatenate([np.arange(-leaves, 0), np.arange(1, leaves - 1)])
    if not np.array_equal(np.sort(children), expected) or (children <= parents)[children >= 0].any():
        raise ValueError(f"{where} is no tree")


def _check_categories(fields: Mapping[str, str], where: str, categories: int) -> None:
    kinds, thresholds = (_numbers(fields[name], float, where) for name in ("decision_type", "threshold"))
    chosen = thresholds[kinds.astype(np.int64) & 1 == 1]
    if len(chosen) and not (0 <= chosen.min() and chosen.max() < categories):
        raise ValueError(f"{where} asks for a set of categories that there is not")
    if categories:
        bounds = _numbers(fields.get("cat_boundaries", ""), int, f"{where}, cat_boundaries", categories + 1)
        words = _numbers(fields.get("cat_threshold", ""), int, f"{where}, cat_threshold")
        if bounds[0] != 0 or bounds[-1] != len(words) or (np.diff(bounds) < 1).any() or words.min(initial=0) < 0:
            raise ValueError(f"{where} has sets of categories that cannot be read")


def _numbers(text: str, kind: type, what: str, count: int | None = None) -> Numbers:
    """Parse a line of numbers; ValueError where one is none, or there are not `count` of them."""
    try:
        values = np.array(text.split(), dtype=np.float64 if kind is float else np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{what} must hold numbers, got {text[:40]!r}") from error
    if count is not None and len(values) != count:
        raise ValueError(f"{what} must hold {count} numbers, got {len(values)}")
    return values
