"""Fetch the official archive: resumable, with progress, and only kept when its sha256 is right."""

import errno
import fcntl
import hashlib
import http.client
import shutil
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

from cifar10.archive import ARCHIVE, Release
from cifar10.errors import TrainerError
from cifar10.report import Display, clock

MIB = 1 << 20
ATTEMPTS_WITHOUT_PROGRESS = 3
TIMEOUT_SECONDS = 30
OTHER_SOURCE = "give a mirror's URL with --mirror or CIFAR10_MIRROR, or the data itself with --data"
CUT = (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError)


def download_archive(target: Path, display: Display, release: Release, mirror: str | None = None) -> None:
    """Download to `target` through `target`.part, which a later call continues; two calls at once download once.

    `mirror` is the archive's URL, or the URL of the directory it lies in. Proxies come from the environment.
    Raises TrainerError: unreachable, refused, disk full, or a sha256 that is not the release's.
    """
    url, part = archive_url(release, mirror), target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(f"{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            while not target.exists():
                part.touch()
                continued = part.stat().st_size > 0
                _fetch(url, part, display)
                digest = hashlib.sha256(part.read_bytes()).hexdigest()
                if digest == release.sha256:
                    part.replace(target)
                    return
                part.unlink()
                if not continued:  # else its beginning may be of another file: once more, from nothing
                    raise TrainerError(f"{url}: wrong sha256 {digest}, expected {release.sha256}", OTHER_SOURCE)
    except OSError as error:
        problem = f"cannot download to {part}: {error.strerror or error}"
        raise TrainerError(problem, "give a --data directory that can be written and has room") from error


def archive_url(release: Release, mirror: str | None) -> str:
    """The URL to fetch. Raises TrainerError for a mirror that is not http or https."""
    url = mirror or release.url
    if not url.startswith(("http://", "https://")):
        raise TrainerError(f"the mirror {url!r} is not an http or https URL", OTHER_SOURCE)
    return url if url.endswith(".tar.gz") else f"{url.rstrip('/')}/{ARCHIVE}"


def _fetch(url: str, part: Path, display: Display) -> None:
    """Continue `part` until it is complete; a cut connection is taken up again while each attempt brings something."""
    failures = 0
    while True:
        before = part.stat().st_size
        try:
            return _continue(url, part, before, display)
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # nothing follows; the digest will tell whether it is whole
                return None
            raise TrainerError(f"{url}: the server answers {error.code} {error.reason}", OTHER_SOURCE) from error
        except CUT as error:
            failures = 0 if part.stat().st_size > before else failures + 1
            if failures == ATTEMPTS_WITHOUT_PROGRESS:
                reason = getattr(error, "reason", error)
                raise TrainerError(f"{url}: cannot be downloaded ({reason})", OTHER_SOURCE) from error
            time.sleep(failures)


def _continue(url: str, part: Path, offset: int, display: Display) -> None:
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - archive_url() allows http(s) only
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
        done = start = offset if response.status == 206 else 0  # a server that ignores Range sends the whole file
        total, begun = start + int(response.headers.get("Content-Length") or 0), time.monotonic()
        if total - start > (free := shutil.disk_usage(part.parent).free):
            raise OSError(errno.ENOSPC, f"{(total - start) // MIB} MiB to come, {free // MIB} MiB free")
        with part.open("ab") as file, display.bar("download", total) as bar:
            file.truncate(start)
            while chunk := response.read1(MIB // 4):
                done += file.write(chunk)
                rate = (done - start) / (time.monotonic() - begun)
                amount = f"{done / MIB:.1f} of {total / MIB:.1f} MiB  {rate / MIB:.1f} MiB/s"
                bar.update(done, f"{amount}  {clock(max(0, total - done) / rate)} left")
    if done < total:
        raise ConnectionError(f"the connection was cut at {done} of {total} bytes")
