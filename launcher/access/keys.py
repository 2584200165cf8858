"""SSH keys: the launcher's own pair, and whose public keys an environment accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import NotReadyError, UsageError
from launcher.host import home_directory
from launcher.state import State, write_atomically

PUBLIC_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" ([A-Za-z0-9+/]+=*)(?: .*)?"
)
# Large enough for a long authorized_keys file; what is larger was named by mistake.
KEY_FILE_BYTES = 1 << 20
AGENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key: OpenSSH private text, and the public line."""

    private: bytes
    public: bytes


def generate_key(comment: str) -> KeyPair:
    """Make a key with ssh-keygen; raises NotReadyError where OpenSSH's client is not installed or refuses to."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise NotReadyError(
            "ssh-keygen is not installed", "Install OpenSSH's client: sudo apt-get install openssh-client"
        )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "key"
        command = [program, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            # OpenSSH does nothing for a uid that is not in the user database, logging in included.
            raise NotReadyError(
                f"ssh-keygen cannot make a key: {said}", "Correct that (see: id), or use --mode jupyter"
            )
        return KeyPair(path.read_bytes(), path.with_suffix(".pub").read_bytes())


def client_key(state: State) -> Path:
    """The launcher's own private key, made on first use; the public one lies beside it."""
    path = state.subdirectory("ssh") / "id_ed25519"
    if not path.exists() or not path.with_suffix(".pub").exists():
        pair = generate_key("gpu-launcher")
        write_atomically(path.with_suffix(".pub"), pair.public, 0o644)
        write_atomically(path, pair.private)
    return path


def accepted_keys(state: State, environ: Mapping[str, str], given: Sequence[str] = ()) -> bytes:
    """authorized_keys: the launcher's key, those `given`, the agent's, the caller's, and who may log in as the caller.

    `given` are lines of read_key_file. Found lines that are not plain public keys are left out: an option such as
    command= is a promise about another machine.
    """
    home = home_directory(environ)
    found = _lines_of(client_key(state).with_suffix(".pub"))
    found += [*given, *agent_keys(environ)]
    for path in (*sorted((home / ".ssh").glob("*.pub")), home / ".ssh/authorized_keys"):
        found += _lines_of(path)
    return "".join(f"{line}\n" for line in dict.fromkeys(found) if is_public_key(line)).encode()


def _lines_of(path: Path) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        return [line.strip() for line in path.read_text().splitlines()]
    return []


def agent_keys(environ: Mapping[str, str]) -> list[str]:
    """The public keys that the caller's agent holds; none where no agent answers in time."""
    program = shutil.which("ssh-add", path=environ.get("PATH"))
    if program is None or not environ.get("SSH_AUTH_SOCK"):
        return []
    with suppress(OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        done = subprocess.run(
            [program, "-L"], env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=AGENT_SECONDS
        )
        return done.stdout.decode().splitlines() if done.returncode == 0 else []
    return []


def is_public_key(line: str) -> bool:
    """True for `TYPE BASE64 [COMMENT]` whose content says the same type: RFC 4253, section 6.6."""
    match = PUBLIC_KEY.fullmatch(line)
    if match is None:
        return False
    with suppress(NotBase64):
        fields = _fields(b64decode(match[2], validate=True))
        return len(fields) > 1 and fields[0] == match[1].encode()
    return False


def _fields(content: bytes) -> list[bytes]:
    """The strings, each after its length of four bytes, that make up a key; none where one is cut short."""
    found = []
    while content:
        length = int.from_bytes(content[:4], "big")
        if len(content) < 4 + length:
            return []
        found.append(content[4 : 4 + length])
        content = content[4 + length :]
    return found


def read_key_files(paths: Iterable[str | Path]) -> tuple[str, ...]:
    """The public keys in the files of --key, one a line; raises UsageError, which never shows what a file holds."""
    return tuple(line for path in paths for line in read_key_file(Path(path)))


def read_key_file(path: Path) -> list[str]:
    """The public keys of one file; empty lines and comments are left out. Raises UsageError."""
    try:
        if not path.is_file():
            kind = "is a directory" if path.is_dir() else "is not there"
            raise UsageError(
                f"the key file {path} {kind}", "Give the file that ends in .pub, such as ~/.ssh/id_ed25519.pub"
            )
        with path.open("rb") as file:
            content = file.read(KEY_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the key file {path} cannot be read: {error.strerror}", "Check its permissions.") from None
    if b"PRIVATE KEY" in content:
        raise UsageError(f"{path} is a private key, which must stay with you", f"Give the public one: --key {path}.pub")
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    wrong = next((number for number, line in enumerate(lines, 1) if line in keys and not is_public_key(line)), None)
    if wrong is not None or not keys or len(content) > KEY_FILE_BYTES:
        where = f"line {wrong} of {path}" if wrong is not None and len(content) <= KEY_FILE_BYTES else str(path)
        raise UsageError(f"{where} is no public key", "Give a file such as ~/.ssh/id_ed25519.pub, without options.")
    return keys
