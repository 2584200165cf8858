"""Which engine is meant: DOCKER_HOST, the current Docker context, or a socket of this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.host import home_directory

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_URL = f"unix://{DEFAULT_SOCKET}"
SCHEMES = ("unix", "tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What a TLS connection is made with: paths of PEM files, None where one is not there."""

    ca: Path | None
    certificate: Path | None
    key: Path | None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine's URL and where it was named."""

    url: str
    source: str
    tls: TlsFiles | None = None

    @property
    def local(self) -> bool:
        """True for a Unix socket: host paths and the host's GPUs are then the engine's own."""
        return self.url.startswith("unix://")

    @property
    def ssh(self) -> bool:
        """True where the engine is reached by logging in to its machine."""
        return self.url.startswith("ssh://")

    @property
    def place(self) -> str:
        """The machine it is on, as a user would name it."""
        if self.local:
            return "this machine"
        return self.url.partition("://")[2].split("/")[0].rpartition("@")[2].partition(":")[0]

    @contextmanager
    def named(self) -> Iterator[None]:
        """Add to a failure to reach the engine which one was meant and by what; the usual one needs no such words."""
        try:
            yield
        except LauncherError as error:
            if self.source == "default" or self.source in error.cause:
                raise
            raise type(error)(
                f"{error.cause} (engine {self.url}, by {self.source})", error.next_step, cause_id=error.cause_id
            ) from error

    def docker_arguments(self) -> list[str]:
        """Options that make the docker command talk to this engine."""
        arguments = ["--host", self.url]
        if self.tls is not None:
            files = {"--tlscacert": self.tls.ca, "--tlscert": self.tls.certificate, "--tlskey": self.tls.key}
            arguments += ["--tlsverify" if self.tls.verify else "--tls"]
            arguments += [word for option, path in files.items() if path for word in (option, str(path))]
        return arguments


def resolve_endpoint(environ: Mapping[str, str], root: Path = Path("/")) -> Endpoint:
    """The engine the docker command would use: https://docs.docker.com/engine/manage-resources/contexts/

    Without a setting, and where the usual socket is missing, one of rootless Docker, Docker Desktop or Podman.
    Raises UsageError when the selected context does not exist, or DOCKER_HOST is no address.
    """
    config = Path(environ.get("DOCKER_CONFIG") or home_directory(environ) / ".docker")
    if environ.get("DOCKER_HOST"):
        return _checked(Endpoint(environ["DOCKER_HOST"], "DOCKER_HOST", _environment_tls(environ, config)))
    name = environ.get("DOCKER_CONTEXT") or _current_context(config)
    if name not in ("", "default"):
        return _context(config, name, "DOCKER_CONTEXT" if environ.get("DOCKER_CONTEXT") else "docker context use")
    for socket in () if (root / DEFAULT_SOCKET.lstrip("/")).exists() else other_sockets(environ, root):
        if os.access(root / socket.lstrip("/"), os.R_OK | os.W_OK):
            return Endpoint(f"unix://{socket}", f"found, as there is no {DEFAULT_SOCKET}")
    return Endpoint(DEFAULT_URL, "default")


def other_sockets(environ: Mapping[str, str], root: Path = Path("/")) -> tuple[str, ...]:
    """Sockets of engines that are not at Docker's usual place: rootless, Docker Desktop's, Podman's; those there are.

    https://docs.docker.com/engine/security/rootless/, https://docs.docker.com/desktop/setup/install/linux/,
    https://docs.podman.io/en/latest/markdown/podman-system-service.1.html
    """
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    home = home_directory(environ)
    paths = (
        f"{runtime}/docker.sock",
        f"{home}/.docker/desktop/docker.sock",
        f"{home}/.docker/run/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
    )
    return tuple(path for path in paths if (root / path.lstrip("/")).exists())


def _environment_tls(environ: Mapping[str, str], config: Path) -> TlsFiles | None:
    """DOCKER_TLS_VERIFY and DOCKER_CERT_PATH: https://docs.docker.com/reference/cli/docker/#environment-variables"""
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not environ["DOCKER_HOST"].startswith(("tcp://", "https://")) or not (verify or environ.get("DOCKER_TLS")):
        return None
    directory = Path(environ.get("DOCKER_CERT_PATH") or config)
    tls = _tls_files(directory, verify)
    if verify and tls.ca is None:
        raise NotReadyError(
            f"DOCKER_TLS_VERIFY is set, but {directory} holds no ca.pem",
            "Set DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem.",
        )
    return tls


def _tls_files(directory: Path, verify: bool) -> TlsFiles:
    ca, certificate, key = (path if (path := directory / f"{n}.pem").exists() else None for n in ("ca", "cert", "key"))
    return TlsFiles(ca, certificate, key, verify)


def _context(config: Path, name: str, chosen_by: str) -> Endpoint:
    # The docker command stores each context under the digest of its name.
    digest = sha256(name.encode()).hexdigest()
    try:
        stored = json.loads((config / "contexts/meta" / digest / "meta.json").read_text())["Endpoints"]["docker"]
        url, skip = str(stored["Host"]), bool(stored.get("SkipTLSVerify"))
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"the Docker context {name!r} cannot be read", "See the known ones with: docker context ls"
        ) from None
    directory = config / "contexts/tls" / digest / "docker"
    tls = _tls_files(directory, not skip) if directory.is_dir() and url.startswith(("tcp://", "https://")) else None
    return _checked(Endpoint(url, f"context {name} ({chosen_by})", tls))


def _checked(endpoint: Endpoint) -> Endpoint:
    scheme, separator, place = endpoint.url.partition("://")
    if scheme not in SCHEMES or not separator or not place:
        raise UsageError(
            f"{endpoint.source} {endpoint.url!r} is not the address of an engine",
            f"Unset it for the local engine, or use for example {DEFAULT_URL}, tcp://HOST:2376 or ssh://USER@HOST.",
        )
    return endpoint


def _current_context(config: Path) -> str:
    try:
        return str(json.loads((config / "config.json").read_text()).get("currentContext", ""))
    except (OSError, ValueError, AttributeError):
        return ""
