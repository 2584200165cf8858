"""CUDA code in ELF files. The files are written here, byte by byte as nvcc lays them out (synthetic)."""

from __future__ import annotations

import math
import struct
import time
from pathlib import Path

import pytest

from envcheck.probes.children.extensions import extensions
from envcheck.probes.children.fat_binary import OutOfTimeError, architectures

PTX, MACHINE_CODE = 1, 2
ONLY = 0x100000
LATER = math.inf


def entry(kind: int, architecture: int, flags: int = 0x11, size: int = 24, header: int = 64) -> bytes:
    fields = (kind, 0x101, header, size, 0, 0, 7, 1, architecture, 0, 0, flags)
    return struct.pack("<HHIQIIHHIIIQ", *fields).ljust(header, b"\0") + b"\xab" * size


def container(*entries: bytes) -> bytes:
    body = b"".join(entries)
    whole = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body
    return whole.ljust((len(whole) + 7) // 8 * 8, b"\0")


def elf(sections: dict[str, bytes]) -> bytes:
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*sections, ".shstrtab"])
    contents = [*sections.values(), names]
    offsets = [64 + sum(map(len, contents[:index])) for index in range(len(contents))]
    headers = [b"\0" * 64]
    for name, offset, content in zip([*sections, ".shstrtab"], offsets, contents, strict=True):
        place = names.index(b"\0" + name.encode() + b"\0") + 1
        headers.append(struct.pack("<IIQQQQIIQQ", place, 1, 0, 0, offset, len(content), 0, 0, 8, 0))
    body = b"".join(contents)
    header = struct.pack("<QQQIHHHHHH", 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHI", 3, 62, 1) + header + body + b"".join(headers)


def library(path: Path, *containers: bytes, section: str = ".nv_fatbin") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(elf({".text": b"\x90" * 32, section: b"".join(containers)}))
    return str(path)


def test_machine_code_and_ptx_of_every_container_are_found(tmp_path: Path) -> None:
    first = container(entry(MACHINE_CODE, 80), entry(MACHINE_CODE, 90, 0x11 | ONLY), entry(PTX, 90, header=80))
    second = container(entry(MACHINE_CODE, 120, header=96), entry(MACHINE_CODE, 80))
    path = library(tmp_path / "x.so", first, second)
    assert architectures(path, LATER) == (["sm_80", "sm_90a", "sm_120"], ["compute_90"])


def test_relocatable_code_has_a_section_of_its_own(tmp_path: Path) -> None:
    path = library(tmp_path / "x.so", container(entry(MACHINE_CODE, 70)), section="__nv_relfatbin")
    assert architectures(path, LATER) == (["sm_70"], [])


def test_padding_and_unknown_bytes_between_containers_are_passed_over(tmp_path: Path) -> None:
    magic_at_an_odd_place = b"\1" * 4 + struct.pack("<I", 0xBA55ED50) + b"\1" * 100_000
    gap = b"\0" * 40 + magic_at_an_odd_place
    gap = gap.ljust((len(gap) + 7) // 8 * 8, b"\2")
    path = library(tmp_path / "x.so", container(entry(MACHINE_CODE, 80)), gap, container(entry(MACHINE_CODE, 90)), gap)
    assert architectures(path, LATER) == (["sm_80", "sm_90"], [])


def test_an_entry_of_an_unknown_kind_is_no_code(tmp_path: Path) -> None:
    path = library(tmp_path / "x.so", container(entry(16, 80), entry(MACHINE_CODE, 90)))
    assert architectures(path, LATER) == (["sm_90"], [])


def test_a_library_without_cuda_code_is_none(tmp_path: Path) -> None:
    assert architectures(library(tmp_path / "x.so", section=".data"), LATER) is None


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF\x01\x01" + b"\0" * 60, b"\x7fELF\x02\x01\x01"])
def test_another_file_is_a_value_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="ELF"):
        architectures(str(path), LATER)


def test_a_file_that_was_cut_off_is_a_value_error(tmp_path: Path) -> None:
    whole = elf({".nv_fatbin": container(entry(MACHINE_CODE, 80))})
    path = tmp_path / "x.so"
    for length in range(64, len(whole) - 1, 16):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="ends early"):
            architectures(str(path), LATER)


def test_an_entry_without_a_header_does_not_loop_for_ever(tmp_path: Path) -> None:
    broken = container(struct.pack("<HHIQIIHHIIIQ", 2, 0, 0, 0, 0, 0, 0, 0, 80, 0, 0, 0))
    with pytest.raises(ValueError, match="no header"):
        architectures(library(tmp_path / "x.so", broken), LATER)


def test_the_deadline_ends_the_reading(tmp_path: Path) -> None:
    path = library(tmp_path / "x.so", container(entry(MACHINE_CODE, 80)))
    with pytest.raises(OutOfTimeError):
        architectures(path, time.monotonic() - 1)


def packages(root: Path) -> Path:
    code = container(entry(MACHINE_CODE, 80))
    for name in ("torchvision/_C.so", "flash/csrc/kernels.so", "torch/lib/libtorch_cuda.so", "alone.cpython-311.so"):
        library(root / name, code)
    for name in ("nvidia/cublas/lib/libcublas.so.12", "triton/_C/libtriton.so", "torchvision.libs/libnvjpeg.so.12"):
        library(root / name, code)
    library(root / "numpy/core.so", section=".data")
    (root / "flash/readme.txt").write_text("no library")
    (root / "flash/script.so").write_text("INPUT(libflash.so)")
    return root


def test_packages_with_cuda_code_are_found_and_nvidias_own_passed_over(tmp_path: Path) -> None:
    seen = extensions(packages(tmp_path), 60)
    assert [(item["package"], Path(item["path"]).name) for item in seen["extensions"]] == [
        ("torchvision", "_C.so"),
        ("alone.cpython-311.so", "alone.cpython-311.so"),
        ("flash", "kernels.so"),
        ("torch", "libtorch_cuda.so"),
    ]
    assert seen["left_out"] == 0


def test_what_the_time_did_not_reach_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVCHECK_SCAN_SECONDS", "0")
    seen = extensions(packages(tmp_path))
    assert seen["extensions"] == [] and seen["left_out"] >= 3
    monkeypatch.setenv("ENVCHECK_SCAN_SECONDS", "60")
    assert extensions(packages(tmp_path))["left_out"] == 0
    monkeypatch.setenv("ENVCHECK_SCAN_SECONDS", "long")
    monkeypatch.setattr("envcheck.probes.children.extensions.SECONDS", 60)
    assert len(extensions(packages(tmp_path))["extensions"]) == 4


def test_packages_that_cannot_be_listed_are_nothing(tmp_path: Path) -> None:
    assert extensions(tmp_path / "nowhere", 60) == {"extensions": [], "left_out": 0}
