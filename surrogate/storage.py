"""Fitted surrogates on disk: LightGBM's text, NumPy's arrays and JSON, with a checksum for each. Reading runs no code.

A folder holds ``registry.json`` (schema version, SHA-256 of every other file), ``surrogate.json`` (everything but trees
and weights), ``rank.txt``, ``loss.txt``, ``diverge.txt`` (the trees), ``networks.npy`` (the networks' weights, float32
of shape (n_members, n_weights)), and, unless it was fitted on the built-in corpus, ``runs.parquet`` (its corpus, for
the evidence). The registry is written last: a folder without one is not complete.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ..corpus.atomic import write_atomically
from ..corpus.errors import printable
from ..corpus.schema import SETUP
from ..features import Coverage, Encoder
from .boosting import MODELS, Boosters, Settings
from .calibration import Calibration
from .model import Surrogate
from .network import Ensemble, Inputs, count_weights
from .noise import SeedNoise
from .predictors import Predictors
from .targets import LossScale
from .tree_checks import checked_trees

SCHEMA_VERSION: Final = 6
"""Version of the folder's format. Raise it by one when a file's meaning changes, so that an older package refuses
what it would misread."""
TARGETS: Final = 2
"""Scores that the networks predict: rank and loss."""
REGISTRY: Final = "registry.json"
DESCRIPTION: Final = "surrogate.json"
NETWORKS: Final = "networks.npy"
RUNS: Final = "runs.parquet"
LIBRARIES: Final = ("lightgbm", "numpy", "pandas", "scikit-learn")


class ModelError(ValueError):
    """A folder of models that is missing, incomplete, damaged, or of another version."""


def save_surrogate(surrogate: Surrogate, folder: str | os.PathLike[str]) -> None:
    """Write a surrogate into a folder, which is made if needed; the files of an earlier surrogate are replaced.

    The same surrogate gives the same bytes.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / REGISTRY).unlink(missing_ok=True)
    contents = {f"{name}.txt": surrogate.boosters.models[name].model_to_string().encode() for name in MODELS}
    contents[NETWORKS] = _npy_bytes(surrogate.predictors.networks.weights)
    contents[DESCRIPTION] = _to_json(describe(surrogate)).encode()
    for name, content in contents.items():
        write_atomically(target / name, content)
    listed = [*contents, *([RUNS] if (target / RUNS).exists() else [])]
    hashes = {name: _sha256(target / name) for name in sorted(listed)}
    write_atomically(target / REGISTRY, _to_json({"schema_version": SCHEMA_VERSION, "sha256": hashes}).encode())


def load_surrogate(folder: str | os.PathLike[str], *, own: bool = False) -> Surrogate:
    """Read the surrogate that a folder holds, after checking every file's checksum, and that its trees are trees.

    Parameters
    ----------
    folder : path
        Written by `save_surrogate`.
    own : bool, default False
        Whether it is the package's own, whose trees need no check.

    Raises
    ------
    ModelError
        The folder is missing, incomplete or damaged, or its format is of another version. The message names the file
        and the command that makes a new one.
    """
    source = Path(folder)
    contents = _checked_contents(source)
    try:
        data = json.loads(contents[DESCRIPTION])
        encoder = Encoder.from_dict(data["encoder"])
        boosters = _boosters(contents, None if own else len(encoder.features))
        surrogate = Surrogate(
            encoder=encoder,
            coverage=Coverage.from_dict(data["coverage"]),
            predictors=Predictors(boosters, _networks(contents[NETWORKS], data["networks"])),
            scale=LossScale.from_dict(data["loss_scale"]),
            calibration=Calibration.from_dict(data["calibration"]),
            noise=SeedNoise.from_dict(data["noise"]),
            settings=Settings.from_dict(data["settings"]),
            corpus=data["corpus"],
        )
        if not own:
            _try_out(surrogate)
    except ModelError:
        raise
    except Exception as error:  # whatever a damaged description is good for
        raise ModelError(
            f"{source / DESCRIPTION} does not describe a surrogate ({printable(repr(error), 300)}). {_ADVICE}"
        ) from error
    return surrogate


def _try_out(surrogate: Surrogate) -> None:
    """Predict a run of every architecture on every task, so that parts that do not fit each other fail now."""
    encoder = surrogate.encoder
    setups = [(architecture, task, 1, 10**5) for architecture in encoder.architectures for task in encoder.tasks]
    surrogate.predict(pd.DataFrame(setups, columns=list(SETUP)))


def describe(surrogate: Surrogate) -> dict[str, Any]:
    """Return everything about a surrogate but its trees and weights, ready for JSON."""
    networks = surrogate.predictors.networks
    return {
        "corpus": surrogate.corpus,
        "settings": surrogate.settings.to_dict(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "encoder": surrogate.encoder.to_dict(),
        "coverage": surrogate.coverage.to_dict(),
        "loss_scale": surrogate.scale.to_dict(),
        "calibration": surrogate.calibration.to_dict(),
        "noise": surrogate.noise.to_dict(),
        "networks": {
            "inputs": networks.inputs.to_dict(),
            "widths": networks.widths,
            "levels": networks.levels.tolist(),
        },
    }


_ADVICE: Final = "Fit it again: rnn-warmstart fit --corpus FILE --out DIR."


def _checked_contents(folder: Path) -> dict[str, bytes]:
    try:
        registry = json.loads((folder / REGISTRY).read_text(encoding="utf-8"))
        found, hashes = registry["schema_version"], dict(registry["sha256"])
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no surrogate: {REGISTRY} is missing. {_ADVICE}") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{folder / REGISTRY} is not a registry of models ({printable(repr(error))}). {_ADVICE}"
        ) from error
    if found != SCHEMA_VERSION:
        raise ModelError(
            f"{folder} has schema version {printable(repr(found))}, this package reads {SCHEMA_VERSION}. {_ADVICE}"
        )
    needed = {DESCRIPTION, NETWORKS, *(f"{name}.txt" for name in MODELS)}
    if not needed <= set(hashes) <= needed | {RUNS}:
        raise ModelError(
            f"{folder / REGISTRY} must list {', '.join(sorted(needed))}, but lists "
            f"{printable(', '.join(map(str, hashes)), 300)}. {_ADVICE}"
        )
    for name, expected in hashes.items():
        got = _sha256(folder / name)
        if got != expected:
            raise ModelError(
                f"{folder / name} is damaged: SHA-256 expected {printable(str(expected))}, got {got}. {_ADVICE}"
            )
    return {name: (folder / name).read_bytes() for name in sorted(needed)}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}). {_ADVICE}") from error


def _boosters(contents: dict[str, bytes], n_features: int | None) -> Boosters:
    """Read the trees, after a check if the number of their features is given."""
    import lightgbm

    models = {}
    for name in MODELS:
        try:
            text = contents[f"{name}.txt"].decode()
            if n_features is not None:
                text = checked_trees(text, n_features)
            models[name] = lightgbm.Booster(model_str=text)
        except (ValueError, lightgbm.basic.LightGBMError) as error:
            raise ModelError(f"{name}.txt is not a LightGBM model: {printable(str(error), 300)}. {_ADVICE}") from error
    return Boosters(models)


def _networks(content: bytes, data: dict[str, Any]) -> Ensemble:
    widths = tuple(int(width) for width in data["widths"])
    levels = np.array([float(level) for level in data["levels"]])
    if widths[-1] != TARGETS * len(levels) or not np.isfinite(levels).all():
        raise ValueError(
            f"{NETWORKS} must have an output for each of {len(levels)} finite levels of {TARGETS} scores, but has "
            f"{widths[-1]}"
        )
    weights = np.load(io.BytesIO(content), allow_pickle=False)
    if weights.ndim != 2 or weights.dtype != np.float32 or weights.shape[1] != count_weights(widths):
        raise ValueError(
            f"{NETWORKS} must hold float32 weights, {count_weights(widths)} a network, but holds {weights.dtype} of "
            f"shape {weights.shape}"
        )
    inputs = Inputs.from_dict(data["inputs"])
    if inputs.width != widths[0]:
        raise ValueError(f"the networks have {widths[0]} inputs, but {inputs.width} are described")
    return Ensemble(inputs, widths, weights, levels)


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _to_json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=False, allow_nan=False) + "\n"
