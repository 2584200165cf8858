"""The machine's mirrors, proxies and CA reach a build as secrets; invented machines below a temporary root."""

from __future__ import annotations

from pathlib import Path

from launcher.setup.mirrors import Mirrors, read_mirrors, secret_files

DEB822 = """Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
"""


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_plain_machine_needs_no_secret(tmp_path: Path) -> None:
    put(tmp_path, "etc/os-release", "ID=debian\n")
    put(tmp_path, "etc/apt/sources.list", "# none\n")
    mirrors = read_mirrors(tmp_path, {})
    assert mirrors == Mirrors()
    assert secret_files(mirrors, "bookworm", tmp_path) == {}


def test_a_debian_machines_mirror_is_used(tmp_path: Path) -> None:
    put(tmp_path, "etc/os-release", "NAME=x\nID=debian\n")
    put(tmp_path, "etc/apt/sources.list.d/debian.sources", DEB822)
    mirrors = read_mirrors(tmp_path, {})
    assert (mirrors.archive, mirrors.security) == (
        "http://mirror.example/debian",
        "http://mirror.example/debian-security",
    )
    written = secret_files(mirrors, "bookworm", tmp_path)["apt_sources"]
    assert "deb http://mirror.example/debian-security bookworm-security main" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600


def test_another_distributions_archive_is_not_debians(tmp_path: Path) -> None:
    put(tmp_path, "etc/os-release", "ID=ubuntu\nID_LIKE=debian\n")
    put(tmp_path, "etc/apt/sources.list", "deb http://archive.example/debian noble main\n")
    assert read_mirrors(tmp_path, {}).archive is None


def test_the_variable_wins_over_the_machine(tmp_path: Path) -> None:
    put(tmp_path, "etc/os-release", "ID=debian\n")
    put(tmp_path, "etc/apt/sources.list", "deb http://mirror.example/debian bookworm main\n")
    mirrors = read_mirrors(tmp_path, {"LAUNCHER_APT_MIRROR": "https://own.example/debian/"})
    assert mirrors.archive == "https://own.example/debian"
    assert mirrors.security == "https://own.example/debian-security"


def test_pip_settings_reach_both_installers_and_local_ones_are_left_out(tmp_path: Path) -> None:
    put(
        tmp_path,
        "etc/pip.conf",
        "[global]\nindex-url = https://a.example/simple\nextra-index-url = file:///x/simple\n  https://b.example/simple\n",
    )
    mirrors = read_mirrors(tmp_path, {"PIP_TRUSTED_HOST": "a.example"})
    files = secret_files(mirrors, "bookworm", tmp_path)
    assert files["uv_conf"].read_text() == (
        'index-url = "https://a.example/simple"\nextra-index-url = ["https://b.example/simple"]\n'
        'allow-insecure-host = ["a.example"]\n'
    )
    assert files["pip_conf"].read_text().splitlines() == [
        "[global]",
        "index-url = https://a.example/simple",
        "extra-index-url = https://b.example/simple",
        "trusted-host = a.example",
    ]


def test_pips_variable_wins_over_its_files(tmp_path: Path) -> None:
    put(tmp_path, "etc/pip.conf", "[global]\nindex-url = https://a.example/simple\n")
    assert read_mirrors(tmp_path, {"PIP_INDEX_URL": "https://c.example/simple"}).index == "https://c.example/simple"


def test_the_named_ca_comes_before_the_systems(tmp_path: Path) -> None:
    system = put(tmp_path, "etc/ssl/certs/ca-certificates.crt", "x")
    own = put(tmp_path, "own.pem", "y")
    assert read_mirrors(tmp_path, {}).ca == system
    assert read_mirrors(tmp_path, {"SSL_CERT_FILE": str(own)}).ca == own
    assert read_mirrors(tmp_path, {"SSL_CERT_FILE": str(tmp_path / "missing")}).ca == system


def test_proxies_are_passed_by_name_so_that_no_value_shows_in_a_process_list(tmp_path: Path) -> None:
    put(tmp_path, "etc/apt/apt.conf.d/80proxy", 'Acquire::http::Proxy "http://proxy.example:3128";\n')
    mirrors = read_mirrors(tmp_path, {"https_proxy": "http://user:secret@proxy.example:3128", "NO_PROXY": "localhost"})
    assert mirrors.proxies == ("https_proxy", "NO_PROXY")
    assert (
        secret_files(mirrors, "bookworm", tmp_path)["apt_conf"].read_text()
        == 'Acquire::http::Proxy "http://proxy.example:3128";\n'
    )
