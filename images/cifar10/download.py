"""Fetch the official archive: resumable, with progress, and only kept when its sha256 is right."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cifar10.archive import MIB, Release
from cifar10.errors import TrainerError
from cifar10.report import Bar, Display, clock

ATTEMPTS_WITHOUT_PROGRESS = 3
TIMEOUT_SECONDS = 30
CHUNK = MIB // 4
OTHER_SOURCE = "give a mirror's URL with --mirror or CIFAR10_MIRROR, or the data itself with --data"


def download_archive(target: Path, display: Display, release: Release, mirror: str | None = None) -> None:
    """Download to `target` through `target`.part, which a later call continues.

    `mirror` is the archive's URL, or the URL of the directory it lies in. Proxies come from the environment.
    Raises TrainerError: unreachable, refused, disk full, or a sha256 that is not the release's.
    """
    url = archive_url(release, mirror)
    part = target.with_name(target.name + ".part")
    try:
        with _alone(target):
            if not target.exists():
                _download(url, part, target, display, release)
    except OSError as error:
        problem = f"cannot write {part}: {error.strerror or error}"
        raise TrainerError(problem, "give a --data directory that can be written and has room") from error


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold the data directory's lock: two runs that share it download once."""
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(url: str, part: Path, target: Path, display: Display, release: Release) -> None:
    _fetch(url, part, display)
    if (digest := _sha256(part)) != release.sha256:
        part.unlink()
        raise TrainerError(f"{url}: wrong content, sha256 {digest}, expected {release.sha256}", OTHER_SOURCE)
    part.replace(target)


def archive_url(release: Release, mirror: str | None) -> str:
    """The URL to fetch. Raises TrainerError for a mirror that is not http or https."""
    if not mirror:
        return release.url
    if not mirror.startswith(("http://", "https://")):
        raise TrainerError(f"the mirror {mirror!r} is not an http or https URL", OTHER_SOURCE)
    return mirror if mirror.endswith(".tar.gz") else f"{mirror.rstrip('/')}/{release.archive}"


def _fetch(url: str, part: Path, display: Display) -> None:
    """Continue `part` until it is complete; a cut connection is taken up again while each attempt brings something."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _continue(url, part, before, display)
        except urllib.error.HTTPError as error:
            if error.code != 416 or before == 0:
                raise TrainerError(f"{url}: the server answers {error.code} {error.reason}", OTHER_SOURCE) from error
            if _complete(error.headers.get("Content-Range"), before):
                return None
            part.unlink()
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as error:
            moved = part.exists() and part.stat().st_size > before
            failures = 0 if moved else failures + 1
            if failures == ATTEMPTS_WITHOUT_PROGRESS:
                reason = getattr(error, "reason", error)
                raise TrainerError(f"{url}: cannot be downloaded ({reason})", OTHER_SOURCE) from error
            time.sleep(failures)


def _continue(url: str, part: Path, offset: int, display: Display) -> None:
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - archive_url() allows http(s) only
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
        # A server that ignores Range answers 200 with the whole file: start again.
        start = offset if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else 0
        _check_space(part, total - start)
        with part.open("r+b" if start else "wb") as file, display.bar("download", total) as bar:
            file.seek(start)
            done = _copy(response, file, start, total, bar)
    if total and done < total:
        raise ConnectionError(f"the connection was cut at {done} of {total} bytes")


def _copy(response: http.client.HTTPResponse, file: BinaryIO, start: int, total: int, bar: Bar) -> int:
    """Copy to the end of the response; return the file position reached, in bytes."""
    done, begun = start, time.monotonic()
    while chunk := response.read1(CHUNK):
        file.write(chunk)
        done += len(chunk)
        rate = (done - start) / max(1e-3, time.monotonic() - begun)
        left = f"  {clock((total - done) / rate)} left" if total else ""
        bar.update(done, f"{done / MIB:.1f} of {total / MIB:.1f} MiB  {rate / MIB:.1f} MiB/s{left}")
    return done


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        problem = f"{part.parent}: {needed // MIB} MiB to download, {free // MIB} MiB free"
        raise TrainerError(problem, "free space or give another --data")


def _complete(content_range: str | None, size: int) -> bool:
    """Whether a 416 answer says that the file ends exactly where ours does."""
    return bool(content_range) and re.fullmatch(rf"bytes \*/{size}", content_range or "") is not None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()
