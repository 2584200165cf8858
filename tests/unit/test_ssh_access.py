"""The user's ssh files: added to, never rewritten; the real OpenSSH client reads what we write."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.access.laptop import laptop_instructions
from launcher.access.ssh import SshAccess
from launcher.errors import NotReadyError
from launcher.state import State

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhostkeyhostkeyhostkeyhostkeyhostkeyhost comment"
needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH client not installed")


@pytest.fixture
def access(tmp_path: Path) -> SshAccess:
    home = tmp_path / "home dir"
    home.mkdir()
    return SshAccess(State(home / ".local/state/gpu-launcher"), home)


def test_include_is_the_first_line_once_and_the_rest_is_untouched(access: SshAccess) -> None:
    config = access.home / ".ssh/config"
    config.parent.mkdir(mode=0o700)
    mine = "Host server\n    User ann\n# no newline at the end"
    config.write_text(mine)
    config.chmod(0o640)
    access.write("one", 2222, HOST_KEY)
    access.write("two", 2223, HOST_KEY)
    first, rest = config.read_text().split("\n", 1)
    assert first == f'Include "{access.directory}/config/*"'
    assert rest == mine
    assert config.stat().st_mode & 0o777 == 0o640


def test_a_symlinked_config_stays_a_symlink(access: SshAccess, tmp_path: Path) -> None:
    dotfile = tmp_path / "dotfiles-config"
    dotfile.write_text("Host a\n")
    (access.home / ".ssh").mkdir()
    (access.home / ".ssh/config").symlink_to(dotfile)
    access.write("one", 2222, HOST_KEY)
    assert (access.home / ".ssh/config").is_symlink()
    assert dotfile.read_text().endswith("Host a\n")


@needs_openssh
def test_openssh_resolves_the_host_block(access: SshAccess) -> None:
    access.write("one", 2345, HOST_KEY)
    listed = subprocess.run(
        ["ssh", "-G", "-F", str(access.directory / "config/one"), "one"], capture_output=True, text=True, check=True
    )
    settings = dict(line.split(" ", 1) for line in listed.stdout.splitlines())
    assert settings["hostname"] == "127.0.0.1" and settings["port"] == "2345" and settings["user"] == "user"
    assert settings["stricthostkeychecking"] == "true" and settings["identitiesonly"] == "yes"
    assert str(access.directory / "known_hosts/one") in settings["userknownhostsfile"]


def test_forget_removes_only_this_environment(access: SshAccess) -> None:
    access.write("one", 1, HOST_KEY)
    access.write("two", 2, HOST_KEY)
    access.forget("one")
    assert sorted(path.name for path in (access.directory / "config").iterdir()) == ["two"]
    access.forget("one")


def test_a_home_that_cannot_be_written_says_which_line_to_add(access: SshAccess) -> None:
    (access.home / ".ssh").write_text("a file where the directory belongs")
    with pytest.raises(NotReadyError) as caught:
        access.write("one", 1, HOST_KEY)
    assert "Include" in caught.value.next_step


def test_laptop_instructions_only_over_ssh(access: SshAccess) -> None:
    access.write("one", 8888, HOST_KEY)
    assert laptop_instructions("jupyter", "one", 8888, {}, access) is None
    environ = {"SSH_CONNECTION": "10.0.0.9 50000 10.0.0.1 22", "USER": "ann"}
    assert laptop_instructions("jupyter", "one", 8888, environ, access) == "ssh -N -L 8888:127.0.0.1:8888 ann@10.0.0.1"
    text = laptop_instructions("ssh", "one", 8888, environ, access) or ""
    assert "ProxyJump ann@10.0.0.1:22" in text and HOST_KEY.split()[1] in text


def test_an_ipv6_address_of_the_machine_is_written_so_that_the_port_is_told_from_it(access: SshAccess) -> None:
    access.write("one", 2222, HOST_KEY)
    environ = {"SSH_CONNECTION": "2001:db8::9 50000 2001:db8::1 2200", "USER": "ann"}
    text = laptop_instructions("ssh", "one", 2222, environ, access) or ""
    assert "ProxyJump ann@[2001:db8::1]:2200\n" in text
    tunnel = laptop_instructions("jupyter", "one", 8888, environ, access)
    assert tunnel == "ssh -N -L 8888:127.0.0.1:8888 -p 2200 ann@2001:db8::1"


CONFIGURATIONS = {
    "nothing else": b"",
    "no newline at the end": b"Host server\n    User ann",
    "line ends of Windows": b"Host server\r\n    User ann\r\n",
    "bytes of no encoding": b"# caf\xe9 \x0c\x1c\xff\nHost a\n",
    "another Include": b'Include "/elsewhere/gpu-launcher/ssh/config/*"\nHost a\n',
    "a very similar comment": b"# Include gpu-launcher\n",
}


@pytest.mark.parametrize("mine", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_taking_the_include_line_out_gives_back_the_same_bytes(access: SshAccess, mine: bytes) -> None:
    config = access.home / ".ssh/config"
    config.parent.mkdir(mode=0o700)
    config.write_bytes(mine)
    config.chmod(0o640)
    access.write("one", 2222, HOST_KEY)
    assert access.is_included() and config.read_bytes() != mine
    access.exclude()
    assert config.read_bytes() == mine and not access.is_included()
    assert config.stat().st_mode & 0o777 == 0o640
    access.exclude()
    assert config.read_bytes() == mine


def test_the_include_line_is_taken_out_behind_a_symlink_too(access: SshAccess, tmp_path: Path) -> None:
    dotfile = tmp_path / "dotfiles-config"
    dotfile.write_text("Host a\n")
    (access.home / ".ssh").mkdir()
    (access.home / ".ssh/config").symlink_to(dotfile)
    access.write("one", 2222, HOST_KEY)
    access.exclude()
    assert (access.home / ".ssh/config").is_symlink() and dotfile.read_text() == "Host a\n"


def test_without_a_configuration_there_is_nothing_to_take_out(access: SshAccess) -> None:
    access.exclude()
    assert not access.is_included() and not (access.home / ".ssh").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to own a file for somebody else")
def test_root_leaves_a_users_file_the_users(access: SshAccess) -> None:
    config = access.home / ".ssh/config"
    config.parent.mkdir()
    config.write_text("Host a\n")
    os.chown(config, 1234, 1235)
    access.write("one", 2222, HOST_KEY)
    access.exclude()
    assert (config.stat().st_uid, config.stat().st_gid) == (1234, 1235)
