"""What the names in a pickled table of runs stand for: plain data, built by functions that check their arguments.

NumPy itself never sees what a pickle says about dtypes and shapes, except for plain numbers and text. `ALLOWED` is the
list; see `unpickle` for what it is good for. NumPy is imported when it is needed, as a process that only rehearses a
pickle is short.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .errors import CorpusError, whole_characters
from .limits import TOGETHER

if TYPE_CHECKING:
    import numpy as np

Take = Callable[[tuple[str, ...], list[tuple[Any, ...]]], None]
"""What takes the names of the columns and some rows."""


class Refused(CorpusError):
    """What the pickle asks for is not allowed; the message says what."""


class _Global:
    """What a name in a pickle stands for: something to call or to pass on, that cannot be changed."""

    __slots__ = ("_make", "name")

    def __init__(self, name: str, make: Callable[..., object] | None = None) -> None:
        self.name = name
        self._make = make

    def __call__(self, *args: object) -> object:
        if self._make is None:
            raise Refused(f"calls {self.name}, which is only allowed as an argument")
        return self._make(*args)

    def __setstate__(self, state: object) -> None:
        raise Refused(f"sets attributes of {self.name}")


class _Scalar(_Global):
    """NumPy's scalars as plain values; their own class, as a table may have millions of them."""

    __slots__ = ()

    def __call__(self, dtype: object = None, content: object = b"", *more: object) -> object:
        if type(dtype) is not DType or more:
            raise Refused(f"gives {type(dtype).__name__} where a dtype belongs")
        content = content.encode("latin1") if type(content) is str else _as_bytes(content)
        (value,) = (dtype.unpack or dtype.plan())(content)
        return value


class DType:
    """A NumPy dtype, as a pickle describes it: ``dtype("f8", align, copy)``, then its state.

    `code` is the kind and item size, e.g. ``"f8"`` or ``"O8"``; `names` the fields in order, None without fields.
    """

    __slots__ = ("_fields", "_itemsize", "_order", "code", "names", "unpack")

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        if isinstance(code, _Global):  # the record type of record arrays
            code = "V"
        code = _as_text(code)
        if not re.fullmatch("[biufcSUVO][0-9]{0,9}", code):
            raise Refused(f"describes a dtype {code[:20]!r}; numbers, text and records of them are allowed")
        self.code = code
        self.names: tuple[str, ...] | None = None
        self._fields: dict[str, tuple[DType, int]] = {}
        self._order = "="
        self._itemsize = 0
        self.unpack: Callable[[bytes], tuple[object, ...]] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subarray, names, fields, itemsize = state[:6]
        if subarray is not None:
            raise Refused("describes a dtype of arrays within an array")
        order = _as_text(order)
        if order not in ("<", ">", "|", "="):
            raise Refused(f"describes a byte order {order[:5]!r}")
        self._order, self._itemsize = order, int(itemsize)
        if names is not None:
            self.names = tuple(map(_as_text, names))
            described = {_as_text(name): field for name, field in dict(fields).items()}
            self._fields = {name: (_checked_dtype(described[name][0]), int(described[name][1])) for name in self.names}

    def to_numpy(self) -> np.dtype[Any]:
        """Return the real dtype; only numbers, text and records of those have one."""
        import numpy as np

        if self.names is None:
            return np.dtype(self._plain())
        layout: Any = {
            "names": list(self.names),
            "formats": [field._plain() for field, _ in self._fields.values()],
            "offsets": [offset for _, offset in self._fields.values()],
            "itemsize": self._itemsize,
        }
        return np.dtype(layout)

    def plan(self) -> Callable[[bytes], tuple[object, ...]]:
        """Decide how `unpack` makes raw bytes the one plain value of ``np.frombuffer(content, self.to_numpy())``."""
        real = self.to_numpy()
        code = _STRUCT.get(real.kind + str(real.itemsize))
        order = ">" if real.byteorder == ">" else "<"
        self.unpack = struct.Struct(order + code).unpack if code else partial(_read_slowly, real)
        return self.unpack

    def _plain(self) -> str:
        kind, size = self.code[0], self.code[1:]
        if kind in "OV":
            raise Refused("gives raw bytes for an array of objects or of records within records")
        if kind in "SU":
            width = self._itemsize if self._itemsize > 0 else 0
            return f"{self._order}{kind}{width // (4 if kind == 'U' else 1)}"
        return f"{self._order}{kind}{size}"


_STRUCT: Final = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
"""Format of the module `struct` for each kind and item size of NumPy."""


def _read_slowly(dtype: np.dtype[Any], content: bytes) -> tuple[object]:
    import numpy as np

    value = np.frombuffer(content, dtype=dtype, count=1)[0]
    return (float(value) if dtype.kind == "f" else value.item(),)


class Array:
    """A NumPy array, as a pickle describes it: its dtype, and its items as a list or as raw bytes."""

    __slots__ = ("dtype", "items", "raw", "shape")

    def __init__(self) -> None:
        self.items: list[object] | Rows | None = None
        self.raw: bytes | None = None
        self.shape: tuple[int, ...] = ()
        self.dtype: DType | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, _, content = state[-4:]
        self.shape = tuple(int(n) for n in shape)
        self.dtype = _checked_dtype(dtype)
        if isinstance(content, list | Rows):
            self.items = content
        else:
            self.raw = _as_bytes(content)

    def rows(self) -> list[object] | Rows:
        """Return the items: tuples for records, plain values otherwise."""
        if self.dtype is None or len(self.shape) != 1:
            raise CorpusError(f"an array has the shape {self.shape[:4]}; one dimension, the runs, is allowed")
        items = self.items
        if items is None:
            import numpy as np

            items = np.frombuffer(self.raw or b"", dtype=self.dtype.to_numpy()).tolist()
        if len(items) != self.shape[0]:
            raise CorpusError(f"an array declares {self.shape[0]:,} items but holds {len(items):,}")
        return items


class Rows:
    """Stands for the list of an array's rows while a pickle is read, and passes them on instead of keeping them.

    Parameters
    ----------
    names : tuple of str
        The columns.
    take : callable
        Called with lists of at least `TOGETHER` rows, one tuple a run; the last list may be shorter.
    """

    __slots__ = ("_count", "_take", "_waiting", "names")

    def __init__(self, names: tuple[str, ...], take: Take) -> None:
        self.names = names
        self._take = take
        self._waiting: list[object] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __setstate__(self, state: object) -> None:
        raise Refused("sets attributes of its rows")

    def extend(self, rows: list[object]) -> None:
        """Take the next rows; the unpickler calls this, once for the thousand rows that a pickle writes together."""
        self._waiting += rows
        self._count += len(rows)
        if len(self._waiting) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Pass on the rows that wait for more."""
        rows, self._waiting = self._waiting, []
        if set(map(type, rows)) - {tuple} or set(map(len, rows)) - {len(self.names)}:  # type: ignore[arg-type]
            raise CorpusError(f"holds rows that do not have the {len(self.names)} columns of its dtype")
        self._take(self.names, rows)  # type: ignore[arg-type]


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin1")
    if not isinstance(value, str):
        raise Refused(f"gives {type(value).__name__} where a name belongs")
    return whole_characters(value)


def _as_bytes(value: object) -> bytes:
    """Return raw bytes; text is what Python 2 wrote as bytes."""
    if isinstance(value, str):
        return value.encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise Refused(f"gives {type(value).__name__} where raw bytes belong")
    return bytes(value)


def _checked_dtype(value: object) -> DType:
    if not isinstance(value, DType):
        raise Refused(f"gives {type(value).__name__} where a dtype belongs")
    return value


def _reconstruct(kind: object, shape: object, code: object) -> Array:
    if not isinstance(kind, _Global) or kind.name not in ("ndarray", "recarray"):
        raise Refused("reconstructs something other than an array")
    return Array()


def _frombuffer(buffer: object, dtype: object, shape: object, order: object) -> Array:
    array = Array()
    array.__setstate__((shape, dtype, order == "F", _as_bytes(buffer)))
    return array


def _encode(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("encodes text to something other than latin1")
    return text.encode("latin1")


def _to_bytes(*args: object) -> bytes:
    return _to_bytearray(*args)


def _to_bytearray(*args: object) -> bytes:
    if not args:
        return b""
    return args[0] if isinstance(args[0], bytes) else _encode(*args)


def _ordered(pairs: Sequence[Sequence[object]] = ()) -> dict[object, object]:
    return {key: value for key, value in pairs}


def _numpy_names() -> dict[tuple[str, str], _Global]:
    """Return the allowed names of NumPy 1 and 2."""
    names = {
        ("numpy", "dtype"): _Global("dtype", DType),
        ("numpy", "ndarray"): _Global("ndarray"),
        ("numpy", "recarray"): _Global("recarray"),
        ("numpy", "record"): _Global("record"),
        ("numpy.rec", "recarray"): _Global("recarray"),
        ("numpy.rec", "record"): _Global("record"),
    }
    for core in ("numpy.core", "numpy._core"):
        names[core + ".multiarray", "_reconstruct"] = _Global("_reconstruct", _reconstruct)
        names[core + ".multiarray", "scalar"] = _Scalar("scalar")
        names[core + ".numeric", "_frombuffer"] = _Global("_frombuffer", _frombuffer)
        names[core + ".records", "recarray"] = _Global("recarray")
        names[core + ".records", "record"] = _Global("record")
    return names


def _python_names() -> dict[tuple[str, str], _Global]:
    """Return the allowed names of Python 2 and 3."""
    names = {
        ("_codecs", "encode"): _Global("encode", _encode),
        ("collections", "OrderedDict"): _Global("OrderedDict", _ordered),
    }
    kinds: dict[str, Callable[..., object]] = {
        "set": set,
        "frozenset": frozenset,
        "complex": complex,
        "bytes": _to_bytes,
        "bytearray": _to_bytearray,
    }
    for builtins in ("__builtin__", "builtins"):
        names |= {(builtins, name): _Global(name, make) for name, make in kinds.items()}
    return names


ALLOWED: Final = _numpy_names() | _python_names()
