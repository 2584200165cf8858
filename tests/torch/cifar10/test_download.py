"""Downloads, from a server on loopback that can cut connections, ignore ranges or answer with errors."""

from __future__ import annotations

import re
import resource
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("torch")

from cifar10 import archive
from cifar10.archive import URL, archive_url, download_archive
from cifar10.errors import TrainerError


class Server(ThreadingHTTPServer):
    """Serves `content`; `cut_after` bytes of an answer it drops the connection, `cuts` times."""

    content = b""
    cut_after = 0
    cuts = 0
    ranges = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/pub"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and server.ranges else 0
        size = len(server.content)
        if start >= size > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        if server.status != 200 or not self.path.endswith("/pub/cifar-10-python.tar.gz"):
            self.send_error(server.status if server.status != 200 else 404)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        body = server.content[start:]
        if server.cuts:
            server.cuts -= 1
            body = body[: server.cut_after]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def published(server: Server, publish: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny archive is the official one, and on the server; no waiting between attempts."""
    server.content = publish()
    monkeypatch.setattr("cifar10.archive.time.sleep", lambda _: None)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cifar-10-python.tar.gz"


def test_download_is_complete_and_leaves_no_part(server: Server, published: None, target: Path) -> None:
    download_archive(target, server.url)
    assert target.read_bytes() == server.content
    assert not target.with_name(target.name + ".part").exists()


def test_cut_connections_are_continued_where_they_broke(server: Server, published: None, target: Path) -> None:
    server.cuts, server.cut_after = 5, 20_000
    download_archive(target, server.url)
    assert target.read_bytes() == server.content
    assert server.asked == [None, *(f"bytes={20_000 * n}-" for n in range(1, 6))]


# Bytes of an earlier run's part: what it holds, what is asked of the server then.
PARTS = {
    "nothing": (lambda content: b"", [None]),
    "a beginning": (lambda content: content[:1234], ["bytes=1234-"]),
    "all of it": (lambda content: content, []),
    "too much": (lambda content: content + b"?" * 7, [None]),
    "a beginning of another file": (lambda content: b"?" * 1234, ["bytes=1234-", None]),
    "another file": (lambda content: content[:-1] + b"?", [None]),
}


@pytest.mark.parametrize("part", PARTS)
def test_part_of_an_earlier_run_is_continued_where_it_can_be(
    part: str, server: Server, published: None, target: Path
) -> None:
    make, asked = PARTS[part]
    target.with_name(target.name + ".part").write_bytes(make(server.content))
    download_archive(target, server.url)
    assert target.read_bytes() == server.content
    assert server.asked == asked


def test_server_without_ranges_is_started_again(server: Server, published: None, target: Path) -> None:
    server.ranges = False
    target.with_name(target.name + ".part").write_bytes(b"?" * 7)
    download_archive(target, server.url)
    assert target.read_bytes() == server.content
    assert len(server.asked) == 1


def test_server_without_ranges_that_always_cuts_is_given_up(server: Server, published: None, target: Path) -> None:
    server.ranges, server.cuts, server.cut_after = False, 1000, 20_000
    with pytest.raises(TrainerError, match="cut at 20000 of"):
        download_archive(target, server.url)
    assert len(server.asked) == 4


@pytest.mark.parametrize("ranges", [True, False])
def test_an_answer_that_is_something_else_is_refused_after_it_came_whole(
    ranges: bool, server: Server, published: None, target: Path
) -> None:
    """A portal's or a proxy's page with status 200."""
    server.content, server.ranges = b"<html>please log in</html>", ranges
    with pytest.raises(TrainerError, match="wrong sha256"):
        download_archive(target, server.url)
    assert len(server.asked) == 1
    assert not target.with_name(target.name + ".part").exists()


def test_part_beyond_the_end_of_another_mirrors_file_is_not_kept(server: Server, published: None, target: Path) -> None:
    target.with_name(target.name + ".part").write_bytes(b"?" * 1000)
    server.content = b"short"
    with pytest.raises(TrainerError, match="wrong sha256"):
        download_archive(target, server.url)
    assert server.asked == ["bytes=1000-", None]
    assert not target.with_name(target.name + ".part").exists()


def test_wrong_content_is_refused_and_not_kept(server: Server, published: None, target: Path) -> None:
    server.content = server.content[:-1] + b"?"
    with pytest.raises(TrainerError, match=f"sha256 .* expected {archive.SHA256}"):
        download_archive(target, server.url)
    assert not target.exists()
    assert not target.with_name(target.name + ".part").exists()


def test_server_that_only_cuts_is_given_up(server: Server, published: None, target: Path) -> None:
    server.cuts, server.cut_after = 1000, 0
    with pytest.raises(TrainerError, match="cannot be downloaded"):
        download_archive(target, server.url)
    assert len(server.asked) == 3


def test_two_runs_at_once_download_once(server: Server, published: None, target: Path) -> None:
    runs = [threading.Thread(target=download_archive, args=(target, server.url)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert target.read_bytes() == server.content
    assert len(server.asked) == 1


def test_progress_names_bytes_and_time_left(
    server: Server, published: None, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cifar10.report.PIPE_INTERVAL", 0.0)
    download_archive(target, server.url)
    assert re.search(
        r"download  \d+ %  [\d.]+[kM]/[\d.]+[kM]B  [\d.]+[kM]?B/s  \d\d:\d\d left", capsys.readouterr().err
    )


def test_no_space_is_said_before_the_download(
    server: Server, published: None, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The full disk is simulated: shutil.disk_usage reports no free byte."""

    class Full:
        free = 0

    monkeypatch.setattr("cifar10.archive.shutil.disk_usage", lambda _: Full)
    with pytest.raises(TrainerError, match=f"{target}.part: .* MiB to come, 0 MiB free"):
        download_archive(target, server.url)
    assert target.with_name(target.name + ".part").stat().st_size == 0


def test_disk_that_fills_meanwhile_is_said_and_the_part_is_continued(
    server: Server, published: None, target: Path
) -> None:
    """A limit on the size of files stands for the full disk: writes beyond it fail for real."""
    part, (soft, hard) = target.with_name(target.name + ".part"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(TrainerError, match=f"cannot download to {part}: File too large") as caught:
            download_archive(target, server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "has room" in caught.value.next_step
    size = part.stat().st_size
    assert 0 < size <= 300_000
    download_archive(target, server.url)
    assert server.asked == [None, f"bytes={size}-"]
    assert target.read_bytes() == server.content


def test_directory_that_cannot_be_written_is_named(server: Server, cli: Callable) -> None:
    Path("data").mkdir(mode=0o500)
    outcome = cli("train", "--device", "cpu", "--data", "data", "--mirror", server.url)
    outcome.assert_failed(1, "data/cifar-10-python.tar.gz", "Permission denied", "--data")
    assert server.asked == []


def test_proxy_of_the_environment_is_used(
    server: Server, published: None, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server plays the proxy; the mirror's name resolves nowhere."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setattr("urllib.request._opener", None)  # made on first use, with the proxies of that time
    download_archive(target, "http://mirror.invalid/pub")
    assert target.read_bytes() == server.content


@pytest.mark.parametrize("status", [403, 404, 500])
def test_command_line_reports_a_server_error(status: int, server: Server, cli: Callable, tmp_path: Path) -> None:
    server.status = status
    outcome = cli("train", "--device", "cpu", "--data", tmp_path / "data", "--mirror", server.url, "--out", "run")
    outcome.assert_failed(1, str(status), server.url, "--mirror")
    assert len(server.asked) == 1
    assert not Path("run").exists()


def test_command_line_reports_a_dead_mirror_from_the_environment(
    server: Server, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar10.archive.time.sleep", lambda _: None)
    server.server_close()  # its port answers nobody now
    monkeypatch.setenv("CIFAR10_MIRROR", server.url)
    cli("train", "--device", "cpu", "--data", "data").assert_failed(1, server.url, "refused", "CIFAR10_MIRROR")


def test_mirror_is_a_directory_or_the_archive_itself(published: None) -> None:
    assert archive_url(None) == URL
    assert archive_url("https://example.org/pub/") == "https://example.org/pub/cifar-10-python.tar.gz"
    assert archive_url("https://example.org/a.tar.gz") == "https://example.org/a.tar.gz"
    for mirror in ("file:///etc/passwd", "example.org/pub"):
        with pytest.raises(TrainerError, match=f"{mirror}.* not an http"):
            archive_url(mirror)
