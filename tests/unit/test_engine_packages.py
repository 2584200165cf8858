"""Which packages make an engine, and which are installed."""

from __future__ import annotations

from launcher.setup.engine_packages import engine_packages, installed_packages


def test_unknown_distribution_has_no_packages() -> None:
    assert engine_packages("arch", "") is None


def test_removed_package_does_not_count_as_installed() -> None:
    status = (
        "Package: docker.io\nStatus: deinstall ok config-files\n\n"
        "Package: podman\nStatus: install ok installed\nVersion: 4\n"
    )
    assert installed_packages(status, ("docker.io", "podman")) == ("podman",)
