"""Fetching the original archive: complete, interrupted, wrong, offline, from a copy; against a server of our own."""

import hashlib
import http.server
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rnn_warmstart.__main__ import app
from rnn_warmstart.corpus.archive import no_progress
from rnn_warmstart.corpus.fetching import ORIGINAL, FetchError, Original, fetch_archive
from typer.testing import CliRunner

pytest.importorskip("pooch")

CONTENT = bytes(range(256)) * 9000
NAME = "runs.tar.gz"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 176806737\n" % ORIGINAL.sha256.encode()


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; cuts each answer after `cut` bytes; knows Range if `ranges` says so."""

    content, cut, ranges, status = CONTENT, len(CONTENT), True, 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.server.ranges else 0
        body = self.server.content[start:]
        self.send_response(self.server.status if self.server.status != 200 else 206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(body[: self.server.cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def original(server: Server, monkeypatch: pytest.MonkeyPatch) -> Original:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    url = f"http://127.0.0.1:{server.server_port}/{NAME}"
    return Original(url, "http://page", NAME, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_published_archive_is_what_the_repository_says() -> None:
    assert (ORIGINAL.size, ORIGINAL.sha256[:8]) == (176_806_737, "f2e86251")
    assert ORIGINAL.url.startswith("https://media.githubusercontent.com/media/jazcollins/cap-n-train-hps/")


def test_a_download_is_complete_and_checked_and_done_once(tmp_path: Path, server: Server, original: Original) -> None:
    calls: list[tuple[int, int, str]] = []
    path = fetch_archive(tmp_path / "new", original=original, progress=lambda *call: calls.append(call))
    assert path.read_bytes() == CONTENT and files(tmp_path / "new") == [NAME]
    assert calls[-1] == (len(CONTENT), len(CONTENT), f"downloading {NAME}")
    assert fetch_archive(tmp_path / "new", original=original) == path
    assert server.asked == [None], "a second call downloads nothing"


def test_a_cut_connection_is_taken_up_again(tmp_path: Path, server: Server, original: Original) -> None:
    server.cut = 1_500_000
    assert fetch_archive(tmp_path, original=original).read_bytes() == CONTENT
    first, second = server.asked
    assert first is None and second is not None
    assert 1_400_000 < int(second.removeprefix("bytes=").removesuffix("-")) <= 1_500_000


def test_an_interrupted_download_goes_on_in_the_next_call(tmp_path: Path, server: Server, original: Original) -> None:
    def interrupt(*call: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_archive(tmp_path, original=original, progress=interrupt)
    assert files(tmp_path) == [f"{NAME}.part"]
    have = (tmp_path / f"{NAME}.part").stat().st_size
    assert 0 < have < len(CONTENT)
    assert fetch_archive(tmp_path, original=original).read_bytes() == CONTENT
    assert server.asked[1:] == [f"bytes={have}-"]


def test_a_server_without_ranges_starts_over(tmp_path: Path, server: Server, original: Original) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    server.ranges = False
    assert fetch_archive(tmp_path, original=original).read_bytes() == CONTENT


def test_a_wrong_file_is_not_kept(tmp_path: Path, server: Server, original: Original) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(
        FetchError, match=r"is not the archive, and was deleted: .*hash.*with a browser from http://page"
    ):
        fetch_archive(tmp_path, original=original)
    assert files(tmp_path) == []


def test_a_damaged_part_does_not_stay_in_the_way(tmp_path: Path, server: Server, original: Original) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 1000)
    with pytest.raises(FetchError, match="was deleted"):
        fetch_archive(tmp_path, original=original)
    assert fetch_archive(tmp_path, original=original).read_bytes() == CONTENT


def test_too_long_an_answer_is_stopped(tmp_path: Path, server: Server, original: Original) -> None:
    server.content = CONTENT * 3
    with pytest.raises(FetchError, match=rf"is not the archive: it has more, the archive has {len(CONTENT):,} bytes"):
        fetch_archive(tmp_path, original=original)
    assert not (tmp_path / NAME).exists()


def test_a_pointer_is_recognised(tmp_path: Path, server: Server, original: Original) -> None:
    server.content = POINTER
    with pytest.raises(FetchError, match=r"the pointer that git keeps in its place \(git-LFS\).*git lfs pull"):
        fetch_archive(tmp_path, original=original)
    copy = tmp_path / "copy.tar.gz"
    copy.write_bytes(POINTER)
    with pytest.raises(FetchError, match=r"copy\.tar\.gz is not the archive but the pointer"):
        fetch_archive(tmp_path, copy)


@pytest.mark.parametrize("status", [404, 429, 503])
def test_an_error_of_the_server_is_passed_on(tmp_path: Path, server: Server, original: Original, status: int) -> None:
    server.status = status
    with pytest.raises(FetchError, match=rf"answers {status}.*moved, or be over its quota: download it with a browser"):
        fetch_archive(tmp_path, original=original)


def test_offline_says_what_to_do(tmp_path: Path, server: Server, original: Original) -> None:
    server.shutdown()
    server.server_close()
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    with pytest.raises(FetchError, match=r"cannot be reached: .* 1,000 of .* are here; .*HTTPS_PROXY.*fetch --from"):
        fetch_archive(tmp_path, original=original)


def test_a_copy_is_checked_and_copied(tmp_path: Path, server: Server, original: Original) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(CONTENT)
    path = fetch_archive(tmp_path / "to", copy, original=original)
    assert path.read_bytes() == CONTENT and copy.exists() and server.asked == []


def test_what_is_there_but_wrong_is_replaced(tmp_path: Path, original: Original) -> None:
    (tmp_path / NAME).write_bytes(CONTENT[::-1])
    assert fetch_archive(tmp_path, original=original).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"x" * 10, r"it has 10 bytes, the archive has 2,304,000 bytes"),
        (CONTENT[::-1], r"it has SHA-256 \w{64}, the archive has SHA-256 \w{64}"),
        (None, "does not exist; give the archive"),
    ],
)
def test_a_wrong_copy_is_refused(tmp_path: Path, original: Original, content: bytes | None, why: str) -> None:
    copy = tmp_path / "copy"
    if content is not None:
        copy.write_bytes(content)
    with pytest.raises(FetchError, match=why):
        fetch_archive(tmp_path / "to", copy, original=original)
    assert files(tmp_path / "to") == []


def test_without_pooch_the_extra_is_named(tmp_path: Path, original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FetchError, match=r"pip install 'rnn-warmstart\[fetch\]'"):
        fetch_archive(tmp_path, original=original)


def test_the_command(tmp_path: Path, original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_archive, "__kwdefaults__", {"original": original, "progress": no_progress})
    good = CliRunner().invoke(app, ["fetch", "--to", str(tmp_path)])
    assert (good.exit_code, good.stdout.strip().endswith("is the original data set, complete and unchanged.")) == (
        0,
        True,
    )
    bad = CliRunner().invoke(app, ["fetch", "--from", str(tmp_path / "none"), "--to", str(tmp_path / "new")])
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert "none does not exist" in bad.stderr
