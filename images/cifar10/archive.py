"""The official files: their download, and the archive and the batch files of the Python and of the binary version."""

import errno
import fcntl
import hashlib
import http.client
import io
import pickle
import shutil
import ssl
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from cifar10.data import BadDataError, Split, Splits, checked_split, readable
from cifar10.errors import TrainerError
from cifar10.report import Bar

# https://www.cs.toronto.edu/~kriz/cifar.html; the md5 of each file as torchvision.datasets.CIFAR10 lists them.
ARCHIVE = "cifar-10-python.tar.gz"
URL, SIZE = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}", 170_498_071
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
# What the pickles name. numpy has moved its reconstruct between private modules, and may again.
NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
MIB = 1 << 20
ATTEMPTS_WITHOUT_PROGRESS, TIMEOUT_SECONDS = 3, 30
OTHER_SOURCE = "give a mirror's URL with --mirror or CIFAR10_MIRROR, or the data itself with --data"
CUT = (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError)


def read_archive(path: Path) -> Splits:
    """Load the official .tar.gz; its sha256 must match before a byte is parsed. Nothing is written to disk."""
    content = io.BytesIO(_verified(path, "sha256", SHA256))
    with readable(path, "archive"), tarfile.open(fileobj=content) as archive:
        # In its own order: to go back would be to unpack it from the start again.
        files = {member.name: file.read() for member in archive if (file := archive.extractfile(member))}
        return _joined(_parse(path / name, files[f"cifar-10-batches-py/{name}"]) for name in MD5)


def read_batches(paths: Sequence[Path]) -> Splits:
    """The six files of torchvision's layout, whose md5 must match, or of the binary one, which has no known digests."""
    contents = (path.read_bytes() if path.suffix else _verified(path, "md5", MD5[path.name]) for path in paths)
    return _joined(map(_parse, paths, contents))


def _verified(path: Path, algorithm: str, expected: str) -> bytes:
    content = path.read_bytes()
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if digest != expected:
        raise BadDataError(path, f"is not the official file: {algorithm} {digest}, expected {expected}")
    return content


class _Unpickler(pickle.Unpickler):
    """Answers to an array's three names alone, although the digest has already vouched for the content."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return NAMES[module, name]


def _parse(path: Path, content: bytes) -> Split:
    with readable(path, "CIFAR-10 batch"):
        if path.suffix == ".bin":  # records of a label and the pixels
            records = np.frombuffer(content, np.uint8).reshape(-1, 1 + 3072)
            labels, pixels = records[:, 0], records[:, 1:]
        else:
            batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
            labels, pixels = np.asarray(batch[b"labels"]), batch[b"data"]
        # A row of pixels holds 1,024 red, then green, then blue values.
        return checked_split(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels, path, "batch")


def _joined(batches: Iterable[Split]) -> Splits:
    *train, test = batches
    return Split(*(np.concatenate([getattr(batch, name) for batch in train]) for name in ("images", "labels"))), test


def download_archive(target: Path, mirror: str | None = None) -> None:
    """Download to `target` through `target`.part, which a later call continues; two calls at once download once.

    `mirror` is the archive's URL, or the URL of the directory it lies in. Proxies come from the environment.
    Raises TrainerError: unreachable, refused, disk full, or a sha256 that is not the official one.
    """
    url, part = archive_url(mirror), target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(f"{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            while not target.exists():
                part.touch()
                before, free = part.stat().st_size, shutil.disk_usage(part.parent).free
                if (missing := SIZE - before) > free:
                    raise OSError(errno.ENOSPC, f"{missing // MIB} MiB to come, {free // MIB} MiB free")
                _fetch(url, part)
                digest = hashlib.sha256(part.read_bytes()).hexdigest()
                if digest == SHA256:
                    part.replace(target)
                    return
                part.unlink()
                if not before:  # else its beginning may be of another file: once more, from nothing
                    raise TrainerError(f"{url}: wrong sha256 {digest}, expected {SHA256}", OTHER_SOURCE)
    except OSError as error:
        problem = f"cannot download to {part}: {error.strerror or error}"
        raise TrainerError(problem, "give a --data directory that can be written and has room") from error


def archive_url(mirror: str | None) -> str:
    """The URL to fetch. Raises TrainerError for a mirror that is not http or https."""
    url = mirror or URL
    if not url.startswith(("http://", "https://")):
        raise TrainerError(f"the mirror {url!r} is not an http or https URL", OTHER_SOURCE)
    return url if url.endswith(".tar.gz") else f"{url.rstrip('/')}/{ARCHIVE}"


def _fetch(url: str, part: Path) -> None:
    """Continue `part` to an answer's end; a cut connection is taken up again while each attempt brings something."""
    failures, units = 0, {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
    while (before := part.stat().st_size) < SIZE:
        request = urllib.request.Request(url, headers={"Range": f"bytes={before}-"} if before else {})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response, part.open("ab") as file:  # noqa: S310
                done = start = before if response.status == 206 else 0  # who ignores Range sends the whole file
                file.truncate(start)
                with Bar(desc="download", total=SIZE, initial=start, **units) as bar:
                    while done < SIZE and (chunk := response.read1(MIB // 4)):
                        bar.update(file.write(chunk))
                        done += len(chunk)
            if done - start >= int(response.headers.get("Content-Length") or 0):
                return  # whatever it is: the digest will tell
            cause = f"the connection was cut at {done} of {SIZE} bytes"
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # nothing follows there
                return
            raise TrainerError(f"{url}: the server answers {error.code} {error.reason}", OTHER_SOURCE) from error
        except CUT as error:
            cause = str(getattr(error, "reason", error))
        failures = 0 if part.stat().st_size > before else failures + 1
        if failures == ATTEMPTS_WITHOUT_PROGRESS:
            raise TrainerError(f"{url}: cannot be downloaded ({cause})", OTHER_SOURCE)
        time.sleep(failures)
