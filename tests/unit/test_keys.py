"""Whose public keys an environment accepts: files of --key, the agent, ~/.ssh; never a private key."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.access.keys import KeyPair, accepted_keys, agent_keys, generate_key, is_public_key, read_key_files
from launcher.errors import UsageError
from launcher.state import State

needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH client not installed")
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJrqtTS9V8CJFc6nFhYRBc4YuJNSyJMmGNkTj3VJLGN"
SECOND = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDHB4G3kB0GqRYJZKQGSLmbvqpb9Qw1Qq1lV9cVdZvZr"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0IHNlY3JldCBzZWNyZXQ=\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        (ED25519, True),
        (f"{ED25519} ann@laptop with spaces", True),
        (ED25519.replace("ssh-ed25519 ", "ssh-rsa "), False),  # the type is not the content's
        (ED25519[:40], False),
        ("ssh-ed25519 AAAA", False),
        ("ssh-ed25519 !!!!", False),
        (f'command="/bin/false" {ED25519}', False),
        ("", False),
        ("ssh-ed25519", False),
    ],
)
def test_a_public_key_is_known_by_its_content(line: str, accepted: bool) -> None:
    assert is_public_key(line) is accepted


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (ED25519, [ED25519]),
        (f"{ED25519} ann\r\n", [f"{ED25519} ann"]),
        (f"# mine\n\n{ED25519}\n{SECOND} two\n", [ED25519, f"{SECOND} two"]),
    ],
)
def test_files_given_with_line_ends_of_any_system_and_several_keys(
    tmp_path: Path, content: str, keys: list[str]
) -> None:
    (tmp_path / "key.pub").write_bytes(content.encode())
    assert list(read_key_files([tmp_path / "key.pub"])) == keys


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PRIVATE, "private key"),
        (f"{ED25519}\n{PRIVATE}", "private key"),
        (f"{ED25519}\njunk secret\n", r"line 2 of .* is no public key"),
        ("", "no public key"),
        ("# only a note\n", "no public key"),
        (f"{ED25519}\n" * 20_000, "no public key"),
        ("\x00\xff" * 100, "no public key"),
    ],
)
def test_what_is_no_public_key_is_refused_and_never_shown(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "key").write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=said) as caught:
        read_key_files([tmp_path / "key"])
    assert "secret" not in str(caught.value.cause + caught.value.next_step)
    assert "c2VjcmV0" not in caught.value.cause + caught.value.next_step


def test_a_directory_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        read_key_files([tmp_path])
    with pytest.raises(UsageError, match="is not there"):
        read_key_files([tmp_path / "absent.pub"])


@pytest.fixture
def mine() -> KeyPair:
    return generate_key("ann@laptop")


@needs_openssh
def test_accepted_keys_are_public_and_plain(tmp_path: Path, mine: KeyPair) -> None:
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "id_ed25519").write_bytes(mine.private)
    (ssh / "id_ed25519.pub").write_bytes(mine.public)
    (ssh / "authorized_keys").write_bytes(b'command="/bin/false" ' + mine.public + b"junk\n\n# note\r\n" + mine.public)
    (ssh / "stolen.pub").write_bytes(mine.private)
    accepted = accepted_keys(State(tmp_path / "state"), {"HOME": str(tmp_path)}, [ED25519])
    lines = accepted.decode().splitlines()
    assert mine.public.decode().strip() in lines and ED25519 in lines
    assert len(lines) == 3 and all(line.startswith("ssh-ed25519 ") for line in lines)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real ssh-agent of this test's own; gives the environment that leads to it."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SSH_AUTH_SOCK": str(socket)}
    environ["SSH_AGENT_PID"] = str(process.pid)
    try:
        while subprocess.run(["ssh-add", "-L"], env=environ, capture_output=True).returncode == 2:
            assert process.poll() is None
        yield environ
    finally:
        process.terminate()
        process.wait()


@needs_openssh
def test_the_agents_keys_are_accepted(agent: dict[str, str], mine: KeyPair, tmp_path: Path) -> None:
    assert agent_keys(agent) == [], "an empty agent says a sentence, which is no key"
    subprocess.run(["ssh-add", "-q", "-"], input=mine.private, env=agent, check=True)
    assert agent_keys(agent) == [mine.public.decode().strip()]
    assert mine.public in accepted_keys(State(tmp_path / "state"), agent)


@needs_openssh
def test_an_agent_that_hangs_or_is_gone_is_not_waited_for(
    agent: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agent_keys({**agent, "SSH_AUTH_SOCK": str(tmp_path / "absent")}) == []
    monkeypatch.setattr("launcher.access.keys.AGENT_SECONDS", 0.2)
    pid = int(agent["SSH_AGENT_PID"])
    os.kill(pid, signal.SIGSTOP)
    try:
        assert agent_keys(agent) == []
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_uid_that_has_no_user_is_told_what_ssh_keygen_says() -> None:
    """The real ssh-keygen, run as a uid that the user database does not know."""
    if os.getuid() != 0:
        pytest.skip("only root may become another uid")
    program = (
        "import os\n"
        "from launcher.access.keys import generate_key\n"
        "from launcher.errors import NotReadyError\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
        "try: generate_key('x')\n"
        "except NotReadyError as error: print(error, error.next_step)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert "No user exists for uid 54321" in done.stdout and "--mode jupyter" in done.stdout
