"""A home that one container after the other uses, with packages from local files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.images.containers import StartContainer
from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    from docker.models.containers import Container

CONSTRAINTS = "/etc/gpu-launcher/constraints.txt"
VENV = "/home/user/.venvs/py3.11-cu128"
LOCAL = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PIP_NO_BUILD_ISOLATION": "0"}


class Home:
    """`stack` 0 is the image's own; another one is simulated by one more line in the image's constraints."""

    def __init__(self, start: StartContainer, image: str, volume: str, directory: Path, constraints: str) -> None:
        self.start, self.image, self.volume, self.directory = start, image, volume, directory
        for name in ("wheels", "marks"):
            (directory / name).mkdir()
            (directory / name).chmod(0o777)
        for stack in (1, 2):
            (directory / f"constraints-{stack}").write_text(f"{constraints}never-installed=={stack}\n")
        directory.chmod(0o755)

    @property
    def wheels(self) -> Path:
        """The only place where pip finds packages."""
        return self.directory / "wheels"

    def mark(self, name: str) -> Path:
        """A file that both sides see."""
        return self.directory / "marks" / name

    def container(
        self, command: list[str] | None, *, stack: int = 1, environment: dict[str, str] | None = None
    ) -> Container:
        binds = {
            self.volume: {"bind": "/home/user", "mode": "rw"},
            str(self.wheels): {"bind": "/wheels", "mode": "ro"},
            str(self.directory / "marks"): {"bind": "/marks", "mode": "rw"},
        }
        if stack:
            binds[str(self.directory / f"constraints-{stack}")] = {"bind": CONSTRAINTS, "mode": "ro"}
        return self.start(self.image, command, volumes=binds, environment=LOCAL if environment is None else environment)

    def run(self, script: str, **options: Any) -> tuple[str, str]:
        """Standard output and standard error of a script that succeeds."""
        container = self.container(["bash", "-c", script], **options)
        code = container.wait(timeout=DEADLINE_SECONDS)["StatusCode"]
        assert code == 0, container.logs().decode()
        return container.logs(stderr=False).decode(), container.logs(stdout=False).decode()
