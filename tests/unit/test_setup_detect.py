"""detect() over a simulated root directory and a simulated engine; ask_engine over real Unix sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.errors import LauncherError, NotReadyError, TimedOutError
from launcher.progress import Progress
from launcher.setup.detect import SetupFacts, detect
from launcher.setup.perform import ensure_engine, perform
from launcher.setup.probe import Answer, EngineState, ask_engine
from launcher.setup.steps import SetupPlan, Step


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A simulated Debian 12 without systemd, engine and card."""
    write(tmp_path, "etc/os-release", 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    for program in ("usr/bin/apt-get", "usr/bin/ssh"):
        write(tmp_path, program, "")
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def absent(url: str, path: str) -> Answer:
    return Answer(EngineState.ABSENT)


def look(root: Path, ask: Callable[[str, str], Answer] = absent, **environ: str) -> SetupFacts:
    return detect(root, {"HOME": "/nonexistent", **environ}, ask=ask, is_root=True, free_bytes=lambda path: 42)


def test_bare_debian(root: Path) -> None:
    facts = look(root)
    assert (facts.distribution, facts.version, facts.codename) == ("debian", "12", "bookworm")
    assert facts.apt and facts.ssh_client and not facts.systemd and not facts.sudo
    assert facts.engine is EngineState.ABSENT and facts.engine_is_local
    assert facts.engine_packages == () and facts.engine_programs == () and facts.other_sockets == ()
    assert not facts.driver and not facts.toolkit
    assert (facts.data_root, facts.free_bytes) == ("/var/lib/docker", 42)


def test_card_driver_and_toolkit(root: Path) -> None:
    device = "sys/bus/pci/devices/0000:01:00.0"
    for name, text in {"vendor": "0x10de\n", "class": "0x030000\n", "device": "0x2684\n"}.items():
        write(root, f"{device}/{name}", text)
    facts = look(root)
    assert facts.card and not facts.driver and "0000:01:00.0" in facts.card_evidence[0]
    write(root, "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module\n")
    write(root, "usr/bin/nvidia-ctk", "")
    write(root, "etc/docker/daemon.json", '{"runtimes": {"nvidia": {"path": "x"}}, "data-root": "/big"}')
    write(root, "var/run/cdi/nvidia.yaml", "kind: nvidia.com/gpu\n")
    facts = look(root)
    assert facts.driver and facts.toolkit and facts.runtime_configured and facts.cdi_specification
    assert facts.data_root == "/big"


def test_broken_daemon_json_is_survived(root: Path) -> None:
    write(root, "etc/docker/daemon.json", "{")
    assert not look(root).runtime_configured


def test_engines_of_others_are_seen(root: Path) -> None:
    write(root, "var/lib/dpkg/status", "Package: docker-ce\nStatus: install ok installed\n")
    write(root, "usr/bin/dockerd", "")
    write(root, "usr/bin/podman", "")
    write(root, "run/user/7/docker.sock", "")
    facts = look(root, XDG_RUNTIME_DIR="/run/user/7")
    assert facts.engine_packages == ("docker-ce",)
    assert facts.engine_programs == ("/usr/bin/dockerd", "/usr/bin/podman")
    assert facts.other_sockets == ("/run/user/7/docker.sock",)


def test_docker_host_is_the_engine_that_is_asked(root: Path) -> None:
    asked = []

    def ask(url: str, path: str) -> Answer:
        asked.append(url)
        return Answer(EngineState.DEAD)

    facts = look(root, ask, DOCKER_HOST="tcp://lab:2375")
    assert asked == ["tcp://lab:2375"]
    assert (facts.engine_source, facts.engine_is_local) == ("DOCKER_HOST", False)


def test_running_containers_and_images_are_counted(root: Path) -> None:
    def ask(url: str, path: str) -> Answer:
        return Answer(EngineState.ANSWERS, [{}, {}] if path == "/containers/json" else [])

    facts = look(root, ask)
    assert facts.running_containers == 2 and not facts.image


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bytes | None], str]]:
    """A simulated engine on a real socket: answers every request with the bytes, never when there are none."""
    servers = []

    def start(answer: bytes | None) -> str:
        server = socket.socket(socket.AF_UNIX)
        path = tmp_path / "docker.sock"
        server.bind(str(path))
        server.listen()
        servers.append(server)
        if answer is not None:
            threading.Thread(target=respond, args=(server, answer), daemon=True).start()
        return f"unix://{path}"

    yield start
    for server in servers:
        server.close()


def respond(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.recv(4096)
        connection.sendall(answer)
        connection.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"


def test_an_engine_that_answers(serve: Callable[[bytes | None], str]) -> None:
    assert ask_engine(serve(OK)).state is EngineState.ANSWERS


def test_a_socket_that_accepts_and_says_nothing_hangs(serve: Callable[[bytes | None], str]) -> None:
    assert ask_engine(serve(None), timeout=0.1).state is EngineState.HANGS


def test_a_server_that_is_no_engine_counts_as_dead(serve: Callable[[bytes | None], str]) -> None:
    assert ask_engine(serve(b"SSH-2.0-OpenSSH_9.2\r\n")).state is EngineState.DEAD


def test_a_socket_file_without_a_server_is_dead(tmp_path: Path) -> None:
    abandoned = socket.socket(socket.AF_UNIX)
    abandoned.bind(str(tmp_path / "s"))
    abandoned.close()
    assert ask_engine(f"unix://{tmp_path}/s").state is EngineState.DEAD


def test_no_socket_is_absent_and_ssh_cannot_be_asked(tmp_path: Path) -> None:
    assert ask_engine(f"unix://{tmp_path}/none").state is EngineState.ABSENT
    assert ask_engine("ssh://lab").state is EngineState.UNKNOWN


def test_ensure_engine_returns_when_one_answers(serve: Callable[[bytes | None], str]) -> None:
    ensure_engine(Progress(), consent=None, environ={"DOCKER_HOST": serve(OK)})


def test_ensure_engine_names_the_endpoint_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="DOCKER_HOST names") as caught:
        ensure_engine(Progress(), consent=True, environ={"DOCKER_HOST": f"unix://{tmp_path}/none"})
    assert caught.value.code == 3


@pytest.mark.parametrize(
    ("state", "error", "code", "cause_id"),
    [
        (EngineState.REFUSES, NotReadyError, 3, "docker-permission-denied"),
        (EngineState.HANGS, TimedOutError, 5, "docker-daemon-unreachable"),
    ],
)
def test_ensure_engine_never_installs_beside_an_engine(
    monkeypatch: pytest.MonkeyPatch, state: EngineState, error: type[LauncherError], code: int, cause_id: str
) -> None:
    """The socket's answer is simulated."""
    monkeypatch.setattr("launcher.setup.perform.ask_engine", lambda url: Answer(state))
    monkeypatch.setattr("launcher.setup.perform.perform", lambda *_: pytest.fail("something was run"))
    with pytest.raises(error) as caught:
        ensure_engine(Progress(), consent=True, environ={"HOME": "/nonexistent"})
    assert (caught.value.code, caught.value.cause_id) == (code, cause_id)


PLAN = SetupPlan((Step("Make a file", ("sh", "-c", "exit 7")),))


@pytest.mark.parametrize("consent", [None, False])
def test_without_consent_nothing_runs_and_the_commands_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], consent: bool | None
) -> None:
    """Socket and plan are simulated; stdin is no terminal."""
    monkeypatch.setattr("launcher.setup.perform.ask_engine", lambda url: Answer(EngineState.ABSENT))
    monkeypatch.setattr("launcher.setup.perform.make_plan", lambda environ: PLAN)
    monkeypatch.setattr("launcher.setup.perform.perform", lambda *_: pytest.fail("something was run"))
    with pytest.raises(NotReadyError) as caught:
        ensure_engine(Progress(), consent=consent, environ={"HOME": "/nonexistent"})
    assert "launcher setup" in caught.value.next_step
    assert "sh -c 'exit 7'" in capsys.readouterr().err


def test_perform_stops_at_the_first_failure_and_shows_its_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    never = tmp_path / "never"
    steps = (Step("Say why", ("sh", "-c", "echo dead mirror; exit 7")), Step("Go on", ("touch", str(never))))
    with pytest.raises(LauncherError, match="Say why: exit 7"):
        perform(SetupPlan(steps), Progress())
    assert "dead mirror" in capsys.readouterr().err
    assert not never.exists()


def test_perform_accepts_a_failure_whose_result_is_there(tmp_path: Path) -> None:
    """As when a package is unpacked but its service cannot be started."""
    program, after = tmp_path / "dockerd", tmp_path / "after"
    install = Step("Install", ("sh", "-c", f"touch {program}; exit 100"), accepted_when=str(program))
    perform(SetupPlan((install, Step("Go on", ("touch", str(after))))), Progress())
    assert after.exists()


def test_a_missing_program_is_named() -> None:
    with pytest.raises(LauncherError, match="no-such-program could not be started"):
        perform(SetupPlan((Step("Run it", ("no-such-program",)),)), Progress())
