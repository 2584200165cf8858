"""The SDK's connection to an engine: its TLS files, and its failures turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import docker
import requests

from launcher.endpoint import TlsFiles
from launcher.engine_errors import engine_error
from launcher.errors import LauncherError


def tls_config(files: TlsFiles | None) -> docker.tls.TLSConfig | bool:
    """The SDK's form of an endpoint's TLS files; False without."""
    if files is None:
        return False
    pair = (str(files.certificate), str(files.key)) if files.certificate and files.key else None
    ca = str(files.ca) if files.ca else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=ca, verify=files.verify)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn every failure of the SDK and of the connection into one LauncherError."""
    try:
        yield
    except docker.errors.APIError as error:
        raise engine_error(str(error.explanation or error), where, answered=True) from error
    except (docker.errors.DockerException, requests.RequestException, OSError, ValueError) as error:
        if isinstance(error, LauncherError):
            raise
        # The SDK wraps every connection failure in one class; the cause's own class and text tell them apart.
        raise engine_error(f"{type(error).__name__}: {error}", where) from error


@contextmanager
def absent_is_fine() -> Iterator[None]:
    """For what is removed: gone is gone."""
    with suppress(docker.errors.NotFound):
        yield
