"""An engine in memory: the same port as the real one, held to the same suite so that it cannot drift."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from launcher.engine import Container, ContainerPlan, EngineInfo, ExecResult, Image, Volume
from launcher.errors import ConflictError, LauncherError
from tests.contract.fake_storage import FakeStorage, has


@dataclass
class FakeEngine(FakeStorage):
    """`fail_on` maps a verb to the error it raises; `on_start` lets a test decide what a start does."""

    information: EngineInfo = field(
        default_factory=lambda: EngineInfo("28.0", runtimes=("runc",), memory_bytes=8 << 30)
    )
    plans: dict[str, ContainerPlan] = field(default_factory=dict)
    fail_on: dict[str, LauncherError] = field(default_factory=dict)
    answers: Callable[[str, tuple[str, ...]], ExecResult] = lambda name, command: ExecResult(0, "", "")
    restarted: list[str] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)
    recreated: list[str] = field(default_factory=list)
    made: int = 0
    owners: list[str] = field(default_factory=list)

    def _check(self, verb: str) -> None:
        if verb in self.fail_on:
            raise self.fail_on[verb]

    def info(self) -> EngineInfo:
        return self.information

    def image(self, reference: str) -> Image | None:
        return self.images.get(reference)

    def containers(self, label: str) -> list[Container]:
        return [row for row in self.rows.values() if has(row.labels, label)]

    def container(self, name: str) -> Container | None:
        return self.rows.get(name)

    def create(self, plan: ContainerPlan) -> str:
        self._check("create")
        if plan.name in self.rows:
            raise ConflictError(f"a container named {plan.name} exists already", "See it with: docker ps -a")
        identifier = f"id-{len(self.plans)}"
        self.rows[plan.name] = Container(
            identifier,
            plan.name,
            "created",
            image=plan.image,
            labels=dict(plan.labels),
            environment=dict(plan.environment),
            user=f"{plan.uid}:{plan.gid}",
        )
        self.plans[plan.name] = plan
        return identifier

    def _set(self, name: str, **changes: object) -> None:
        if name not in self.rows:
            raise LauncherError(
                f"the engine refused: No such container: {name}", "Run again with --debug for the details."
            )
        self.rows[name] = replace(self.rows[name], **changes)  # type: ignore[arg-type]

    def recreate(self, name: str) -> None:
        self._check("recreate")
        self.recreated.append(name)
        self._set(name, id=f"id-anew-{len(self.recreated)}", state="created", health="")

    def start(self, name: str) -> None:
        self._check("start")
        self._set(name, state="running", health="healthy")

    def stop(self, name: str, seconds: int = 10) -> None:
        self._set(name, state="exited", health="")

    def restart(self, name: str, seconds: int = 10) -> None:
        self._set(name, state="running", health="healthy")
        self.restarted.append(name)

    def kill(self, name: str, signal: str) -> None:
        self._set(name, state="exited", exit_code=137)

    def keep_running(self, name: str, policy: str = "unless-stopped") -> None:
        self._set(name)
        self.policies[name] = policy

    def rename(self, name: str, new_name: str) -> None:
        self._set(name)
        self.rows[new_name] = replace(self.rows.pop(name), name=new_name)
        if name in self.plans:
            self.plans[new_name] = self.plans[name]

    def remove(self, name: str) -> None:
        self.rows.pop(name, None)

    def create_network(self, name: str, labels: Mapping[str, str], mtu: int | None) -> bool:
        made = name not in self.networks
        self.networks.setdefault(name, labels)
        self.ages.setdefault(name, time.time())
        return made

    def remove_network(self, name: str) -> None:
        self.networks.pop(name, None)

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self.made += name not in self.kept
        self.kept.setdefault(name, Volume(name, dict(labels), created=f"time {self.made}"))

    def remove_volume(self, name: str) -> None:
        self.kept.pop(name, None)
        self.files = {key: content for key, content in self.files.items() if key[0] != name}

    def volumes(self, label: str, sizes: bool = False) -> list[Volume]:
        return [replace(v, bytes=0 if sizes else None) for v in self.kept.values() if has(v.labels, label)]

    def _volume_at(self, container: str, path: str) -> tuple[str, str]:
        for mount in self.plans[container].volumes:
            if path == mount.container or path.startswith(mount.container + "/"):
                return mount.volume, path[len(mount.container) :].strip("/")
        raise LauncherError("the engine refused: container rootfs is marked read-only", "Use a volume.")

    def put_archive(self, container: str, path: str, tar: bytes) -> None:
        self._check("put_archive")
        volume, prefix = self._volume_at(container, path)
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            for member in archive.getmembers():
                if member.name in ("", "/"):
                    self.owners.append(volume)
                content = archive.extractfile(member)
                if content is not None:
                    self.files[volume, f"{prefix}/{member.name}".strip("/")] = content.read()

    def get_file(self, container: str, path: str) -> bytes | None:
        return self.files.get(self._volume_at(container, path))

    def logs(self, name: str, lines: int | None = None, *, stdout: bool = True, stderr: bool = True) -> str:
        return f"log of {name}\n"

    def follow_logs(self, name: str, lines: int) -> Iterator[bytes]:
        yield self.logs(name).encode()

    def execute(self, name: str, command: tuple[str, ...]) -> ExecResult:
        return self.answers(name, command)

    def wait(self, name: str) -> int:
        return self.rows[name].exit_code
