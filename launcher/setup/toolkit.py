"""The NVIDIA Container Toolkit: NVIDIA's package repository, its key, and the commands that configure an engine.

https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
"""

from __future__ import annotations

REPOSITORY = "https://nvidia.github.io/libnvidia-container"
KEYRING = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"
SOURCES = "/etc/apt/sources.list.d/nvidia-container-toolkit.list"
PACKAGE = "nvidia-container-toolkit"

# NVIDIA CORPORATION (Open Source Projects) <cudatools@nvidia.com>, rsa4096 of 2017-09-28. Two sources that do not
# depend on each other: gpg's output in https://github.com/NVIDIA/libnvidia-container/issues/280 and the key id that
# https://github.com/GoogleCloudDataproc/initialization-actions requests from keyserver.ubuntu.com (gpu/).
KEY_FINGERPRINT = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"

# Where the toolkit's own nvidia-cdi-refresh service (1.18 and later) writes too: a second file elsewhere that names the
# same devices would make every one of them a conflict for the engine.
CDI_SPECIFICATION = "/var/run/cdi/nvidia.yaml"


def keyring_command() -> str:
    """Shell: download the signing key, compare its fingerprint, and only then install it for apt."""
    primary = '$1 == "pub" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }'
    return (
        "set -e; export GNUPGHOME=$(mktemp -d); trap 'rm -rf \"$GNUPGHOME\"' EXIT; "
        f'curl -fsSL {REPOSITORY}/gpgkey -o "$GNUPGHOME/key"; '
        f"found=$(gpg --batch --with-colons --show-keys \"$GNUPGHOME/key\" | awk -F: '{primary}'); "
        f'if [ "$found" != {KEY_FINGERPRINT} ]; then '
        f'echo "the signing key at {REPOSITORY}/gpgkey is $found, not the known {KEY_FINGERPRINT}" >&2; exit 1; fi; '
        f'gpg --batch --yes --dearmor -o {KEYRING} "$GNUPGHOME/key"; chmod 0644 {KEYRING}'
    )


def sources_command() -> str:
    """Shell: the one line of NVIDIA's list, trusted through that key only. apt itself expands $(ARCH)."""
    return f"echo 'deb [signed-by={KEYRING}] {REPOSITORY}/stable/deb/$(ARCH) /' > {SOURCES}"


def configure_command() -> tuple[str, ...]:
    """argv: register the `nvidia` runtime in /etc/docker/daemon.json, keeping what stands there."""
    return ("nvidia-ctk", "runtime", "configure", "--runtime=docker")


def specification_command() -> str:
    """Shell: write the CDI specification that engines of release 25 and later attach GPUs by."""
    directory = CDI_SPECIFICATION.rpartition("/")[0]
    return f"mkdir -p {directory} && nvidia-ctk cdi generate --output={CDI_SPECIFICATION}"
