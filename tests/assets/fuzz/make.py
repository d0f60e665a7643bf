"""Makes the files of this folder: what the fuzz harness found, and bombs that it tries, each as small as it can be.

``python tests/assets/fuzz/make.py`` writes them again; the bytes of the zipped ones depend on the zlib at hand.
"""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
DTYPE = [("architecture", "O"), ("eval_loss", "f8"), ("hparams", "O"), ("max_params", "i8"), ("n_layers", "i8")]
DTYPE += [("task_type", "O")]
LINE = '{"cell": "gru", "task": "rcf", "loss": 1.5, "lr": %s, "opt": "Adam", "sizes": [32, 16]}\n'
SHARED = b")" + b"2\x86" * 60
"""A tuple of a tuple twice, and so on: small, but its hash takes 2 to the power of 60 steps."""


def table(architecture: str = "gru", hparams: Any = None, protocol: int = 2) -> bytes:
    """Return a pickled table of one run."""
    rows = [(architecture, 0.5, {"x": 1} if hparams is None else hparams, 1000, 1, "rcf")]
    return pickle.dumps(np.array(rows, dtype=DTYPE), protocol=protocol)


def with_value(opcodes: bytes) -> bytes:
    """Return a table whose run has, as its hyperparameter `x`, what the opcodes leave on the stack."""
    data = table(hparams={"x": "HERE"})
    place = data.index(b"X\x04\0\0\0HERE")
    return data[:place] + opcodes + data[place + 11 :]


def tar(name: str, size: int, content: bytes, kind: bytes = b"0") -> bytes:
    """Return a tar file of one member, which need not have the size that it declares."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT) + content


def zipped(content: bytes, times: int = 1) -> bytes:
    """Return bytes compressed with gzip, again and again."""
    for _ in range(times):
        content = gzip.compress(content, 9, mtime=0)
    return content


def good_archive() -> bytes:
    """Return an archive of one table."""
    file, content = io.BytesIO(), table()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("a.p")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


FILES = {
    "pickle-half-a-character-as-architecture.p": table("gr\ud800"),
    "pickle-half-a-character-as-value.p": table(hparams={"x": "a\ud800"}),
    "pickle-half-a-character-as-name.p": table(hparams={"x\ud800": 1}, protocol=4),
    "pickle-lists-shared-to-a-depth-of-25.p": with_value(b"]q\x63" + b"0h\x63h\x63\x86q\x63" * 25),
    "pickle-key-of-shared-tuples.p": with_value(b"}" + SHARED + b"K\x01s"),
    "pickle-set-of-shared-tuples.p": with_value(b"c__builtin__\nset\n]" + SHARED + b"a\x85R"),
    "pickle-counted-bytes.p": b"\x80\x04\x8e" + struct.pack("<Q", 2**42) + b".",
    "pickle-memo-index.p": b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + b".",
    "json-half-a-character.jsonl": (LINE % '"\\ud800"').encode(),
    "json-deep.jsonl": (LINE % ("[" * 20_000 + "]" * 20_000)).encode(),
    "json-many-digits.jsonl": (LINE % ("9" * 5000)).encode(),
    "map-many-digits.toml": b'source = "a"\n[run]\neval_loss = 0x' + b"f" * 4000 + b"\n",
    "map-dots.toml": b'source = "a"\n[run]\neval_loss' + b".a" * 30000 + b" = 1\n",
    "map-tables-within-tables.toml": b'source = "a"\n[run]\neval_loss' + b".a" * 900 + b" = 1\n",
    "map-large.toml": b"# " + b"-" * 2**16,
    "spec-deep.toml": b"n_in = " + b"[" * 1100 + b"]" * 1100 + b"\n",
    "archive-zipped-three-times.tar.gz": zipped(bytes(2**24), 3),
    "archive-sparse.tar.gz": zipped(tar("x.p", 0, bytes(2048), b"S")),
    "archive-long-name.tar.gz": zipped(tar("x", 2**22, bytes(2**22), b"L")),
    "archive-declares-too-much.tar.gz": zipped(tar("x.p", 2**43, bytes(2048))),
    "archive-good.tar.gz": zipped(good_archive()),
}

if __name__ == "__main__":
    for name, content in FILES.items():
        (HERE / name).write_bytes(content)
