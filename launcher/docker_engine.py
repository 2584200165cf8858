"""The Engine over the Docker SDK, which only the modules named docker_... import."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import docker
import requests

from launcher.container_copy import copied_config
from launcher.docker_connection import absent_is_fine, tls_config, translated
from launcher.docker_creation import create_container
from launcher.docker_storage import DockerStorage
from launcher.endpoint import Endpoint
from launcher.engine import Container, ContainerPlan, EngineInfo, ExecResult, Image, Volume
from launcher.engine_rows import engine_info, inspected_container, listed_container
from launcher.errors import NotReadyError
from launcher.interrupt import uninterrupted

TIMEOUT_SECONDS = 30
WAIT_SECONDS = 0.1


class DockerEngine(DockerStorage):
    """Speaks to one engine; made by `connect`."""

    def __init__(self, client: docker.APIClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    @classmethod
    def connect(cls, endpoint: Endpoint, url: str | None = None, timeout: int = TIMEOUT_SECONDS) -> DockerEngine:
        """Raises NotReadyError or TimedOutError with the cause when no engine answers there.

        `url` is where to connect when that differs from the endpoint's: the forwarded socket of an ssh:// engine.
        """
        with uninterrupted(), translated(endpoint.url):
            client = docker.APIClient(
                base_url=url or endpoint.url, version="auto", timeout=timeout, tls=tls_config(endpoint.tls)
            )
        return cls(client, endpoint)

    def info(self) -> EngineInfo:
        with self._translated():
            raw = self._client.info()
        return engine_info(raw, self._endpoint.local)

    def image(self, reference: str) -> Image | None:
        with self._translated():
            try:
                raw = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except docker.errors.ImageNotFound:
                return None
        config = raw["Config"]
        environment = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
        return Image(raw["Id"], config.get("Labels") or {}, environment)

    def containers(self, label: str) -> list[Container]:
        with self._translated():
            rows = self._client.containers(all=True, filters={"label": label})
        return [listed_container(row) for row in rows]

    def container(self, name: str) -> Container | None:
        with self._translated():
            try:
                raw = self._client.inspect_container(name)
            except docker.errors.NotFound:
                return None
        return inspected_container(raw)

    def create(self, plan: ContainerPlan) -> str:
        info = self.info()
        with self._translated():
            return create_container(self._client, plan, info)

    def recreate(self, name: str) -> None:
        if self.info().podman:
            # Its inspection names device nodes, not the CDI devices that they came from.
            raise NotReadyError(
                "Podman does not say how a container got its GPUs, so it cannot be made anew as it was",
                "Make it anew with the flags it had, its home is kept: launcher down, then launcher up",
            )
        with self._translated():
            raw = self._client.inspect_container(name)
            config = copied_config(raw, self.image(raw["Config"]["Image"]))
            self.remove(f"{name}-anew")  # of a run that was killed
            # Before the old one is touched: where the engine refuses, that goes on.
            self._client.create_container_from_config(config, name=f"{name}-anew")  # type: ignore[no-untyped-call]
            self.stop(name)
            self.remove(name)
            self._client.rename(f"{name}-anew", name)

    def start(self, name: str) -> None:
        with self._translated():
            self._client.start(name)

    def stop(self, name: str, seconds: int = 10) -> None:
        with self._translated():
            self._client.stop(name, timeout=seconds)

    def restart(self, name: str, seconds: int = 10) -> None:
        with self._translated():
            self._client.restart(name, timeout=seconds)

    def kill(self, name: str, signal: str) -> None:
        with self._translated():
            self._client.kill(name, signal)

    def keep_running(self, name: str, policy: str = "unless-stopped") -> None:
        """Start again after a crash or a reboot; set only once the service was usable, or a bad start would loop."""
        with self._translated():
            restart_policy: Any = {"Name": policy}
            try:
                self._client.update_container(name, restart_policy=restart_policy)
            except docker.errors.NotFound as error:
                # Podman before 5 has no such call: https://github.com/containers/podman/issues/11396
                if str(error.explanation).strip() != "Not Found":
                    raise

    def rename(self, name: str, new_name: str) -> None:
        with self._translated():
            self._client.rename(name, new_name)

    def remove(self, name: str) -> None:
        with self._translated(), absent_is_fine():
            try:
                # v removes the anonymous volume behind /tmp; named ones stay.
                self._client.remove_container(name, v=True, force=True)
            except docker.errors.APIError as error:
                # Somebody else is removing it: its volumes are in use until that is done.
                if "already in progress" not in str(error.explanation):
                    raise
                self._wait_until_gone(name)

    def _wait_until_gone(self, name: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            self._client.inspect_container(name)
            time.sleep(0.1)

    def create_network(self, name: str, labels: Mapping[str, str], mtu: int | None) -> bool:
        """True when it was made, False when it was there."""
        options = {"com.docker.network.driver.mtu": str(mtu)} if mtu else {}
        with self._translated():
            if self._client.networks(filters={"name": f"^{name}$"}):
                return False
            self._client.create_network(
                name, driver="bridge", options=options, labels=dict(labels), check_duplicate=True
            )
        return True

    def remove_network(self, name: str) -> None:
        with self._translated(), absent_is_fine():
            self._client.remove_network(name)

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with self._translated():
            self._client.create_volume(name, labels=dict(labels))

    def remove_volume(self, name: str) -> None:
        with self._translated(), absent_is_fine():
            self._client.remove_volume(name)

    def volumes(self, label: str, sizes: bool = False) -> list[Volume]:
        with self._translated():
            rows = self._client.volumes(filters={"label": label})["Volumes"] or []
            measured = self._volume_sizes() if sizes else {}
        return [
            Volume(row["Name"], row.get("Labels") or {}, measured.get(row["Name"]), row.get("CreatedAt", ""))
            for row in rows
        ]

    def _volume_sizes(self) -> dict[str, int]:
        """Bytes by volume; empty where the engine cannot say soon."""
        with suppress(docker.errors.APIError, requests.Timeout):
            rows = self._disk_usage()["Volumes"] or []
            sizes = {row["Name"]: (row.get("UsageData") or {}).get("Size", -1) for row in rows}
            return {name: size for name, size in sizes.items() if size >= 0}
        return {}

    def put_archive(self, container: str, path: str, tar: bytes) -> None:
        with self._translated():
            self._client.put_archive(container, path, tar)

    def get_file(self, container: str, path: str) -> bytes | None:
        with self._translated():
            try:
                stream, _ = self._client.get_archive(container, path)
            except docker.errors.NotFound:
                return None
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                member = archive.extractfile(archive.getmembers()[0])
                return member.read() if member else None

    def logs(self, name: str, lines: int | None = None, *, stdout: bool = True, stderr: bool = True) -> str:
        with self._translated():
            text: bytes = self._client.logs(name, stdout=stdout, stderr=stderr, tail="all" if lines is None else lines)
        return text.decode(errors="replace")

    def follow_logs(self, name: str, lines: int) -> Iterator[bytes]:
        # May be interrupted, because it never ends; nothing is asked of the engine after it.
        with self._interruptible():
            stream: Iterator[bytes] = self._client.logs(name, tail=lines, stream=True, follow=True)
            yield from stream

    def execute(self, name: str, command: tuple[str, ...]) -> ExecResult:
        with self._translated():
            exec_id = self._client.exec_create(name, list(command))["Id"]
            stdout, stderr = self._client.exec_start(exec_id, demux=True)
            code = self._client.exec_inspect(exec_id)["ExitCode"]
        return ExecResult(code, (stdout or b"").decode(errors="replace"), (stderr or b"").decode(errors="replace"))

    def wait(self, name: str) -> int:
        # By looking again and again: one long request could not be interrupted.
        while True:
            with self._translated():
                state = self._client.inspect_container(name)["State"]
            if state["Status"] not in ("created", "running", "paused", "restarting"):
                return int(state["ExitCode"])
            time.sleep(WAIT_SECONDS)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with uninterrupted(), translated(self._endpoint.url):
            yield

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        with translated(self._endpoint.url):
            yield
