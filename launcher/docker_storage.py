"""Storage over the Docker SDK: requests the SDK has no call for, or whose answer it would hold in memory."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import quote

import docker
import requests

from launcher.errors import LauncherError
from launcher.storage import Network, PathStat, StoredImage

# Engine 20.10 copies all layers before the first byte of a saved image, and unpacks a loaded one before it answers.
LONG_SECONDS = 1800.0
MEASURING_SECONDS, MEASURING_POLL_SECONDS = 10.0, 0.1
CHUNK_BYTES = 1 << 20
# Go's os.FileMode: https://pkg.go.dev/io/fs#FileMode
GO_DIRECTORY, GO_LINK, GO_TYPES = 1 << 31, 1 << 27, 0x8F280000


class DockerStorage:
    """What DockerEngine takes its Storage from."""

    _client: docker.APIClient

    def _translated(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _interruptible(self) -> AbstractContextManager[None]:
        """For a transfer that takes minutes: a signal ends it, and nothing may be asked of the engine afterwards."""
        raise NotImplementedError

    def stored_images(self, label: str) -> list[StoredImage]:
        with self._translated():
            rows = self._client.images(filters={"label": label})
            made_from = [row["ImageID"] for row in self._client.containers(all=True)]
            shared = self._shared_bytes()
        return [_stored_image(row, shared.get(row["Id"], 0), made_from.count(row["Id"])) for row in rows]

    def _shared_bytes(self) -> dict[str, int]:
        """Bytes that each image shares with others; empty where the engine cannot say soon."""
        with suppress(docker.errors.APIError, requests.Timeout):
            rows = self._disk_usage()["Images"] or []
            return {row["Id"]: max(row.get("SharedSize", 0), 0) for row in rows}
        return {}

    def _disk_usage(self) -> Mapping[str, Any]:
        """What `docker system df` shows; an engine before 23 refuses to measure for two at once, and is asked again."""
        deadline = time.monotonic() + MEASURING_SECONDS
        while True:
            try:
                usage: Mapping[str, Any] = self._client.df()
            except docker.errors.APIError as error:
                if "already running" not in str(error.explanation) or time.monotonic() > deadline:
                    raise
                time.sleep(MEASURING_POLL_SECONDS)
            else:
                return usage

    def remove_image(self, reference: str) -> None:
        # Without force: an image that somebody began to use meanwhile stays.
        with self._translated(), suppress(docker.errors.ImageNotFound):
            self._client.remove_image(reference)

    def save_images(self, references: Sequence[str]) -> Iterator[bytes]:
        with self._interruptible():
            answer = self._client.get(
                self._address("/images/get"), params={"names": list(references)}, stream=True, timeout=LONG_SECONDS
            )
            with answer:
                raise_for_status(answer)
                yield from answer.iter_content(CHUNK_BYTES)

    def load_images(self, archive: Iterable[bytes]) -> None:
        with self._interruptible():
            answer = self._client.post(
                self._address("/images/load"),
                params={"quiet": 1},
                data=iter(archive),
                stream=True,
                timeout=LONG_SECONDS,
            )
            with answer:
                raise_for_status(answer)
                for line in answer.iter_lines():
                    # An engine that fails midway has said 200 already.
                    if line and (said := json.loads(line)).get("error"):
                        raise docker.errors.APIError(str(said["error"]), explanation=str(said["error"]))

    def build_cache_bytes(self) -> int:
        with self._translated():
            rows = self._disk_usage().get("BuildCache") or []
        return sum(row["Size"] for row in rows if not row.get("InUse") and not row.get("Shared"))

    def prune_build_cache(self) -> int:
        with self._translated():
            answer = self._client.post(self._address("/build/prune"), params={"all": 1}, timeout=LONG_SECONDS)
            raise_for_status(answer)
            return int(answer.json().get("SpaceReclaimed", 0))

    def list_networks(self, label: str) -> list[Network]:
        with self._translated():
            rows = self._client.networks(filters={"label": label})
        return [Network(row["Name"], row.get("Labels") or {}, _seconds(row.get("Created", ""))) for row in rows]

    def path_stat(self, container: str, path: str) -> PathStat | None:
        with self._translated():
            answer = self._client.head(self._archive_of(container), params={"path": path}, timeout=self._client.timeout)
            if not answer.ok:
                self._raise_unless_absent(container, path)
                return None
            stat = json.loads(b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
        return PathStat(stat["name"], _kind(stat["mode"]), stat["size"], stat.get("linkTarget", ""))

    def _raise_unless_absent(self, container: str, path: str) -> None:
        """The answer to a HEAD does not say why it is none, so it is asked again."""
        try:
            with self._client.get(
                self._archive_of(container), params={"path": path}, stream=True, timeout=60
            ) as answer:
                raise_for_status(answer)
        except docker.errors.APIError as error:
            if error.status_code != requests.codes.not_found and "not a directory" not in str(error.explanation):
                raise

    def get_tree(self, container: str, path: str) -> Iterator[bytes]:
        with self._interruptible():
            answer = self._client.get(
                self._archive_of(container), params={"path": path}, stream=True, timeout=LONG_SECONDS
            )
            with answer:
                raise_for_status(answer)
                yield from answer.iter_content(CHUNK_BYTES)

    def put_tree(self, container: str, directory: str, tar: Iterable[bytes]) -> None:
        with self._interruptible():
            params = {"path": directory, "noOverwriteDirNonDir": "true"}
            answer = self._client.put(self._archive_of(container), params=params, data=iter(tar), timeout=LONG_SECONDS)
            raise_for_status(answer)

    def _archive_of(self, container: str) -> str:
        return self._address(f"/containers/{quote(container, safe='')}/archive")

    def _address(self, path: str) -> str:
        return f"{self._client.base_url}/v{self._client.api_version}{path}"


def raise_for_status(answer: requests.Response) -> None:
    """Raises the SDK's APIError, with the engine's words, for an answer that is a refusal."""
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        # It raises the SDK's own class with the engine's words.
        docker.errors.create_api_error_from_http_exception(error)


def _stored_image(row: Mapping[str, Any], shared: int, containers: int) -> StoredImage:
    tags = [name for name in row.get("RepoTags") or () if name != "<none>:<none>"]
    # Podman's registry of what no registry has.
    named = tuple(name.removeprefix("localhost/") for name in tags)
    size = int(row["Size"])
    return StoredImage(row["Id"], named, row.get("Labels") or {}, size, max(size - shared, 0), containers)


def _kind(mode: int) -> str:
    if mode & GO_DIRECTORY:
        return "directory"
    if mode & GO_LINK:
        return "link"
    return "other" if mode & GO_TYPES else "file"


def _seconds(created: str) -> float:
    """From RFC 3339 with nanoseconds, which Python 3.10 cannot read whole."""
    with suppress(ValueError):
        return datetime.fromisoformat(created[:19] + "+00:00").timestamp()
    raise LauncherError(f"the engine says that a network was made at {created!r}", "Run again with --debug.")
