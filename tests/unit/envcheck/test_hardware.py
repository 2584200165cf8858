"""Cards, their slots and containers, by files of an injected root."""

from __future__ import annotations

from pathlib import Path

import pytest

from envcheck.facts import Cuda, Nvml
from envcheck.probes.container import probe_container
from envcheck.probes.hardware import scan_hardware, with_libraries
from tests.unit.envcheck.test_probes import card, write

LOADED = Cuda(True, path="/usr/lib/libcuda.so.570", init_code=100), Nvml(True, init_code=9)
ROOT = "27 1 0:32 / / rw - overlay overlay rw,lowerdir=/l"
HOSTS = "31 27 8:1 /var/lib/kubelet/pods/x/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw"


def test_libraries_of_a_driver_whose_only_card_was_given_away_are_no_card(tmp_path: Path) -> None:
    card(tmp_path, "vfio-pci")
    seen = scan_hardware(tmp_path, None)
    assert not with_libraries(seen, *LOADED).present
    assert not with_libraries(seen, LOADED[0], Nvml()).present
    assert with_libraries(seen, Cuda(True, init_code=803), LOADED[1]).present, "something answers all the same"
    assert with_libraries(seen, LOADED[0], Nvml(True, init_code=0)).present
    assert with_libraries(scan_hardware(tmp_path / "none", None), *LOADED).present, "no card at all: the GPU rule"


@pytest.mark.parametrize(("text", "width"), [("8\n", 8), ("16", 16), ("0", None), ("255", None), ("Unknown", None)])
def test_a_slot_is_as_wide_as_the_port_above_the_card(text: str, width: int | None, tmp_path: Path) -> None:
    card(tmp_path)
    assert scan_hardware(tmp_path, None).cards[0].slot_width is None
    place = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    port = tmp_path / "sys/devices/pci0000:00/0000:00:01.0"
    port.mkdir(parents=True)
    place.rename(port / place.name)
    place.symlink_to(port / place.name)
    (port / "max_link_width").write_text(text)
    assert scan_hardware(tmp_path, None).cards[0].slot_width == width


@pytest.mark.parametrize("sign", ["/run/secrets/kubernetes.io/serviceaccount/token", "/.singularity.d/runscript"])
def test_kubernetes_and_apptainer_are_containers(sign: str, tmp_path: Path) -> None:
    write(tmp_path, sign)
    assert probe_container(tmp_path).inside


@pytest.mark.parametrize(
    ("mounts", "inside"),
    [
        ((ROOT, HOSTS), True),
        ((ROOT.replace("overlay overlay", "fuse.fuse-overlayfs x"), HOSTS), True),
        ((ROOT,), False),
        ((ROOT.replace("overlay overlay", "ext4 /dev/sda1"), HOSTS), False),
        (("nonsense", HOSTS), False),
        ((), False),
    ],
)
def test_an_overlay_with_a_hosts_file_over_it_is_a_container(
    mounts: tuple[str, ...], inside: bool, tmp_path: Path
) -> None:
    write(tmp_path, "/proc/self/mountinfo", "\n".join(mounts))
    assert probe_container(tmp_path).inside is inside
