"""The machine's own package mirrors, proxies and CA, as a build needs them: files for secrets, never for a layer."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROXY_NAMES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
CA_NAMES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
CA_FILES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
)
PIP_FILES = ("etc/pip.conf", "etc/xdg/pip/pip.conf")
APT_ENTRY = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+", re.MULTILINE)
APT_URIS = re.compile(r"^URIs:\s*(.+)$", re.MULTILINE | re.IGNORECASE)
SECURITY_ARCHIVE = re.compile(r"^https?://security\.|/debian-security$")
APT_PROXY = re.compile(r'^\s*(Acquire::https?::Proxy(?:::[^\s"]+)?)\s+"?([^\s";]+)"?\s*;', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where packages come from on this machine; empty or None where it has no setting of its own.

    `archive` and `security` are Debian's archive and its security archive; None means the tools' own default.
    """

    archive: str | None = None
    security: str | None = None
    apt_settings: tuple[tuple[str, str], ...] = ()
    index: str | None = None
    extra_indexes: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    ca: Path | None = None
    proxies: tuple[str, ...] = ()

    def apt_lines(self, codename: str) -> list[str]:
        """One-line apt sources of `codename` with updates and security; none where the default is meant."""
        if self.archive is None:
            return []
        lines = [f"deb {self.archive} {codename} main", f"deb {self.archive} {codename}-updates main"]
        return lines + ([f"deb {self.security} {codename}-security main"] if self.security else [])


def read_mirrors(root: Path, environ: Mapping[str, str]) -> Mirrors:
    """Read apt, pip, proxy and CA settings below `root` and from `environ`.

    LAUNCHER_APT_MIRROR replaces the Debian archive (its security archive is expected beside it, as on Debian's own
    mirrors). Settings that name files of this machine (find-links, file:// indexes) cannot work in a build: left out.
    """
    archive, security = _apt_archives(root, environ)
    pip = _pip_settings(root, environ)
    extra = tuple(url for url in pip.get("extra-index-url", "").split() if url.startswith("http"))
    index = pip.get("index-url", "")
    return Mirrors(
        archive=archive,
        security=security,
        apt_settings=_apt_settings(root),
        index=index if index.startswith("http") else None,
        extra_indexes=extra,
        trusted_hosts=tuple(pip.get("trusted-host", "").split()),
        ca=_ca_file(root, environ, pip.get("cert")),
        proxies=tuple(n for name in PROXY_NAMES for n in (name, name.upper()) if environ.get(n)),
    )


def secret_files(mirrors: Mirrors, codename: str, directory: Path) -> dict[str, Path]:
    """Write the settings that differ from the defaults into `directory` (mode 0600): secret id -> file."""
    texts = {}
    if lines := mirrors.apt_lines(codename):
        texts["apt_sources"] = "\n".join(lines)
    if mirrors.apt_settings:
        texts["apt_conf"] = "\n".join(f'{key} "{value}";' for key, value in mirrors.apt_settings)
    if mirrors.index or mirrors.extra_indexes or mirrors.trusted_hosts:
        texts["pip_conf"] = _pip_conf(mirrors)
        texts["uv_conf"] = _uv_toml(mirrors)
    files = {}
    for name, text in texts.items():
        files[name] = directory / name
        files[name].touch(mode=0o600)
        files[name].write_text(text + "\n", encoding="utf-8")
    return files | ({"ca": mirrors.ca} if mirrors.ca else {})


def build_arguments(mirrors: Mirrors, secrets: Mapping[str, Path]) -> list[str]:
    """The options of `docker build` that hand them over: none of their values stays in a layer or the history."""
    arguments = []
    for name in mirrors.proxies:
        # Without a value: taken from the environment, and predefined, so it stays out of the image's history.
        arguments += ["--build-arg", name]
    for name, path in secrets.items():
        arguments += ["--secret", f"id={name},src={path}"]
    return arguments


def _apt_archives(root: Path, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    given = environ.get("LAUNCHER_APT_MIRROR", "").rstrip("/")
    if given:
        return given, re.sub(r"/debian$", "/debian-security", given)
    if "ID=debian" not in _text(root / "etc/os-release").splitlines():
        return None, None
    directory = root / "etc/apt/sources.list.d"
    files = [root / "etc/apt/sources.list", *(sorted(directory.iterdir()) if directory.is_dir() else ())]
    text = "\n".join(_text(file) for file in files if file.suffix in (".list", ".sources"))
    uris = [*APT_ENTRY.findall(text), *(uri for line in APT_URIS.findall(text) for uri in line.split())]
    uris = [uri.rstrip("/") for uri in uris if uri.startswith("http")]
    archive = next((uri for uri in uris if uri.endswith("/debian")), None)
    return archive, next((uri for uri in uris if SECURITY_ARCHIVE.search(uri)), None)


def _apt_settings(root: Path) -> tuple[tuple[str, str], ...]:
    directory = root / "etc/apt/apt.conf.d"
    files = [root / "etc/apt/apt.conf", *(sorted(directory.iterdir()) if directory.is_dir() else ())]
    return tuple(pair for file in files for pair in APT_PROXY.findall(_text(file)))


def _pip_settings(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """pip's own order: machine, user, PIP_CONFIG_FILE, PIP_* variables; the last one wins."""
    home = Path(environ.get("HOME") or "/nonexistent")
    user = [home / ".pip/pip.conf", Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"]
    chosen = [Path(environ["PIP_CONFIG_FILE"])] if environ.get("PIP_CONFIG_FILE") else []
    settings: dict[str, str] = {}
    for file in [*(root / name for name in PIP_FILES), *user, *chosen]:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_text(file))
        except configparser.Error:
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update(parser.items(section))
    names = ("index-url", "extra-index-url", "trusted-host", "cert")
    return settings | {n: environ[v] for n in names if environ.get(v := "PIP_" + n.upper().replace("-", "_"))}


def _ca_file(root: Path, environ: Mapping[str, str], pip_certificate: str | None) -> Path | None:
    named = [Path(environ[name]) for name in CA_NAMES if environ.get(name)]
    named += [Path(pip_certificate)] if pip_certificate else []
    return next((file for file in [*named, *(root / name for name in CA_FILES)] if file.is_file()), None)


def _pip_conf(mirrors: Mirrors) -> str:
    lines = ["[global]"]
    lines += [f"index-url = {mirrors.index}"] if mirrors.index else []
    lines += [f"extra-index-url = {' '.join(mirrors.extra_indexes)}"] if mirrors.extra_indexes else []
    lines += [f"trusted-host = {' '.join(mirrors.trusted_hosts)}"] if mirrors.trusted_hosts else []
    return "\n".join(lines)


def _uv_toml(mirrors: Mirrors) -> str:
    def quoted(values: tuple[str, ...]) -> str:
        return "[" + ", ".join(f'"{value}"' for value in values) + "]"

    lines = [f'index-url = "{mirrors.index}"'] if mirrors.index else []
    lines += [f"extra-index-url = {quoted(mirrors.extra_indexes)}"] if mirrors.extra_indexes else []
    lines += [f"allow-insecure-host = {quoted(mirrors.trusted_hosts)}"] if mirrors.trusted_hosts else []
    return "\n".join(lines)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
