"""An archive in the original's format, of any size up to its 630,880 runs, whose losses are known.

Usage: ``python benchmarks/make_archive.py OUT.tar.gz [--runs 630880] [--seed 0] [--truth truth.parquet]``.

The archive holds what is known or has to be expected of the original: several members, pickled by Python 2 at
protocols 0, 1 and 2 under old module names; text as bytes and as unicode, some of it not ASCII; dicts
whose keys depend on architecture and task, shared or not, in any order; unused hyperparameters absent or None; runs
that diverged as NaN, infinities, None and absurd numbers; integers among floats, NumPy scalars among both; columns that
are missing or in another order; members that are no tables. The runs come from `known_runs`; ``--truth`` writes, row by
row in the archive's order, the loss without noise and the probability to diverge.
"""

from __future__ import annotations

import argparse
import io
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pandas as pd
from known_runs import Block, Setup, make_blocks

ORIGINAL_RUNS: Final = 630_880
COLUMNS: Final = {
    "architecture": "S8", "eval_loss": "f8", "hparams": "O", "max_params": "i8", "n_layers": "i8", "num_params": "i8",
    "task_type": "O", "train_loss": "f8", "valid_loss": "f8", "hyper_iter": "i8",
}  # fmt: skip
"""The columns of the original's members in their documented order, and a dtype that they may have."""


@dataclass(frozen=True)
class Global:
    """A name that a pickle looks up."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """A call that a pickle makes, and the state that it gives to the result, if any."""

    function: Global
    args: tuple[Any, ...]
    state: tuple[Any, ...] | None = None


class Unicode(str):
    """Text that Python 2 calls unicode; bytes are what it calls str."""

    __slots__ = ()


class Python2Pickler:
    """What Python 2's pickle writes, at protocol 0, 1 or 2; bytes are its str, `Unicode` its unicode.

    Text that is the same object in Python 2 is written once and referred to afterwards if `shared` says so.
    """

    def __init__(self, protocol: int, shared: bool = True) -> None:
        self.binary, self.protocol, self.shared = protocol > 0, protocol, shared
        self._memo: dict[object, int] = {}
        self._count = 0
        self._writers: dict[type, Callable[[Any], bytes]] = {
            float: self._float, int: self._int, bytes: self._text, Unicode: self._text, type(None): lambda _: b"N",
            bool: self._bool, tuple: self._tuple, dict: self._dict, Global: self._global,
            Call: self._call,
        }  # fmt: skip

    def encode(self, value: Any) -> bytes:
        """Return the opcodes that leave a value on the stack."""
        if isinstance(value, np.generic):
            kind = f"{value.dtype.kind}{value.dtype.itemsize}".encode()
            raw = value.tobytes()
            return self._call(Call(Global("numpy.core.multiarray", "scalar"), (dtype_of(kind), raw)))
        return self._writers[type(value)](value)

    def put(self) -> bytes:
        """Return the opcode that remembers what is on top of the stack."""
        self._count += 1
        if not self.binary:
            return b"p%d\n" % self._count
        return b"q%c" % self._count if self._count < 256 else b"r" + struct.pack("<I", self._count)

    def _remembered(self, key: object, write: Callable[[], bytes]) -> bytes:
        if key in self._memo:
            number = self._memo[key]
            if not self.binary:
                return b"g%d\n" % number
            return b"h%c" % number if number < 256 else b"j" + struct.pack("<I", number)
        written = write() + self.put()
        self._memo[key] = self._count
        return written

    def _float(self, value: float) -> bytes:
        return b"G" + struct.pack(">d", value) if self.binary else b"F%s\n" % repr(value).encode()

    def _bool(self, value: bool) -> bytes:
        return (b"\x89", b"\x88")[value] if self.protocol == 2 else b"I%02d\n" % value

    def _int(self, value: int) -> bytes:
        if abs(value) >= 2**63:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a%c" % len(raw) + raw if self.protocol == 2 else b"L%dL\n" % value
        if not self.binary or abs(value) >= 2**31:
            return b"I%d\n" % value
        if 0 <= value < 65536:
            return b"K%c" % value if value < 256 else b"M" + struct.pack("<H", value)
        return b"J" + struct.pack("<i", value)

    def _text(self, value: bytes | Unicode) -> bytes:
        return self._remembered(value, lambda: self._new_text(value)) if self.shared else self._new_text(value)

    def _new_text(self, value: bytes | Unicode) -> bytes:
        if isinstance(value, str):
            raw = value.encode("utf-8" if self.binary else "raw_unicode_escape")
            return b"X" + struct.pack("<I", len(raw)) + raw if self.binary else b"V" + raw + b"\n"
        if not self.binary:
            return b"S%s\n" % repr(value)[1:].encode()
        return b"U%c" % len(value) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value

    def _tuple(self, values: tuple[Any, ...]) -> bytes:
        return b"(" + b"".join(map(self.encode, values)) + b"t"

    def _dict(self, values: dict[Any, Any]) -> bytes:
        items = [self.encode(key) + self.encode(value) for key, value in values.items()]
        if not self.binary:
            return b"(d" + self.put() + b"".join(item + b"s" for item in items)
        return b"}" + self.put() + (b"(" + b"".join(items) + b"u" if items else b"")

    def _global(self, value: Global) -> bytes:
        return self._remembered(value, lambda: f"c{value.module}\n{value.name}\n".encode())

    def _call(self, call: Call) -> bytes:
        def write() -> bytes:
            state = b"" if call.state is None else self.encode(call.state) + b"b"
            return self.encode(call.function) + self.encode(call.args) + b"R" + state

        return self._remembered(call, write) if call.function.name == "dtype" else write()


def dtype_of(kind: bytes) -> Call:
    """Return how Python 2 pickles a plain dtype, e.g. ``b"f8"``."""
    size = int(kind[1:]) if kind[:1] in b"S" else -1
    order, flags = (b"|", 63) if kind[:1] == b"O" else (b"|", 0) if kind[:1] == b"S" else (b"<", 0)
    return Call(
        Global("numpy", "dtype"), (kind, 0, 1), (3, order, None, None, None, size, 1 if size > 0 else -1, flags)
    )


def write_member(
    file: IO[bytes],
    dtypes: Mapping[str, str],
    rows: Iterator[Sequence[tuple[Any, ...]]],
    count: int,
    pickler: Python2Pickler,
) -> None:
    """Write a structured array of `count` rows, which come in batches, as Python 2 pickles it."""
    encode, shared = pickler.encode, pickler.shared
    pickler.shared = True
    file.write(b"\x80\x02" if pickler.protocol == 2 else b"")
    array = (Global("numpy", "ndarray"), (0,), b"b")
    file.write(encode(Call(Global("numpy.core.multiarray", "_reconstruct"), array)) + pickler.put())
    file.write(b"(" + encode(1) + encode((count,)) + _record(pickler, dtypes) + b"I00\n")
    file.write((b"]" if pickler.binary else b"(l") + pickler.put())
    pickler.shared = shared
    for batch in rows:
        encoded = map(encode, batch)
        file.write(b"(" + b"".join(encoded) + b"e" if pickler.binary else b"".join(row + b"a" for row in encoded))
    file.write(b"tb.")


def _record(pickler: Python2Pickler, dtypes: Mapping[str, str]) -> bytes:
    """Return the opcodes of the array's dtype."""
    offset, fields = 0, {}
    for name, kind in dtypes.items():
        fields[name.encode()] = (dtype_of(kind.encode()), offset)
        offset += 8 if kind == "O" else int(kind[1:])
    plain = pickler.encode(Global("numpy", "dtype")) + pickler.encode((b"V%d" % offset, 0, 1)) + b"R" + pickler.put()
    state = (3, b"|", None, tuple(fields), fields, offset, 1, 63)
    return plain + pickler.encode(state) + b"b"


@dataclass(frozen=True)
class Member:
    """One member: its share of the runs, and how it is written."""

    name: str
    tasks: tuple[str, ...]
    share: float
    protocol: int
    shared: bool = True
    unicode: bool = False
    scalars: bool = False
    spelled_none: bool = False
    objects: tuple[str, ...] = ()
    columns: tuple[str, ...] = tuple(COLUMNS)
    mixed_order: bool = False

    def dtypes(self) -> dict[str, str]:
        """Return the dtype of each column, in this member's order."""
        return {name: "O" if name in self.objects else COLUMNS[name] for name in self.columns}


MEMBERS: Final = (
    Member("fig3_txt8rcf.p", ("text8", "rcf"), 0.36, 2),
    Member("fig4_arith.p", ("arithmetic",), 0.12, 0, columns=tuple(reversed(COLUMNS)), spelled_none=True),
    Member("fig5_parens.p", ("parens_counting",), 0.24, 1, shared=False, unicode=True,
           objects=("eval_loss", "architecture"), columns=tuple(name for name in COLUMNS if name != "train_loss")),
    Member("fig1_percap.p", ("per_cap",), 0.14, 2, scalars=True, mixed_order=True,
           objects=("valid_loss", "num_params")),
    Member("fig2_memthru.p", ("mem_thru",), 0.14, 2, shared=False, objects=("train_loss", "eval_loss", "max_params")),
)  # fmt: skip
"""The first two names are the original's; the others, and which task is where and how written, are made up."""
DIVERGED: Final = (float("nan"), float("inf"), float("-inf"), 1e30)
DIVERGED_OBJECTS: Final = (*DIVERGED, None, 10**400, np.float64("nan"), b"nan", np.float32("inf"))
"""How a run that diverged is written: in a column of floats, and in one of objects."""
NOTES: Final = ("na\xefve".encode(), "na\xefve".encode("latin1"), Unicode("na\xefve"), b"plain")


def rows_of(block: Block, member: Member, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return a setup's runs as tuples of what Python 2 would hold."""
    setup, n = block.setup, len(block.loss)
    text = Unicode if member.unicode else str.encode
    broken = np.isnan(block.loss)
    spread = np.exp(0.03 * rng.standard_normal((2, n)))
    losses = {"eval_loss": block.loss, "valid_loss": block.loss * spread[0], "train_loss": block.loss * spread[1]}
    columns: dict[str, Sequence[Any]] = {
        name: _losses(name, loss, broken, member, rng) for name, loss in losses.items()
    }
    columns |= {name: [text(getattr(setup, name))] * n for name in ("architecture", "task_type")}
    columns |= {name: [int(getattr(setup, name))] * n for name in ("n_layers", "max_params")}
    columns |= {"hyper_iter": list(range(n)), "num_params": [setup.num_params()] * n}
    if "num_params" in member.objects:
        columns["num_params"] = [np.int64(setup.num_params()) if i % 3 else setup.num_params() for i in range(n)]
    columns["hparams"] = _dicts(block, member, rng)
    return list(zip(*(columns[name] for name in member.columns), strict=True))


def _losses(
    name: str, loss: np.ndarray[Any, Any], broken: np.ndarray[Any, Any], member: Member, rng: np.random.Generator
) -> list[Any]:
    spellings = DIVERGED_OBJECTS if name in member.objects else DIVERGED
    values: list[Any] = loss.tolist()
    for i, spelling in zip(np.flatnonzero(broken), rng.integers(len(spellings), size=int(broken.sum())), strict=True):
        values[i] = spellings[spelling]
    return values


def _dicts(block: Block, member: Member, rng: np.random.Generator) -> list[dict[Any, Any]]:
    """Return the hyperparameters of a setup's runs as dicts, in this member's style."""
    text = Unicode if member.unicode else str.encode
    columns: dict[Any, list[Any]] = {text(name): _cells(values, member) for name, values in block.hparams.items()}
    if member.spelled_none:
        columns |= {
            text(f"input_scale_{gate}"): [None] * len(block.loss)
            for gate in "ig"
            if text(f"input_scale_{gate}") not in columns
        }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for i in np.flatnonzero(
        rng.random(len(rows)) < 0.01
    ):  # an integer among floats, a rare hyperparameter, another order
        rows[i][text("gradient_clip_val")] = int(np.ceil(block.hparams["gradient_clip_val"][i]))
        rows[i][text("note")] = NOTES[i % len(NOTES)]
    if member.mixed_order:
        rows = [dict(reversed(row.items())) if i % 7 == 0 else row for i, row in enumerate(rows)]
    return rows


def _cells(values: np.ndarray[Any, Any], member: Member) -> list[Any]:
    """Return a hyperparameter's values as Python 2 would hold them."""
    if values.dtype.kind == "U":
        words: list[str] = values.tolist()
        if set(words) <= {"True", "False"}:
            return [word == "True" for word in words]
        return [Unicode(word) for word in words] if member.unicode else [word.encode() for word in words]
    return (
        [values[i] if i % 2 else value for i, value in enumerate(values.tolist())]
        if member.scalars
        else values.tolist()
    )


def make_archive(
    path: Path, runs: int, seed: int = 0, report: Callable[[str], None] = lambda name: None
) -> pd.DataFrame:
    """Write an archive of `runs` runs, and return what is known of them, row by row in the archive's order.

    Returns
    -------
    DataFrame
        `member`, the setup's columns, `noise_free_loss` and `risk`, the probability to diverge.
    """
    ends = np.round(np.cumsum([0.0, *(member.share for member in MEMBERS)]) * runs).astype(int)
    known: list[tuple[Member, Block]] = []
    with tarfile.open(path, "w:gz") as tar:
        _add(tar, "dataset/README.md", io.BytesIO(b"A stand-in; its runs are made.\n"))
        for member, count in zip(MEMBERS, np.diff(ends).tolist(), strict=True):
            report(member.name)
            pickler = Python2Pickler(member.protocol, member.shared)
            with tempfile.TemporaryFile(dir=path.parent) as file:
                write_member(file, member.dtypes(), _batches(member, count, seed, known), count, pickler)
                _add(tar, f"dataset/{member.name}", file)
        _add(tar, "dataset/._fig4_arith.p", io.BytesIO(b"\0\5\x16\7 no pickle"))
    return _truth(known)


def _batches(
    member: Member, count: int, seed: int, known: list[tuple[Member, Block]]
) -> Iterator[list[tuple[Any, ...]]]:
    rng = np.random.default_rng([seed, count])
    for block in make_blocks(member.tasks, count, seed):
        known.append((member, replace(block, hparams={})))
        yield rows_of(block, member, rng)


def _truth(known: list[tuple[Member, Block]]) -> pd.DataFrame:
    counts = [len(block.loss) for _, block in known]
    names = {"member": [member.name for member, _ in known]}
    names |= {field.name: [getattr(block.setup, field.name) for _, block in known] for field in fields(Setup)}
    columns = {name: np.repeat(values, counts) for name, values in names.items()}
    columns["noise_free_loss"] = np.concatenate([block.noise_free for _, block in known])
    columns["risk"] = np.concatenate([block.risk for _, block in known])
    return pd.DataFrame(columns)


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = file.seek(0, io.SEEK_END)
    file.seek(0)
    tar.addfile(info, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the archive to write, .tar.gz")
    parser.add_argument("--runs", type=int, default=ORIGINAL_RUNS, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truth", type=Path, help="Parquet file for what is known of each run")
    options = parser.parse_args()
    truth = make_archive(options.out, options.runs, options.seed, report=print)
    if options.truth is not None:
        truth.to_parquet(options.truth, index=False)
    print(f"{len(truth):,} runs, {options.out.stat().st_size:,} bytes in {options.out}")


if __name__ == "__main__":
    main()
