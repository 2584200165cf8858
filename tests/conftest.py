"""Fixtures and rules of every test. Imported inside the image too, where only torch's packages are: no launcher here
at module level."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.distribution import pytest_xdist_make_scheduler  # noqa: F401 (hook)
from tests.leftovers import pytest_sessionfinish, pytest_sessionstart, pytest_terminal_summary  # noqa: F401 (hooks)

if TYPE_CHECKING:
    import docker

ROOT = Path(__file__).resolve().parent.parent
MARKERS = {
    "docker": {"docker_client", "jupyter_image", "ssh_image"},
    "gpu": {"gpu"},
    "browser": {"browser"},
}
STRICT = os.environ.get("CI", "").lower() in ("1", "true") or bool(os.environ.get("GPU_LAUNCHER_TESTS_STRICT"))
HAS_LAUNCHER = importlib.util.find_spec("launcher") is not None
HAS_TORCH = importlib.util.find_spec("torch") is not None

# The wheel is in the image; bin/test runs these tests there.
collect_ignore = [] if HAS_TORCH else ["torch"]


def lacking(what: str) -> NoReturn:
    """A skip on a developer's machine, a failure where everything should be there."""
    if STRICT:
        pytest.fail(f"{what} (CI or --strict: that is a failure)", pytrace=False)
    pytest.skip(what)


def pytest_configure() -> None:
    # A shell's background job ignores SIGINT, what nohup started SIGHUP, and so would every program that the tests
    # start and interrupt.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, fixtures in MARKERS.items():
            if fixtures.intersection(getattr(item, "fixturenames", ())):
                item.add_marker(marker)


def pytest_report_header() -> list[str]:
    seen = [f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')}, Python {platform.python_version()}"]
    seen += [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "docker") if _installed(name)]
    lines = [", ".join(seen) + f", engine {_engine_version() or 'none'}, strict {'yes' if STRICT else 'no'}"]
    if not HAS_TORCH:
        lines.append("tests/torch: not collected, torch is not installed here (bin/test runs them in the image)")
    return lines


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _engine_version() -> str | None:
    if not HAS_LAUNCHER:
        return None
    from launcher.endpoint import resolve_endpoint
    from launcher.setup.probe import ask_engine

    body = ask_engine(resolve_endpoint(os.environ).url, "/version").body
    return str(body.get("Version")) if isinstance(body, dict) else None


@pytest.fixture(autouse=True)
def user_directories(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test: no test reads or writes the developer's state. Returns it.

    The machine's pip settings stay in force, and so does the engine that is meant.
    """
    pip_settings = Path.home() / ".config/pip/pip.conf"
    if pip_settings.exists() and "PIP_CONFIG_FILE" not in os.environ:
        monkeypatch.setenv("PIP_CONFIG_FILE", str(pip_settings))
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for variable, directory in {
        "XDG_CONFIG_HOME": ".config",
        "XDG_CACHE_HOME": ".cache",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
    }.items():
        monkeypatch.setenv(variable, str(home / directory))
    for variable in ("SSH_CONNECTION", "SUDO_UID", "SUDO_GID", "SUDO_USER", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The engine that the environment names. A context is turned into DOCKER_HOST, as tests have homes of their own."""
    from launcher.endpoint import resolve_endpoint
    from launcher.setup.probe import EngineState, ask_engine

    endpoint = resolve_endpoint(os.environ)
    state = ask_engine(endpoint.url).state
    if state not in (EngineState.ANSWERS, EngineState.UNKNOWN):
        lacking(f"no container engine: {endpoint.url} {state.value}")
    import docker

    with pytest.MonkeyPatch.context() as patch:
        if endpoint.source.startswith("context"):
            patch.setenv("DOCKER_HOST", endpoint.url)
        client = docker.DockerClient(base_url=endpoint.url)
        yield client
        client.close()


def _image(target: str) -> str:
    from launcher.errors import LauncherError
    from launcher.progress import Progress
    from launcher.setup.build import build_image
    from launcher.stacks import default_stack

    try:
        return build_image(default_stack(), target, Progress(), consent=os.geteuid() == 0).reference
    except LauncherError as error:
        lacking(f"no {target} image: {error.cause}; {error.next_step}")


@pytest.fixture(scope="session")
def jupyter_image(docker_client: docker.DockerClient) -> str:
    """Reference of the current jupyter image, built when it is missing or stale."""
    return _image("jupyter")


@pytest.fixture(scope="session")
def ssh_image(docker_client: docker.DockerClient) -> str:
    """Reference of the current ssh image, built when it is missing or stale."""
    return _image("ssh")


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: exit code and both streams' text."""

    code: int
    stdout: str
    stderr: str


RunLauncher = Callable[..., Completed]


@pytest.fixture
def run_launcher(user_directories: Path, tmp_path: Path) -> RunLauncher:
    """Run bin/launcher as a process of its own in an empty project, with a fresh home.

    Call: run_launcher(*arguments, cwd=..., environ={...}, stdin="...", timeout=600).
    """

    def run(
        *arguments: str,
        cwd: Path | None = None,
        environ: dict[str, str] | None = None,
        stdin: str = "",
        timeout: float = 600,
    ) -> Completed:
        done = subprocess.run(
            [str(ROOT / "bin/launcher"), *arguments],
            cwd=cwd or tmp_path,
            env={**os.environ, **(environ or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    return run
