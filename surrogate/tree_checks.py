"""Trees in LightGBM's text format, checked and written anew before LightGBM reads them: it may crash on a wrong text.

See `pruning` for the format. An inner node's children are leaves, or inner nodes with higher numbers, as LightGBM
numbers nodes in the order in which it splits; with every node but the root being a child once, that makes it a tree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..corpus.errors import printable

_FOOTER: Final = "end of trees"
_HEADER: Final = {
    "version": ("v4",), "num_class": ("1",), "num_tree_per_iteration": ("1",), "label_index": ("0",),
    "objective": ("regression", "regression_l1", "binary sigmoid:1"),
}  # fmt: skip
"""Lines of a model and what they may say."""
_A_FEATURE: Final = {"feature_names": r"[^\s=]+", "feature_infos": r"[\w\[\]:.+-]+"}
"""Lines that say something of every feature, and how."""
_AN_INNER_NODE: Final = {
    "split_feature": int, "split_gain": float, "threshold": float, "decision_type": int, "left_child": int,
    "right_child": int, "internal_value": float, "internal_weight": float, "internal_count": int,
}  # fmt: skip
_CHILDREN: Final = ("left_child", "right_child")
_NEEDED: Final = {"split_feature", "threshold", "decision_type", *_CHILDREN}
_KINDS: Final = 16
"""Kinds of decisions: whether categorical, where missing values go, and three ways of what is missing."""
_A_LEAF: Final = {"leaf_value": float, "leaf_weight": float, "leaf_count": int}
Numbers = NDArray[Any]


def checked_trees(text: str, n_features: int) -> str:
    """Return a model of LightGBM with nothing in it but what was checked, its numbers spelled anew.

    What LightGBM reads besides the trees (parameters, importances), and does not need to predict, is left out.

    Raises
    ------
    ValueError
        The text is no model whose trees can be followed, of so many features.
    """
    head, found, rest = text.partition("\n\nTree=")
    blocks, end, _ = (found + rest).partition(_FOOTER)
    header = _fields(head)
    for name, values in _HEADER.items():
        if header.get(name) not in values:
            raise ValueError(f"{name} must be {' or '.join(values)}, got {header.get(name)!r}")
    if header.get("max_feature_idx") != str(n_features - 1):
        raise ValueError(f"must have {n_features} features, as the encoder has")
    for name, token in _A_FEATURE.items():
        if not re.fullmatch(f"{token}( {token}){{{n_features - 1}}}", header.get(name, "")):
            raise ValueError(f"{name} must hold a word for each of the {n_features} features")
    if not end:
        raise ValueError("is incomplete")
    kept = "".join(f"{name}={header[name]}\n" for name in (*_HEADER, "max_feature_idx", *_A_FEATURE))
    sizes = _numbers(header.get("tree_sizes", ""), int, "tree_sizes")
    start, content, trees = 2, blocks.encode(), []
    for number, size in enumerate(sizes.tolist()):
        block = content[start : start + size]
        if size < 1 or not block.startswith(f"Tree={number}\n".encode()) or b"\nTree=" in block:
            raise ValueError(f"tree {number} does not lie where tree_sizes says")
        trees.append(f"Tree={number}\n{_checked_tree(_fields(block.decode()), number, n_features)}\n\n")
        start += size
    if content[start:].strip():
        raise ValueError("holds more than tree_sizes says")
    sizes_line = "tree_sizes=" + " ".join(str(len(tree)) for tree in trees)
    return f"tree\n{kept}{sizes_line}\n\n{''.join(trees)}{_FOOTER}\n"


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _checked_tree(fields: Mapping[str, str], number: int, n_features: int) -> str:
    """Return the lines of a tree."""
    where = f"tree {number}"
    leaves, categories = (
        int(_numbers(fields.get(name, ""), int, f"{where}, {name}", 1)[0]) for name in ("num_leaves", "num_cat")
    )
    if leaves < 1 or categories < 0 or fields.get("is_linear") != "0":
        raise ValueError(f"{where} is none that this package fits")
    kept = {"num_leaves": np.array([leaves]), "num_cat": np.array([categories])}
    for kinds, count in ((_AN_INNER_NODE, leaves - 1), (_A_LEAF, leaves)):
        for name, kind in kinds.items():
            if name in fields and (name == "leaf_value" or leaves > 1):
                # an infinite threshold splits what is known from what is missing
                besides = math.inf if name == "threshold" else math.nan
                kept[name] = _numbers(fields[name], kind, f"{where}, {name}", count, besides)
    if "leaf_value" not in kept or (leaves > 1 and not _NEEDED <= set(kept)):
        raise ValueError(f"{where} is incomplete")
    if leaves > 1:
        _check_nodes(kept, where, leaves, n_features)
        kept |= _categories(fields, kept, where, categories)
    kept |= {"is_linear": np.array([0]), "shrinkage": _numbers(fields.get("shrinkage", ""), float, where, 1)}
    return "".join(f"{name}={' '.join(map(repr, values.tolist()))}\n" for name, values in kept.items())


def _check_nodes(tree: Mapping[str, Numbers], where: str, leaves: int, n_features: int) -> None:
    features, left, right, kinds = (tree[name] for name in ("split_feature", *_CHILDREN, "decision_type"))
    if features.min() < 0 or features.max() >= n_features:
        raise ValueError(f"{where} asks for a feature that there is not")
    if kinds.min() < 0 or kinds.max() >= _KINDS:
        raise ValueError(f"{where} decides in a way that there is not")
    children, parents = np.concatenate([left, right]), np.tile(np.arange(leaves - 1), 2)
    expected = np.concatenate([np.arange(-leaves, 0), np.arange(1, leaves - 1)])
    if not np.array_equal(np.sort(children), expected) or (children <= parents)[children >= 0].any():
        raise ValueError(f"{where} is no tree")


def _categories(
    fields: Mapping[str, str], tree: Mapping[str, Numbers], where: str, categories: int
) -> dict[str, Numbers]:
    """Return the sets of categories that nodes ask for."""
    chosen = tree["threshold"][tree["decision_type"] & 1 == 1]
    if len(chosen) and not (0 <= chosen.min() and chosen.max() < categories):
        raise ValueError(f"{where} asks for a set of categories that there is not")
    if not categories:
        return {}
    bounds = _numbers(fields.get("cat_boundaries", ""), int, f"{where}, cat_boundaries", categories + 1)
    words = _numbers(fields.get("cat_threshold", ""), int, f"{where}, cat_threshold")
    if bounds[0] != 0 or bounds[-1] != len(words) or (np.diff(bounds) < 1).any() or words.min(initial=0) < 0:
        raise ValueError(f"{where} has sets of categories that cannot be read")
    return {"cat_boundaries": bounds, "cat_threshold": words}


def _numbers(text: str, kind: type, what: str, count: int | None = None, besides: float = math.nan) -> Numbers:
    """Parse a line of finite numbers, or `besides`; ValueError where one is none, or there are not `count` of them."""
    try:
        values = np.array(text.split(), dtype=np.float64 if kind is float else np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{what} must hold numbers, got {printable(text, 40)!r}") from error
    if count is not None and len(values) != count:
        raise ValueError(f"{what} must hold {count} numbers, got {len(values)}")
    if not (np.isfinite(values) | (values == besides)).all() or (kind is int and (np.abs(values) >= 2**32).any()):
        raise ValueError(f"{what} must hold finite numbers, whole ones of at most 32 bits")
    return values
