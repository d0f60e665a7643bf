"""Cases for the fuzz harness: good files, mutated ones, and bombs; each depends on seed, target and number alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import pickletools
import re
import sqlite3
import struct
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import pandas as pd
from fuzz_targets import MAP
from rnn_warmstart.corpus import write_parquet
from rnn_warmstart.corpus.files import load_builtin
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate
from rnn_warmstart.surrogate.storage import REGISTRY, save_surrogate

ASSETS: Final = Path(__file__).parents[1] / "tests" / "assets"
DTYPE: Final = [
    ("architecture", "O"), ("eval_loss", "f8"), ("hparams", "O"), ("max_params", "i8"), ("n_layers", "i8"),
    ("task_type", "O"),
]  # fmt: skip
ROWS: Final = [
    ("gru", 0.5, {"lr_init": 0.01, "train_steps": 100, "optimizer": "Adam"}, 1000, 2, "text8"),
    ("lstm", float("nan"), {"lr_init": np.float64(0.1), b"raw": b"\xff", "flag": True}, 5000, 1, "rcf"),
    ("lstm", 1e30, {"lr_init": None, "train_steps": 10**30, "nested": {"a": [1, (2, 3)]}}, 5000, 1, "rcf"),
]
WORDS: Final = (
    b"\0", b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x80" * 4, b"9" * 12, b"-1", b"1e999", b"nan", b"\n", b"'", b'"', b"{",
    b"}", b"[", b"]", b"\xed\xa0\x80", b"\xc3\x28", b"null", b"true", b"\x1b[2J", b"..", b"/", b"\\u0000", b"=", b"#",
)  # fmt: skip
OPCODES: Final = (
    b"N", b"K\x01", b"M\x01\x02", b"J\0\0\0\0", b"G?\xf0\0\0\0\0\0\0", b"U\x01a", b"X\x01\0\0\0b", b"C\x01c", b"(",
    b"X\x03\0\0\0\xed\xa0\x80", b"t", b"\x95\x04\0\0\0\0\0\0\0",
    b"\x85", b"\x86", b"\x87", b")", b"]", b"}", b"l", b"d", b"a", b"e", b"s", b"u", b"R", b"b", b"0", b"1", b"2",
    b"q\x01", b"q\x02", b"h\x01", b"h\x02", b"\x94", b"\x88", b"\x8f", b"\x90", b"\x91", b"\x8a\x01\x05", b"\x81", b"o",
    b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\nscalar\n", b"c__builtin__\nset\n",
    b"cnumpy.core.multiarray\n_reconstruct\n", b"c__builtin__\nbytearray\n", b"c_codecs\nencode\n",
    b"c__builtin__\nfrozenset\n", b"ccollections\nOrderedDict\n", b"c__builtin__\ncomplex\n", b"cos\nsystem\n",
    b"F1.5\n", b"I7\n", b"I01\n", b"L9L\n", b"S'x'\n", b"Vy\n", b"p3\n", b"g3\n", b".", b"\x80\x02",
)  # fmt: skip
MODELS_FOLDER: Final = "RNN_WARMSTART_FUZZ_MODELS"
Maker = Callable[[Random], bytes]


def mutated(data: bytes, random: Random, others: tuple[bytes, ...] = ()) -> bytes:
    """Return bytes with one to six small changes."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        at, size = random.randrange(len(changed) + 1), random.choice((1, 1, 2, 4, 8, 32, 128))
        match random.randrange(7):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << random.randrange(8)
            case 1 if changed:
                changed[at % len(changed)] = random.randrange(256)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[at : at + size] * random.choice((1, 1, 2, 50))
            case 4:
                changed[at : at + random.choice((0, 4))] = random.choice(WORDS)
            case 5:
                changed[at:at] = random.randbytes(size)
            case _:
                other = random.choice((data, *others))
                start = random.randrange(len(other) + 1)
                changed[at : at + size] = other[start : start + size]
    return bytes(changed)


def reworded(data: bytes, random: Random) -> bytes:
    """Return text with one to three of its words or signs replaced by others of its own, or by odd ones."""
    tokens = re.split(rb"(\W)", data)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(tokens))
        tokens[at] = random.choice(
            (random.choice(tokens), random.choice(tokens), random.choice(WORDS), b"", b"-1", b"1e9")
        )
    return b"".join(tokens)


# --- pickles ---------------------------------------------------------------------------------------------------------


@cache
def pickles() -> tuple[bytes, ...]:
    """Return good tables."""
    table = np.array(ROWS, dtype=DTYPE)
    written = [pickle.dumps(table, protocol=protocol) for protocol in range(6)]
    return (*((ASSETS / f"python2_protocol{protocol}.p").read_bytes() for protocol in range(3)), *written)


def pickle_case(random: Random) -> bytes:
    """Return a pickle: mutated as bytes or as opcodes, made of opcodes, or a bomb."""
    good = random.choice(pickles())
    kind = random.random()
    if kind < 0.45:
        return mutated(good, random, pickles())
    if kind < 0.85:
        return _with_opcodes(good, random)
    if kind < 0.97:
        return b"".join(random.choices(OPCODES, k=random.randrange(1, 60))) + b"."
    return random.choice(pickle_bombs())


@cache
def _boundaries(data: bytes) -> tuple[int, ...]:
    return tuple(position or 0 for _, _, position in pickletools.genops(data))


def _with_opcodes(good: bytes, random: Random) -> bytes:
    """Return a pickle with opcodes inserted, left out, or moved."""
    for _ in range(random.choice((1, 1, 2, 4))):
        try:
            places = _boundaries(good)
        except (ValueError, IndexError, OverflowError, UnicodeDecodeError):
            break
        at = random.choice(places)
        end = random.choice([place for place in places if at <= place <= at + 40])
        middle = b"".join(random.choices(OPCODES, k=random.randrange(4)))
        good = good[:at] + middle + random.choice((good[at:end] * random.choice((0, 2)), b"")) + good[end:]
    return good


@cache
def pickle_bombs() -> tuple[bytes, ...]:
    """Return pickles that ask for memory, depth or time."""
    n, row = 10**6, pickles()[2]
    return (
        b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + b".",
        b"]p" + b"9" * 9 + b"\n.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**42) + b".",
        b"\x80\x05\x96" + struct.pack("<Q", 2**42) + b".",
        b"\x80\x04\x95" + struct.pack("<Q", 2**42) + b".",
        b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
        b"I" + b"9" * n + b"\n.",
        b"\x80\x02" + b"]" * n + b"a" * (n - 1) + b".",
        b"\x80\x02)" + b"\x85" * n + b".",
        b"\x80\x02" + b"}K\x01" * n + b"}" + b"s" * n + b".",
        b"(" * n,
        b"]" * n + b".",
        b"c__builtin__\nbytearray\n(I99999999999\ntR.",
        _row_with(b"\x80\x02" + b"]" * n + b"a" * (n - 1)),
        _row_with(b"}K\x01" * n + b"}" + b"s" * n),
        _row_with(b"](" + b"K\x01" * n + b"e"),
        _row_with(b"]q\x63" + b"0h\x63h\x63\x86q\x63" * 25),
        row[:-1] + b"0" * 9 + b".",
    )


def _row_with(value: bytes) -> bytes:
    """Return a table with a row whose hyperparameter `x` is what these opcodes leave on the stack."""
    data = pickle.dumps(np.array([("gru", 0.5, {"x": "HERE"}, 1, 1, "t")], dtype=DTYPE), protocol=2)
    place = data.index(b"X\x04\0\0\0HERE")
    put = 2 if data[place + 9 : place + 10] == b"q" else 0
    return data[:place] + value + data[place + 9 + put :]


# --- archives --------------------------------------------------------------------------------------------------------


def archive_case(random: Random) -> bytes:
    """Return an archive of pickles that are good or not, itself mutated or not, plain or zipped, or a bomb."""
    if random.random() < 0.02:
        return random.choice(archive_bombs())
    members = [
        pickle_case(random) if random.random() < 0.3 else random.choice(pickles()) for _ in range(random.randrange(4))
    ]
    data = _tar(tuple((_entry(random, number), member) for number, member in enumerate(members)), random)
    data = _with_header(data, random) if random.random() < 0.4 else data
    data = mutated(data, random) if random.random() < 0.2 else data
    if random.random() < 0.5:
        data = gzip.compress(data, compresslevel=1, mtime=0)
        data = mutated(data, random) if random.random() < 0.2 else data
    return data


def _tar(members: tuple[tuple[tarfile.TarInfo, bytes], ...], random: Random | None = None) -> bytes:
    kind, plain = (
        random.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)) if random else tarfile.GNU_FORMAT,
        io.BytesIO(),
    )
    with tarfile.open(fileobj=plain, mode="w", format=kind) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return plain.getvalue()


def _entry(random: Random, number: int) -> tarfile.TarInfo:
    names = ("a.p", "d/b.p", "../c.p", "/tmp/d.p", "e.txt", "n" * 150 + ".p", "\u00e9.p", "._f.p", "C:g.p")
    info = tarfile.TarInfo(f"{number}.p" if random.random() < 0.7 else random.choice(names))
    if random.random() < 0.1:
        info.type = random.choice((b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"L", b"K", b"S", b"x", b"g", b"z"))
        info.linkname = "/etc/passwd"
    if random.random() < 0.1:
        info.pax_headers = {
            random.choice(("size", "GNU.sparse.size", "GNU.sparse.map", "path", "mtime")): random.choice(
                ("9", "-1", "x", "1e9")
            )
        }
    return info


def _with_header(data: bytes, random: Random) -> bytes:
    """Return a tar file with a changed header, whose checksum is right again."""
    changed = bytearray(data)
    if len(changed) < 512:
        return data
    at = 512 * random.randrange(len(changed) // 512)
    where, size = random.choice(
        ((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155), (386, 24))
    )
    value = random.choice(
        (random.randbytes(size), b"7" * size, b"\xff" * size, b"\x80" + b"\0" * 10 + b"\xff", b"S", b"L", b"x")
    )
    changed[at + where : at + where + size] = value[:size].ljust(size, b"\0")
    changed[at + 148 : at + 156] = b" " * 8
    changed[at + 148 : at + 156] = b"%06o\0 " % sum(changed[at : at + 512])
    return bytes(changed)


@cache
def archive_bombs() -> tuple[bytes, ...]:
    """Return archives that unpack to much more than they are."""

    def tar(name: str, size: int, content: bytes, kind: bytes = b"0") -> bytes:
        info = tarfile.TarInfo(name)
        info.size, info.type = size, kind
        return info.tobuf(tarfile.GNU_FORMAT) + content

    zeros = bytes(2**27)
    packed = gzip.compress(zeros, 9, mtime=0)
    return (
        gzip.compress(packed, 9, mtime=0),
        gzip.compress(gzip.compress(packed, 9, mtime=0), 9, mtime=0),
        gzip.compress(tar("x.p", 2**27, zeros), 9, mtime=0),
        gzip.compress(tar("x.p", 2**43, zeros), 9, mtime=0),
        gzip.compress(tar("x", 2**26, zeros, b"L"), 9, mtime=0),
        gzip.compress(tar("x", 2**26, zeros, b"x"), 9, mtime=0),
        gzip.compress(tar("x.p", 0, bytes(2048), b"S"), 9, mtime=0),
        gzip.compress(tar("x.p", 2**27, b"\x80\x04\x8e" + struct.pack("<Q", 2**27 - 100) + zeros), 9, mtime=0),
        gzip.compress(tar("a.p", 5, b"]" * 512) * 2000, 9, mtime=0),
    )


# --- tables ----------------------------------------------------------------------------------------------------------


@cache
def parquets() -> tuple[bytes, ...]:
    """Return good Parquet files: a corpus, a foreign table, one with nested columns."""
    own, foreign = io.BytesIO(), pd.DataFrame({
        "cell": ["gru", "lstm"], "task": ["rcf", "rcf"], "loss": [0.5, None], "lr": [0.1, 0.2], "opt": ["Adam", None],
        "sizes": [[1, 2], [3]], "deep": [{"a": 1, "b": {"c": "x"}}, {"a": 2, "b": {"c": "y"}}],
    })  # fmt: skip
    target = Path(_scratch("good.parquet"))
    write_parquet(load_builtin().runs.head(40), target)
    found = [target.read_bytes()]
    target.unlink()
    for compression in ("snappy", "gzip", "zstd", "none"):
        foreign.to_parquet(own, index=False, compression=None if compression == "none" else compression)
        found.append(own.getvalue())
        own = io.BytesIO()
    return tuple(found)


def _scratch(name: str) -> str:
    return str(Path(_folder().name) / name)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def parquet_case(random: Random) -> bytes:
    """Return a Parquet file that is mutated anywhere, or in its footer."""
    good = random.choice(parquets())
    if random.random() < 0.4:
        return mutated(good, random, parquets())
    size = struct.unpack("<I", good[-8:-4])[0]
    footer = mutated(good[-8 - size : -8], random)
    return good[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1"


LINES: Final = (
    b'{"cell": "gru", "task": "text8", "loss": 1.5, "lr": 0.01, "opt": "Adam", "sizes": [32, 16]}\n',
    b'{"cell": "lstm", "task": "rcf", "loss": null, "lr": 1e-3, "opt": {"a": "SGD", "m": [1, {"a": 2}]}, "sizes": 8}\n',
    b'{"cell": "lstm", "task": "rcf", "loss": NaN, "lr": Infinity, "opt": true, "sizes": "(1, 2)"}\n',
)


def json_case(random: Random) -> bytes:
    """Return JSON lines, mutated, or with a deep or large value."""
    good = b"".join(random.choices(LINES, k=random.randrange(1, 5)))
    if random.random() > 0.1:
        return random.choice((mutated, reworded))(good, random)
    deep = random.choice((10, 900, 1100, 10**5))
    value = random.choice((
        b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep, b"9" * deep, b"1e" + b"9" * min(deep, 1000),
        b'"' + b"[" * deep + b'"', b'"' + b"(" * deep + b'"', b'"[' + b"-" * deep + b'1]"', b'"\\ud800"',
        b"-" + b"0" * deep,
    ))  # fmt: skip
    return good.replace(random.choice((b"1.5", b"0.01", b'"Adam"', b"[32, 16]", b'"gru"')), value)


MAPS: Final = (
    MAP.encode(),
    b"""source = "x/y"
format = "csv"
separator = ","
higher_is_better = true
perfect_score = 100
keep = { note = ["a", "b"] }
[run]
architecture = { column = "cell", values = { gru = "lstm" } }
task_type = { constant = "text8" }
n_layers = 2
max_params = { column = "sizes", item = 0, budgets = [10, 100] }
eval_loss = "loss"
diverged = { column = "note", values = { a = true, b = false } }
[hparams]
lr = { column = "lr", values = { "0.1" = nan } }
opt = { column = "opt", category = true }
""",
)


def map_case(random: Random) -> bytes:
    """Return a map, mutated, or with a deep or large value."""
    good = random.choice(MAPS)
    if random.random() > 0.05:
        return random.choice((mutated, reworded, reworded))(good, random)
    deep = random.choice((10, 900, 1100, 10**4))
    value = random.choice(
        (b"[" * deep + b"]" * deep, b"{a=" * deep + b"1" + b"}" * deep, b"9" * deep, b"0x" + b"f" * deep)
    )
    if random.random() < 0.3:
        return good.replace(b"eval_loss", b"eval_loss" + b".a" * deep)
    return good.replace(b'"loss"', value)


SPECS: Final = (
    b"""inputs = "symbols"
outputs = "classes"
n_in = 50
n_out = 50
time_steps = 30
scored_steps = 30
""",
    b"""name = "mine"
inputs = 'numbers'
outputs = "numbers"
n_in = 1
n_out = 1_000
time_steps = 0x10
scored_steps = 1
""",
)


def spec_case(random: Random) -> bytes:
    """Return the description of a task, mutated, or with a deep or large value."""
    good = random.choice(SPECS)
    if random.random() > 0.1:
        return random.choice((mutated, reworded, reworded))(good, random)
    deep = random.choice((10, 400, 1100, 4000, 10**4))
    value = random.choice((
        b"[" * deep + b"]" * deep, b"{a=" * deep + b"1" + b"}" * deep, b"9" * deep, b"0x" + b"f" * deep, b"inf",
        b"nan", b"-0.0", b"1e300", b'"\\u0000"',
    ))  # fmt: skip
    return re.sub(rb"= .*", b"= " + value.replace(b"\\", b"\\\\"), good, count=random.choice((1, 3, 4, 6)))


@cache
def storages() -> tuple[bytes, ...]:
    """Return Optuna's SQLite files: a study of one objective, and one whose trials failed in every way."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = []
    for states in (["COMPLETE"] * 6, ["COMPLETE", "FAIL", "PRUNED", "RUNNING", "WAITING"]):
        path = Path(_scratch("good.db"))
        study = optuna.create_study(storage=f"sqlite:///{path}", study_name="mine")
        choices = optuna.distributions.CategoricalDistribution(("Adam", "SGD", None, True, 2))
        rate = optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)
        for number, state in enumerate(states):
            params = {"lr": 10.0 ** -(number % 5), "opt": choices.choices[number % 5]} if state != "WAITING" else {}
            study.add_trial(optuna.trial.create_trial(
                state=optuna.trial.TrialState[state], value=number / 3 if state == "COMPLETE" else None, params=params,
                distributions={"lr": rate, "opt": choices} if params else {}, user_attrs={"note": [1, {"a": None}]},
            ))  # fmt: skip
        study._storage.remove_session()
        study._storage._backend.engine.dispose()
        found.append(path.read_bytes())
        path.unlink()
    return tuple(found)


def storage_case(random: Random) -> bytes:
    """Return a storage: a row changed by SQL, or its bytes, mostly where rows are."""
    good = random.choice(storages())
    if random.random() < 0.5:
        return _with_rows_changed(good, random)
    page = 4096
    starts = [at for at in range(0, len(good), page) if good[at : at + page].strip(b"\0")]
    at = random.choice(starts) + random.randrange(page // 2, page)
    changed = mutated(good[at : at + 256], random, storages())
    return good[:at] + changed[:256].ljust(256, b"\0") + good[at + 256 :]


CELLS: Final = (
    None, "", "NaN", "inf", -1, 0, 2**62, 1e308, 0.5, b"\xff\xfe", "COMPLETE", "MAXIMIZE", "INF_POS", "[1]", '"x"', "{",
    "9" * 5000, "[" * 3000, '{"name": "CategoricalDistribution", "attributes": {"choices": [1, [2]]}}',
    '{"name": "IntDistribution", "attributes": {"low": 1, "high": 0, "log": true, "step": 0}}', "2026-13-45", "\0",
    '{"name": "FloatDistribution", "attributes": {"low": NaN, "high": 1e999, "log": false, "step": null}}',
)  # fmt: skip


def _with_rows_changed(good: bytes, random: Random) -> bytes:
    path = Path(_scratch("changed.db"))
    path.write_bytes(good)
    database = sqlite3.connect(path)
    database.execute("pragma synchronous = off")
    names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    for _ in range(random.choice((1, 1, 2, 4))):
        table = random.choice(names)
        columns = [row[1] for row in database.execute(f"pragma table_info({table})")]
        column = random.choice(columns or ["rowid"])  # a table that was dropped has none
        statement = random.choice((
            f"update {table} set {column} = ?1 where rowid = {random.randrange(1, 9)}",
            f"update {table} set {column} = ?1",
            f"delete from {table} where ?1 is ?1",
            f"alter table {table} rename column {column} to other",
            f"drop table {table}",
        ))  # fmt: skip
        with suppress(sqlite3.Error):
            database.execute(statement, (random.choice(CELLS),) if "?1" in statement else ())
    with suppress(sqlite3.Error):
        database.commit()
    database.close()
    content = path.read_bytes()
    path.unlink()
    return content


# --- models ----------------------------------------------------------------------------------------------------------


@cache
def models() -> dict[str, bytes]:
    """Return the files of a small surrogate; workers find them in the folder that MODELS_FOLDER names."""
    if MODELS_FOLDER in os.environ:
        return {path.name: path.read_bytes() for path in sorted(Path(os.environ[MODELS_FOLDER]).iterdir())}
    runs = load_builtin().runs
    runs = runs[(runs["source"] == "lab") & (runs["hyper_iter"] < 4)].reset_index(drop=True)
    quick = NetworkSettings(units=8, layers=1, members=1, epochs=1)
    settings = Settings(trees=5, diverge_trees=3, folds=2, network=quick)
    folder = Path(_scratch("models"))
    os.environ[MODELS_FOLDER] = str(folder)
    save_surrogate(Surrogate.fit(runs, settings, {"rows": len(runs)}), folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def models_case(random: Random) -> bytes:
    """Return a folder of models, as JSON of Latin-1 text by name: a file is mutated, and its checksum mostly right."""
    files = dict(models())
    name = random.choice(sorted(files))
    files[name] = random.choice((mutated, reworded))(files[name], random)
    if name != REGISTRY and random.random() < 0.9:
        registry = json.loads(files[REGISTRY])
        registry["sha256"][name] = hashlib.sha256(files[name]).hexdigest()
        files[REGISTRY] = json.dumps(registry).encode()
    return _packed(files)


def _packed(files: dict[str, bytes]) -> bytes:
    return json.dumps({name: content.decode("latin1") for name, content in files.items()}).encode()


MAKERS: Final[dict[str, Maker]] = {
    "archive": archive_case, "pickle": pickle_case, "parquet": parquet_case, "json": json_case, "map": map_case,
    "spec": spec_case, "storage": storage_case, "models": models_case,
}  # fmt: skip


def good_case(target: str) -> bytes:
    """Return a case that is correct."""
    match target:
        case "models":
            return _packed(models())
        case "archive":
            return gzip.compress(_tar(((tarfile.TarInfo("a.p"), pickles()[2]),)), mtime=0)
    return {
        "pickle": pickles()[0],
        "parquet": parquets()[0],
        "json": b"".join(LINES),
        "map": MAPS[0],
        "spec": SPECS[0],
        "storage": storages()[0],
    }[target]


def make_case(target: str, seed: int, number: int) -> bytes:
    """Return a case's content."""
    return MAKERS[target](Random(f"{seed}/{target}/{number}"))


def write_case(target: str, content: bytes, path: Path) -> None:
    """Write a case where `fuzz_targets.CHECKS` finds it; models are a folder."""
    if target != "models":
        path.write_bytes(content)
        return
    path.mkdir()
    for name, text in json.loads(content).items():
        (path / name).write_bytes(text.encode("latin1"))
