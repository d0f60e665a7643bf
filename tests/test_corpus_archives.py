"""The original archive: its documented row comes out of it, and unsafe or damaged archives are refused."""

import gzip
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart.corpus import SETUP, Corpus, CorpusError, archive, configurations, read_corpus

README_HPARAMS: dict[str, Any] = {
    "recurrent_bias_scale_o": 1.2967042923,
    "recurrent_bias_scale_i": -0.250855892897,
    "recurrent_bias_scale_g": 0.631270706654,
    "recurrent_bias_scale_c": -1.62440180779,
    "input_scale_c": 0.209308668971,
    "input_scale_g": 0.222167253494,
    "input_scale_i": 1.20329034328,
    "input_scale_o": 0.407466441393,
    "optimizer_logit_momentum": 5.89666414261,
    "recurrent_matrix_init_type": "orthogonal",
    "lr_decay_rate": 0.108852244914,
    "train_steps": 1176212,
    "forget_gate_bias_hack": 4.88674783707,
    "recurrent_bias_init_type": "delta",
    "lr_init": 0.00398490205407,
    "optimizer": "RMSProp",
    "gradient_clip_val": 27.6603736877,
    "recurrent_matrix_scale_g": 0.035970274359,
    "recurrent_matrix_scale_c": 0.619497835636,
    "recurrent_matrix_scale_o": 0.0714097246528,
    "recurrent_matrix_scale_i": 0.520125091076,
    "l2_decay": 1.79227910735e-07,
}
"""The hyperparameters of the run that the data set's own README prints."""

DTYPE = {
    "architecture": "O",
    "eval_loss": "f8",
    "hparams": "O",
    "max_params": "i8",
    "n_layers": "i8",
    "num_params": "i8",
    "task_type": "O",
    "train_loss": "f8",
    "valid_loss": "f8",
    "hyper_iter": "i8",
}


def run(
    architecture: str, task: str, loss: float, hparams: object, depth: int = 1, size: int = 5000, it: int = 0
) -> dict:
    losses = {"train_loss": loss, "valid_loss": loss, "eval_loss": loss}
    setup = {"architecture": architecture, "task_type": task, "n_layers": depth, "max_params": size}
    return {**setup, **losses, "hparams": hparams, "num_params": size - 1, "hyper_iter": it}


def member(*runs: dict, columns: list[str] | None = None, protocol: int = 2) -> bytes:
    names = columns or list(DTYPE)
    rows = [tuple(each[name] for name in names) for each in runs]
    return pickle.dumps(np.array(rows, dtype=[(name, DTYPE[name]) for name in names]), protocol=protocol)


TEXT8 = member(
    run("gru", "text8", 1.4, {"lr_init": 0.1, "optimizer": "Adam"}, 2, 1_280_000),
    run("lstm", "text8", 1.6, {**README_HPARAMS, "lr_init": 0.02}, 2, 1_280_000),
    {**run("lstm", "text8", 1.549270, README_HPARAMS, 4, 1_280_000, 900), "num_params": 1_268_217},
    run("lstm", "text8", float("nan"), {**README_HPARAMS, "lr_init": 0.1}, 4, 1_280_000),
)
ARITHMETIC = member(
    run("lstm", "arithmetic", 0.1, {"lr_init": 0.1, "optimizer": None, "compute_steps": 3}),
    run("+rnn", "arithmetic", 0.2, {"lr_init": 0.1, "activation": "relu", "compute_steps": 1}, 2),
)
FILES = {"fig3_txt8rcf.p": TEXT8, "fig4_arith.p": ARITHMETIC}


def entry(name: str, **more: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for attribute, value in more.items():
        setattr(info, attribute, value)
    return info


def tar_bytes(files: dict[str, bytes], *others: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            tar.addfile(entry(name, size=len(content)), io.BytesIO(content))
        for info in others:
            tar.addfile(info, io.BytesIO(b"0" * min(info.size, 100)) if info.size else None)
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Corpus]:
    def write_and_read(data: bytes, name: str = "runs.tar.gz") -> Corpus:
        (tmp_path / name).write_bytes(data)
        return read_corpus(tmp_path / name)

    return write_and_read


@pytest.mark.parametrize(("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w")])
def test_the_documented_row_comes_out_of_the_archive(read: Callable[..., Corpus], name: str, mode: str) -> None:
    corpus = read(tar_bytes(FILES, mode=mode), name)
    best = corpus.best(architecture="lstm", task_type="text8")
    assert best["eval_loss"].tolist() == [1.549270]
    assert (best["n_layers"].item(), best["num_params"].item()) == (4, 1_268_217)
    assert configurations(best) == [README_HPARAMS]
    assert len(README_HPARAMS) == 22
    assert type(configurations(best)[0]["train_steps"]) is int


def test_summary_of_the_archive(read: Callable[..., Corpus]) -> None:
    summary = read(tar_bytes(FILES)).summary
    assert str(summary) == "6 runs in 5 setups, 1 diverged, 0 duplicates, 0 contradictory, 0 refused"
    assert summary.counts == {"+rnn": {"arithmetic": 1}, "gru": {"text8": 1}, "lstm": {"arithmetic": 1, "text8": 3}}


def test_integers_stay_integers_where_other_members_lack_them(read: Callable[..., Corpus]) -> None:
    runs = read(tar_bytes(FILES)).runs
    assert str(runs["hp_compute_steps"].dtype) == "Int64"
    assert [each["compute_steps"] for each in configurations(runs[4:])] == [3, 1]


def test_columns_in_any_order_and_missing_ones(read: Callable[..., Corpus]) -> None:
    columns = ["hparams", "eval_loss", "task_type", "architecture", "max_params", "n_layers"]
    corpus = read(tar_bytes({"x.p": member(run("gru", "rcf", 0.5, {"a": 1}), columns=columns)}))
    assert list(corpus.runs.columns) == ["source", *SETUP, "eval_loss", "diverged", "hp_a"]


def test_a_missing_required_column_is_named(read: Callable[..., Corpus]) -> None:
    with pytest.raises(CorpusError, match=r"runs\.tar\.gz lacks the columns eval_loss; a corpus needs architecture"):
        read(tar_bytes({"x.p": member(run("gru", "rcf", 0.5, {}), columns=[*SETUP, "hparams"])}))


def test_folder_and_members_read_as_the_archive(read: Callable[..., Corpus], tmp_path: Path) -> None:
    whole = read(tar_bytes(FILES))
    folder = tmp_path / "members"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    assert read_corpus(folder).sha256 == whole.sha256
    assert len(read_corpus(folder / "fig3_txt8rcf.p")) == 4


def test_other_members_are_passed_over_and_noted(read: Callable[..., Corpus]) -> None:
    folder = entry("dataset", type=tarfile.DIRTYPE)
    corpus = read(tar_bytes({"README.md": b"#", "dataset/._x.p": b"apple", "dataset/x.p": TEXT8}, folder))
    assert len(corpus) == 4
    assert corpus.summary.notes == (
        "runs.tar.gz: members that hold no runs were passed over: README.md, dataset/._x.p",
    )


def test_progress_ends_at_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_bytes(FILES))
    calls: list[tuple[int, int, str]] = []
    read_corpus(tmp_path / "a.tar.gz", progress=lambda *call: calls.append(call))
    size = (tmp_path / "a.tar.gz").stat().st_size
    assert calls[-1] == (size, size, "a.tar.gz")


ATTACKS = {
    "symlink": (entry("x.p", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "'x.p' is a link, a device or sparse"),
    "hard link": (entry("x.p", type=tarfile.LNKTYPE, linkname="y.p"), "'x.p' is a link, a device or sparse"),
    "device": (entry("x.p", type=tarfile.CHRTYPE), "'x.p' is a link, a device or sparse"),
    "fifo": (entry("x.p", type=tarfile.FIFOTYPE), "'x.p' is a link, a device or sparse"),
    "absolute": (entry("/tmp/x.p", size=9), "'/tmp/x.p' has a path that leaves the archive"),
    "parent": (entry("a/../../x.p", size=9), r"'a/\.\./\.\./x\.p' has a path that leaves the archive"),
    "windows parent": (entry("a\\..\\x.p", size=9), r".* has a path that leaves the archive"),
    "drive": (entry("C:x.p", size=9), "'C:x.p' has a path that leaves the archive"),
    "link without the suffix": (entry("notes", type=tarfile.SYMTYPE, linkname="x"), "'notes' is a link"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_unsafe_members_are_refused(read: Callable[..., Corpus], name: str) -> None:
    info, why = ATTACKS[name]
    with pytest.raises(CorpusError, match=rf"^runs\.tar\.gz: the member {why}"):
        read(tar_bytes(FILES, info))


def header(size: int, name: str = "x.p", kind: bytes = tarfile.REGTYPE) -> bytes:
    return entry(name, size=size, type=kind).tobuf(tarfile.GNU_FORMAT)


def test_absurd_declared_sizes_are_refused(read: Callable[..., Corpus]) -> None:
    with pytest.raises(CorpusError, match=r"'x.p' declares 8,796,093,022,208 bytes; at most 4,294,967,296 are read"):
        read(gzip.compress(header(2**43) + b"x" * 5000))


def test_sparse_members_are_refused(read: Callable[..., Corpus]) -> None:
    with pytest.raises(CorpusError, match="is a link, a device or sparse"):
        read(gzip.compress(header(0, kind=tarfile.GNUTYPE_SPARSE) + bytes(2048)))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_headers_that_swallow_the_memory_are_refused(read: Callable[..., Corpus], kind: bytes) -> None:
    zeros = gzip.compress(header(2**26, kind=kind) + bytes(2**26))
    assert len(zeros) < 10**5
    with pytest.raises(CorpusError, match="is larger than it declares, or than what is read"):
        read(zeros)


def test_too_many_members_are_refused(read: Callable[..., Corpus]) -> None:
    many = {f"note{i}": b"" for i in range(archive.MAX_MEMBERS + 1)}
    with pytest.raises(CorpusError, match=r"has more than 1,000 members"):
        read(tar_bytes(many))


def test_large_members_on_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.p").write_bytes(TEXT8)
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(CorpusError, match=rf"x\.p has {len(TEXT8):,} bytes; at most 100 are read"):
        read_corpus(tmp_path / "x.p")


def test_large_archives_are_refused(read: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 2**20)
    data = tar_bytes({f"{i}.txt": bytes(2**19) for i in range(4)} | FILES)
    with pytest.raises(CorpusError, match="more than 1,048,576 bytes"):
        read(data)


def test_a_bad_member_is_named(read: Callable[..., Corpus]) -> None:
    with pytest.raises(CorpusError, match=r"runs\.tar\.gz: bad\.p asks for os\.system, which is not on the list"):
        read(tar_bytes({**FILES, "bad.p": b"cos\nsystem\n(S'true'\ntR."}))


def test_an_archive_without_members_is_refused(read: Callable[..., Corpus]) -> None:
    with pytest.raises(CorpusError, match=r"has no member that ends in \.p"):
        read(tar_bytes({"README.md": b"#"}))


@pytest.mark.parametrize(
    "data",
    [b"", b"not an archive" * 100, gzip.compress(b"", mtime=0), gzip.compress(b"x" * 9999, mtime=0), b"\x1f\x8b"],
)
def test_what_is_no_archive_is_refused(read: Callable[..., Corpus], data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"runs\.tar\.gz.* (is damaged or no archive|has no member)"):
        read(data)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_truncated_archives_are_refused(read: Callable[..., Corpus], mode: str) -> None:
    data = tar_bytes(FILES, mode=mode)
    last = len(data) - 1 if mode == "w:gz" else 512 + 2048 + 512 + len(ARITHMETIC) - 1
    for end in [*range(0, last, 97), last]:
        with pytest.raises(CorpusError, match=r"^\S*runs\.tar\.gz"):
            read(data[:end])


def test_a_damaged_header_is_not_the_end(read: Callable[..., Corpus]) -> None:
    """A tar reader takes a header with a wrong checksum for the end of the archive, which would lose members."""
    data = bytearray(tar_bytes(FILES, mode="w"))
    data[data.index(b"fig4_arith.p")] ^= 1
    with pytest.raises(CorpusError, match=r"runs\.tar is damaged: it does not end after its last member"):
        read(bytes(data), "runs.tar")


def test_a_wrong_checksum_is_found(read: Callable[..., Corpus]) -> None:
    data = bytearray(tar_bytes(FILES))
    data[-8] ^= 1  # CRC-32 of gzip
    with pytest.raises(CorpusError, match="CRC check failed"):
        read(bytes(data))


WHOLE = tar_bytes(FILES)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.booleans())
def test_damage_gives_the_same_runs_or_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int, zipped: bool
) -> None:
    data = bytearray(WHOLE if zipped else gzip.decompress(WHOLE))
    data[position] ^= change
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    path.write_bytes(data)
    try:
        assert len(read_corpus(path)) <= 6
    except CorpusError as error:
        assert "damaged.tar" in str(error)
