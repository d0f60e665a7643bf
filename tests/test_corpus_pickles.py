"""Pickles: those of Python 2 and 3 are read, those that want more are refused, and nothing they say is run."""

import copyreg
import functools
import io
import os
import pickle
import re
import struct
import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart.corpus import Corpus, CorpusError, configurations, read_corpus, rehearsal
from rnn_warmstart.corpus.limits import TOGETHER
from rnn_warmstart.corpus.unpickle import read_rows

ASSETS = Path(__file__).parent / "assets"
DTYPE = [("architecture", "O"), ("eval_loss", "f8"), ("hparams", "O"), ("max_params", "i8"), ("n_layers", "i8")]
DTYPE += [("task_type", "O")]
ROW = ("gru", 0.5, {"lr_init": 0.01, "train_steps": 100, "optimizer": "Adam"}, 1000, 2, "text8")


def load(data: bytes) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    read_rows(io.BufferedReader(io.BytesIO(data)), len(data), "m.p", lambda names, part: rows.extend(part))
    return rows


def table(*rows: tuple[object, ...]) -> np.ndarray:
    return np.array(list(rows or (ROW,)), dtype=DTYPE)


def corpus_of(tmp_path: Path, data: bytes) -> Corpus:
    (tmp_path / "m.p").write_bytes(data)
    return read_corpus(tmp_path / "m.p")


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> object:
        return self.call


class HasState:
    def __init__(self) -> None:
        self.x = 1


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_every_protocol_and_numpy_name_reads_alike(protocol: int, core: str) -> None:
    data = pickle.dumps(table(), protocol=protocol)
    if protocol < 4:  # later ones write the length before the name
        assert core == "numpy._core" or b"numpy._core" in data
        data = data.replace(b"numpy._core", core.encode())
    assert load(data) == [ROW]


@pytest.mark.parametrize("protocol", range(3))
def test_genuine_python_2_pickles(protocol: int) -> None:
    corpus = read_corpus(ASSETS / f"python2_protocol{protocol}.p")
    runs = corpus.runs
    assert list(runs["architecture"]) == ["lstm"] + 5 * ["gru"]
    assert set(runs["task_type"]) == {"text8"}, "bytes, unicode and NumPy text are one text"
    assert list(runs["diverged"]) == [False, False, True, True, True, False]
    assert runs["eval_loss"].tolist()[:2] == [1.549270, 1.6] and runs["eval_loss"].isna().sum() == 3
    assert runs["num_params"].isna().tolist() == [False, False, True, False, False, False]
    assert runs["hp_lr_init"].tolist()[1:] == [0.02, 0.01, 1.0, 0.01, 0.5]
    assert runs["hp_train_steps"].tolist() == [1176212, 60000, 50000, 50000, 50000, 70000]
    assert list(runs["hp_optimizer"]) == ["RMSProp", "Adam", "SGD", "Adam", "Adam", "Adam"]
    assert [runs["hp_note"][4], runs["hp_other"][4]] == ["naïve", "naïve"], "UTF-8 and Latin-1 bytes"
    assert "forget_gate_bias_hack" not in configurations(runs)[1], "None is absent"


def test_text_of_python_2_is_repaired_wherever_it_is(tmp_path: Path) -> None:
    """Bytes of Python 2 arrive as Latin-1; here they are alone, beside a None, and in one column with numbers."""
    latin = "naïve".encode().decode("latin1")
    rows = [{"a": latin, "b": latin, "c": latin}, {"a": "x", "b": None, "c": 2.5}]
    data = pickle.dumps(table(*[("gru", 0.5, each, 1, 1, latin) for each in rows]), protocol=2)
    runs = corpus_of(tmp_path, data).runs
    assert configurations(runs) == [{"a": "naïve", "b": "naïve", "c": "naïve"}, {"a": "x", "c": "2.5"}]
    assert set(runs["task_type"]) == {"naïve"}


def test_byte_keys_and_values_of_python_3(tmp_path: Path) -> None:
    row = (b"gru", 0.5, {b"lr_init": 0.01, b"note": "naïve".encode()}, 1000, 2, np.bytes_(b"text8"))
    runs = corpus_of(tmp_path, pickle.dumps(table(row), protocol=2)).runs
    assert (runs["architecture"][0], runs["task_type"][0], runs["hp_note"][0]) == ("gru", "text8", "naïve")


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_scalars_become_plain_values(protocol: int) -> None:
    values = [np.float64(0.1), np.float32(0.5), np.float16(2), np.int64(-7), np.int8(3), np.uint32(9), np.bool_(True)]
    values += [np.str_("añb"), np.bytes_(b"xyz"), np.longdouble(1.5), np.complex128(1 + 2j), np.dtype(">i2").type(5)]
    (row,) = load(pickle.dumps(table(("gru", 0.5, dict(enumerate(values)), 1, 1, "t")), protocol=protocol))
    read = row[2]
    assert read == {i: value.item() for i, value in enumerate(values)}
    assert {type(value) for value in read.values()} <= {float, int, bool, str, bytes, complex}


def test_foreign_byte_order_scalar() -> None:
    big = np.array([258], dtype=">i4")
    scalar = Calls(np._core.multiarray.scalar, big.dtype, big.tobytes())
    assert load(pickle.dumps(table(("gru", 0.5, {"x": scalar}, 1, 1, "t"))))[0][2] == {"x": 258}


def test_plain_containers_are_read() -> None:
    hparams = {
        "a": OrderedDict(b=1),
        "c": {1, 2},
        "d": frozenset({3}),
        "e": 1j,
        "f": bytearray(b"g"),
        "h": b"",
        "i": (1, [2]),
    }
    for protocol in range(6):
        assert load(pickle.dumps(table(("gru", 0.5, hparams, 1, 1, "t")), protocol=protocol))[0][2] == hparams


def test_record_array_and_array_without_objects() -> None:
    plain = np.array([(b"gru", 0.5), (b"lstm", 1.5)], dtype=[("architecture", "S8"), ("eval_loss", ">f8")])
    for protocol in range(6):
        assert load(pickle.dumps(plain.view(np.recarray), protocol=protocol)) == plain.tolist()
        assert load(pickle.dumps(plain, protocol=protocol)) == plain.tolist()
        assert load(pickle.dumps(table().view(np.recarray), protocol=protocol)) == [ROW]


def test_aligned_and_padded_records_are_read() -> None:
    padded = np.array([(1, 0.5), (2, 1.5)], dtype=np.dtype([("n_layers", "i1"), ("eval_loss", "f8")], align=True))
    assert load(pickle.dumps(padded, protocol=2)) == padded.tolist()


MALICIOUS = {
    "os.system": (Calls(os.system, "touch ran"), r"(posix|nt)\.system"),
    "subprocess": (Calls(subprocess.Popen, ["touch", "ran"]), r"subprocess\.Popen"),
    "eval": (Calls(eval, "open('ran', 'w')"), r"(builtins|__builtin__)\.eval"),
    "exec": (Calls(exec, "open('ran', 'w')"), r"(builtins|__builtin__)\.exec"),
    "getattr": (Calls(getattr, "", "join"), r"(builtins|__builtin__)\.getattr"),
    "open": (Calls(open, "ran", "w"), r"(_?io|builtins)\.open"),
    "numpy.load": (Calls(np.load, "x.npy"), r"numpy\S*\.load"),
    "numpy.memmap": (Calls(np.memmap, "ran", "u1", "w+", 0, (9,)), r"numpy\S*\.memmap"),
    "partial": (Calls(functools.partial, print), r"functools\.partial"),
    "object": (HasState(), r"copy_?reg\._reconstructor|HasState"),
    "class": (HasState, r"HasState"),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", MALICIOUS)
@pytest.mark.parametrize("inside", ["alone", "in a hyperparameter", "as an array's item"])
def test_pickles_that_run_code_are_refused(
    name: str, protocol: int, inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    thing, culprit = MALICIOUS[name]
    rows = {"alone": thing, "in a hyperparameter": table(("gru", 0.5, {"x": thing}, 1, 1, "t"))}
    item = np.empty(1, dtype=object)
    item[0] = thing
    data = pickle.dumps(rows.get(inside, item), protocol=protocol, fix_imports=False)
    with pytest.raises(CorpusError, match=rf"m\.p asks for \S*({culprit}), which is not on the list"):
        load(data)
    assert list(tmp_path.iterdir()) == []


GLOBAL = b"cnumpy\nndarray\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
DTYPE_OF = b"cnumpy\ndtype\n"
BY_HAND = {
    "an attribute of an allowed name": (
        b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
        "asks for numpy.ndarray.dump",
    ),
    "a terminal escape": (b"cos\x1b[2J\nsystem\n.", r"asks for 'os\\x1b\[2J.system'"),
    "INST": (b"(S'touch ran'\nios\nsystem\n.", "asks for os.system"),
    "OBJ": (b"(cos\nsystem\nS'touch ran'\no.", "asks for os.system"),
    "NEWOBJ of an allowed name": (b"\x80\x02" + GLOBAL + b")\x81.", "NEWOBJ class argument"),
    "calling ndarray": (GLOBAL + b"(I10\ntR.", "calls ndarray, which is only allowed as an argument"),
    "state of a function": (RECONSTRUCT + b"(N}S'__defaults__'\n)stb.", "sets attributes of _reconstruct"),
    "a persistent id": (b"Pwhatever\n.", "object outside the pickle"),
    "a binary persistent id": (b"\x80\x02K\x01Q.", "object outside the pickle"),
    "an unknown extension": (b"\x80\x02\x82\xfa.", "unregistered extension code 250"),
    "reconstructing no array": (RECONSTRUCT + b"(c__builtin__\nset\n(I0\ntS'b'\ntR.", "something other than an array"),
    "a dtype of objects of unknown kind": (DTYPE_OF + b"(S'M8[s]'\nI0\nI1\ntR.", r"describes a dtype 'M8\[s\]'"),
    "a dtype with commas": (DTYPE_OF + b"(S'f8,O'\nI0\nI1\ntR.", "describes a dtype 'f8,O'"),
    "a huge scalar": (
        b"cnumpy.core.multiarray\nscalar\n(" + DTYPE_OF + b"(S'S999999999999'\nI0\nI1\ntRS'x'\ntR.",
        "describes a dtype 'S999999999999'",
    ),
    "an array of a pointer": (
        RECONSTRUCT
        + b"("
        + GLOBAL
        + b"(I0\ntS'b'\ntR(I1\n(I1\nt"
        + DTYPE_OF
        + b"(S'O8'\nI0\nI1\ntRI00\nS'AAAAAAAA'\ntb.",
        "array without columns",
    ),
    "encoding to a codec": (b"c_codecs\nencode\n(Vx\nVzip\ntR.", "something other than latin1"),
    "many bytes": (b"c__builtin__\nbytes\n(I99999999999\ntR.", "not a readable pickle: TypeError"),
    "a list": (b"].", "holds a list; a structured array of runs is allowed"),
    "nothing": (b"", "not a readable pickle: EOFError"),
    "not a pickle": (b"PK\x03\x04 a zip file", "m.p"),
    "a protocol of the future": (b"\x80\x63N.", "unsupported pickle protocol: 99"),
    "an array without its state": (RECONSTRUCT + b"(" + GLOBAL + b"(I0\ntS'b'\ntR.", "array without columns"),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_pickles_by_hand_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data, why = BY_HAND[name]
    with pytest.raises(CorpusError, match=why):
        load(data)
    assert list(tmp_path.iterdir()) == []


def test_pointers_as_raw_bytes_of_records_are_refused() -> None:
    """The raw bytes of an object column would be read as addresses."""
    record = DTYPE_OF + b"(S'V8'\nI0\nI1\ntR(I3\nS'|'\nN(S'hparams'\nt(dS'hparams'\n("
    record += DTYPE_OF + b"(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntbI0\ntsI8\nI1\nI16\ntb"
    data = RECONSTRUCT + b"(" + GLOBAL + b"(I0\ntS'b'\ntR(I1\n(I1\nt" + record + b"I00\nS'AAAAAAAA'\ntb."
    with pytest.raises(CorpusError, match="gives raw bytes for an array of objects"):
        load(data)


def test_allowed_names_cannot_be_changed_for_the_next_pickle() -> None:
    with pytest.raises(CorpusError, match="sets attributes of dtype"):
        load(DTYPE_OF + b"(N}S'name'\nS'x'\nstb.")
    assert load(pickle.dumps(table())) == [ROW]


def test_extension_codes_of_the_program_are_unknown() -> None:
    """A program that unpickled a registered extension keeps it in a cache that find_class never sees."""
    copyreg.add_extension("os", "getpid", 251)
    try:
        data = b"\x80\x02\x82\xfb)R."
        pickle.loads(data)
        with pytest.raises(CorpusError, match="unregistered extension code 251"):
            load(data)
    finally:
        copyreg.remove_extension("os", "getpid", 251)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (np.array([1.0, 2.0]), "array without columns"),
        (np.zeros((2, 2), dtype=[("eval_loss", "f8")]), r"shape \(2, 2\); one dimension"),
        (np.zeros(2, dtype=[("eval_loss", "f8", 3)]), "dtype of arrays within an array"),
        (np.zeros(2, dtype=[("when", "M8[s]")]), r"describes a dtype 'M8'"),
    ],
)
def test_other_arrays_are_refused(rows: np.ndarray, why: str) -> None:
    with pytest.raises(CorpusError, match=why):
        load(pickle.dumps(rows))


def test_declared_shape_must_be_what_the_array_holds() -> None:
    data = pickle.dumps(table(ROW, ROW), protocol=2)
    assert data.count(b"K\x01K\x02\x85") == 1  # version 1, shape (2,)
    with pytest.raises(CorpusError, match=r"declares 9 items but holds 2"):
        load(data.replace(b"K\x01K\x02\x85", b"K\x01K\x09\x85"))


BOMBS = {
    "memo index": b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + b".",
    "text index": b"]p" + b"9" * 9 + b"\n.",
    "counted bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**42) + b".",
    "counted bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**42) + b".",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**42) + b".",
    "long": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
    "digits": b"I" + b"9" * 10**6 + b"\n.",
    "deep list": b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    "deep tuple": b"\x80\x02)" + b"\x85" * 10**6 + b".",
    "deep dict": b"\x80\x02" + b"}K\x01" * 10**6 + b"}" + b"s" * 10**6 + b".",
    "marks": b"(" * 10**6,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_in_the_documented_error(name: str) -> None:
    with pytest.raises(
        CorpusError, match=r"^m\.p.*(memory|not a readable pickle|a structured array of runs is allowed)"
    ):
        load(BOMBS[name])


def test_nested_hyperparameters_refuse_the_row_not_the_file(tmp_path: Path) -> None:
    nested: object = {}
    for _ in range(400):
        nested = {"deeper": nested}
    corpus = corpus_of(tmp_path, pickle.dumps(table(("gru", 0.5, {"x": nested}, 1, 1, "t"), ROW)))
    assert len(corpus) == 1
    assert "1 of m.p: hp_x is infinite, or neither number nor text" in str(corpus.summary)


@pytest.mark.parametrize("protocol", range(6))
def test_every_truncation_is_refused(protocol: int) -> None:
    data = pickle.dumps(table(), protocol=protocol)
    for end in range(len(data)):
        with pytest.raises(CorpusError, match=r"^m\.p"):
            load(data[:end])


GOOD = [(ASSETS / f"python2_protocol{protocol}.p").read_bytes() for protocol in range(3)]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4))
def test_corrupted_bytes_give_a_table_or_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, changes: list[tuple[int, int]]
) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.p"
    path.write_bytes(damaged)
    try:
        assert len(read_corpus(path)) <= 6
    except CorpusError as error:
        assert re.search(r"damaged\.p", str(error))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_noise_gives_the_documented_error(data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"^m\.p"):
        load(b"\x80\x02" + data)


# --- rows that come in parts -----------------------------------------------------------------------------------------


def parts_of(data: bytes) -> list[list[tuple[object, ...]]]:
    parts: list[list[tuple[object, ...]]] = []
    read_rows(io.BufferedReader(io.BytesIO(data)), len(data), "m.p", lambda names, part: parts.append(part))
    return parts


@pytest.mark.parametrize("protocol", range(6))
def test_long_tables_come_in_parts(protocol: int) -> None:
    rows = [("gru", 0.5, {"lr_init": i / 7, "train_steps": i}, 1000, i, "text8") for i in range(3 * TOGETHER)]
    parts = parts_of(pickle.dumps(table(*rows), protocol=protocol))
    assert [row for part in parts for row in part] == rows
    assert max(map(len, parts)) < 2 * TOGETHER


@pytest.mark.parametrize("protocol", range(3))
def test_rows_are_passed_on_before_the_pickle_ends(protocol: int) -> None:
    data = pickle.dumps(table(*[("gru", 0.5, {"a": i}, 1, 1, "t") for i in range(3 * TOGETHER)]), protocol=protocol)
    seen: list[int] = []
    with pytest.raises(CorpusError, match=r"m\.p"):
        read_rows(
            io.BufferedReader(io.BytesIO(data[:-9])), len(data), "m.p", lambda names, part: seen.append(len(part))
        )
    assert sum(seen) >= 2 * TOGETHER


@pytest.mark.parametrize("protocol", range(6))
def test_rows_may_share_a_dict(protocol: int, tmp_path: Path) -> None:
    shared, text = {"a": 0.5, "b": 3, "c": "x"}, {"c": "y"}
    hparams: list[dict[str, object]] = [{"a": float(i), "b": i} for i in range(3 * TOGETHER)]
    for row in (5, TOGETHER - 1, 2 * TOGETHER, 3 * TOGETHER - 1):
        hparams[row] = shared
    hparams[7], hparams[-5], hparams[2 * TOGETHER + 1] = text, text, {}
    data = pickle.dumps(table(*[("gru", 0.5, each, 1, 1, "t") for each in hparams]), protocol=protocol)
    found = configurations(corpus_of(tmp_path, data).runs)
    assert [row for row, pair in enumerate(zip(found, hparams, strict=True)) if pair[0] != pair[1]] == []


RECORD = (
    "cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR(I3\nS'|'\nN(S'{0}'\nt(dS'{0}'\n"
    "(cnumpy\ndtype\n(S'O8'\nI0\nI1\ntRI0\ntsI8\nI1\nI63\ntb"
)
BEGINNING = RECONSTRUCT + b"(" + GLOBAL + b"(I0\ntS'b'\ntR(I1\n(I1\nt" + RECORD.format("a").encode() + b"I00\n"


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (b"(lp9\n(I5\ntatb(I1\n(I1\nt" + RECORD.format("b").encode() + b"I00\ng9\ntb.", "not those that it begins"),
        (b"(l(I5\nI6\ntatb.", "rows that do not have the 1 columns"),
        (b"(lI5\natb.", "rows that do not have the 1 columns"),
        (b"(l(I5\nta(I6\ntatb.", "declares 1 items but holds 2"),
        (b"(lp9\n(N(dtbg9\n.", "sets attributes of its rows"),
        (b"(lp9\n(I5\ntatbg9\n.", "holds a Rows; a structured array of runs is allowed"),
        (b"(lp9\n(g9\ntatb.", None),
    ],
)
def test_rows_by_hand(end: bytes, why: str | None) -> None:
    if why is None:
        assert len(load(BEGINNING + end)) == 1
        return
    with pytest.raises(CorpusError, match=why):
        load(BEGINNING + end)


def test_the_name_of_the_rows_is_not_on_the_list() -> None:
    with pytest.raises(CorpusError, match=r"asks for rnn_warmstart\.rows, which is not on the list"):
        load(b"crnn_warmstart\nrows\n.")


def table_with(opcodes: bytes) -> bytes:
    """Return a table whose hyperparameters are what some opcodes leave on the stack."""
    data = pickle.dumps(table(("gru", 0.5, "HERE", 1, 1, "t")), protocol=2)
    return data.replace(b"X\x04\0\0\0HERE", opcodes)


HASHED_FOR_EVER = {
    "a key whose parts are shared": b"}" + b")" + b"2\x86" * 60 + b"Ns",
    "keys of one hash": b"}("
    + b"".join(b"\x8a\x0e" + ((2**61 - 1) * i).to_bytes(14, "little") + b"N" for i in range(60_000))
    + b"u",
    "a deep key": b"})" + b"\x85" * 10**6 + b"Ns",
}


@pytest.mark.parametrize("opcodes", HASHED_FOR_EVER.values(), ids=HASHED_FOR_EVER)
def test_keys_that_hang_or_crash_python_are_refused(opcodes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "SECONDS", 0)
    with pytest.raises(CorpusError, match=r"^m\.p keeps Python busy without an end, or nests values too deeply"):
        load(table_with(opcodes))
    assert load(pickle.dumps(table())) == [ROW], "the next file is read"


def test_a_table_of_many_chunks_is_read_as_it_is() -> None:
    rows = [("gru", i / 7, {f"x{i % 50}": "y" * 50, "n": i}, i, 1, "text8") for i in range(5000)]
    for protocol in (0, 2, 4):
        data = pickle.dumps(table(*rows), protocol=protocol)
        assert len(data) > 2 * rehearsal.CHUNK and load(data) == rows


def test_a_pickle_that_ends_within_a_value_is_refused() -> None:
    data = pickle.dumps(table(*[ROW] * 5000), protocol=2)
    for size in (1, 100, rehearsal.CHUNK, rehearsal.CHUNK + 1, len(data) - 1):
        with pytest.raises(CorpusError, match=r"^m\.p is not a readable pickle"):
            load(data[:size])
