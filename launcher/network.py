"""The machine's certificates for the inside of a container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)


def certificate_bundle(environ: Mapping[str, str]) -> bytes | None:
    """The CA bundle this machine trusts, so that a company's own CA works inside too; None where there is none.

    An explicit setting wins: SSL_CERT_FILE, then PIP_CERT and REQUESTS_CA_BUNDLE, then the distribution's file.
    """
    named = [environ[key] for key in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE") if environ.get(key)]
    for path in (*named, *BUNDLES):
        try:
            return Path(path).read_bytes()
        except OSError:
            continue
    return None
