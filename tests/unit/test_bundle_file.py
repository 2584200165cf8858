"""A bundle is written whole or not at all, and nothing damaged is ever given to an engine."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.bundle_file import BundledImage, Manifest, write_bundle
from launcher.bundle_read import Bundle, open_bundle
from launcher.errors import LauncherError, NotReadyError, UsageError

IMAGES = os.urandom(300_000) + bytes(400_000)
MANIFEST = Manifest(
    "0.1.0", (BundledImage("ssh", ("gpu-launcher/ssh:cu128-abc", "gpu-launcher/ssh:cu128"), "abc", 700_000),)
)


def chunks() -> Iterator[bytes]:
    for place in range(0, len(IMAGES), 99_999):
        yield IMAGES[place : place + 99_999]


def opened(path: Path) -> Bundle:
    return open_bundle(path, iter)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle.tar", MANIFEST, chunks(), compress=True)
    return tmp_path / "bundle.tar"


@pytest.mark.parametrize("compress", [True, False])
def test_what_was_written_is_read_again(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "bundle.tar"
    size = write_bundle(path, MANIFEST, chunks(), compress)
    bundle = opened(path)
    assert bundle.manifest == MANIFEST and b"".join(bundle.images()) == IMAGES
    assert size == path.stat().st_size and (size < 400_000) is compress
    assert [p.name for p in tmp_path.iterdir()] == ["bundle.tar"]


def test_other_programs_can_read_it(written: Path) -> None:
    command = f"tar xOf '{written}' images.tar.gz | gzip -dc"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (IMAGES, b"")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.01, 0.3, 0.7, 0.95, 0.99, 0.995])
def test_a_bundle_that_was_cut_short_is_refused(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(LauncherError):
        opened(written)


@pytest.mark.parametrize("place", [600, 2000, 150_000, -3000, -2048])
def test_one_changed_byte_is_noticed(written: Path, place: int) -> None:
    """In the manifest, in the images and in the checksum."""
    content = bytearray(written.read_bytes())
    content[place] ^= 1
    written.write_bytes(content)
    with pytest.raises(LauncherError):
        opened(written)


def archive(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        made.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


FOREIGN = {
    "nothing": b"",
    "text": b"hello\n" * 1000,
    "what docker save writes": archive("manifest.json"),
    "another archive": archive("bundle"),
    "gzip": b"\x1f\x8b\x08\x00" + os.urandom(5000),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_kind_is_told_apart_from_a_damaged_bundle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError, match="is no bundle"):
        opened(tmp_path / "file")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_what_cannot_be_read_is_said(tmp_path: Path, make: object) -> None:
    make(tmp_path / "file")  # type: ignore[operator]
    with pytest.raises(UsageError, match="cannot read"):
        opened(tmp_path / "file")


def test_a_later_format_is_refused_and_says_so(tmp_path: Path) -> None:
    class Later(Manifest):
        def encode(self) -> bytes:
            return b'{"launcher": "9", "schema_version": 9, "images": [{"new": 1}]}'

    write_bundle(tmp_path / "file", Later("9", ()), chunks(), compress=False)
    with pytest.raises(UsageError, match="another version"):
        opened(tmp_path / "file")


def broken_engine() -> Iterable[bytes]:
    yield IMAGES[:1000]
    raise LauncherError("the engine went away", "Start it.")


def test_a_failure_leaves_the_old_file_and_no_half_one(written: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(written.read_bytes()).digest()
    with pytest.raises(LauncherError, match="went away"):
        write_bundle(written, MANIFEST, broken_engine(), compress=True)
    assert hashlib.sha256(written.read_bytes()).digest() == before
    assert [p.name for p in tmp_path.iterdir()] == ["bundle.tar"]


@pytest.mark.skipif(not Path("/dev/full").exists() or os.getuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """In a mount namespace of its own: a file system of 64 kB."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from launcher.bundle_file import Manifest, write_bundle\n"
        "from launcher.errors import NotReadyError\n"
        "import os\n"
        "try: write_bundle(Path(sys.argv[2]) / 'b', Manifest('1', ()), [os.urandom(500000)], True)\n"
        "except NotReadyError as error: print(error.cause, os.listdir(sys.argv[2]))\n"
    )
    root = Path(__file__).parent.parent.parent
    mount = f'mount -t tmpfs -o size=64k none "{tmp_path}" && exec "$0" -I -c "$1" "$2" "{tmp_path}"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, sys.executable, program, str(root)], capture_output=True, text=True
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.stdout == f"cannot write {tmp_path}/b: No space left on device []\n", done.stderr


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReadyError, match="cannot write"):
        write_bundle(tmp_path / "file/bundle", MANIFEST, chunks(), compress=True)


def test_a_manifest_survives_its_own_encoding() -> None:
    assert Manifest.decode(MANIFEST.encode()) == MANIFEST
    assert Manifest.decode(replace(MANIFEST, images=()).encode()).images == ()
