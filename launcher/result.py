"""What commands return; render.py prints it as text or JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from launcher.environments import Environment
from launcher.progress import Phase


@dataclass(frozen=True, slots=True)
class SshAddress:
    """How to log in."""

    host: str
    command: str
    vscode: str


@dataclass(frozen=True, slots=True)
class EnvironmentResult:
    """One environment with how to reach it; `gpu_verified` is True only after a kernel ran on every GPU.

    `gpu_lost` is None where nobody looked or the look did not tell; `next` is a command that would repair.
    """

    environment: Environment
    gpu_verified: bool = False
    url: str | None = None
    ssh: SshAddress | None = None
    remote: str | None = None
    phases: tuple[Phase, ...] = field(default=())
    gpu_lost: bool | None = None
    next: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object other people's scripts read: keys are added, never renamed."""
        e = self.environment
        return {
            "name": e.name,
            "mode": e.mode,
            "state": e.state,
            "device": e.device,
            "device_reason": e.device_reason,
            "gpu_verified": self.gpu_verified,
            "gpu_lost": self.gpu_lost,
            "gpus": list(e.gpus),
            "url": self.url,
            "ssh": None
            if self.ssh is None
            else {"host": self.ssh.host, "command": self.ssh.command, "vscode": self.ssh.vscode},
            "remote": self.remote,
            "project": e.project,
            "synced": e.synced,
            "port": e.port,
            "image": e.image,
            "container_id": e.container_id,
            "next": self.next,
            "phases": [{"name": phase.name, "seconds": round(phase.seconds, 3)} for phase in self.phases],
        }
