"""Which architectures the CUDA code in a library is for, read from its ELF sections without NVIDIA's tools.

Only headers are read, never the code: a library of 1 GB takes some hundredths of a second once its headers are cached.
nvcc puts code into containers one after another; each begins with a magic number and holds one entry for every
architecture, of machine code or of PTX. Checked against cuobjdump on the libraries of PyTorch's own wheels.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator

ELF = b"\x7fELF\x02\x01"  # 64 bit, little endian
SECTIONS = (b".nv_fatbin", b"__nv_relfatbin")
MAGIC = 0xBA55ED50
CONTAINER = struct.Struct("<IHHQ")  # magic, version, size of this header, size of what follows
# Kind, -, size of this header, size of the code, 4 x -, architecture, 2 x -, flags.
ENTRY = struct.Struct("<HHIQIIHHIIIQ")
PTX, MACHINE_CODE = 1, 2
ONLY_THIS_ARCHITECTURE = 0x100000  # the "a" of sm_90a
ALIGNMENT = 8
GAP = 1 << 16


class OutOfTimeError(Exception):
    """The deadline came before the end of the file."""


def architectures(path: str, deadline: float) -> tuple[list[str], list[str]] | None:
    """Machine code ("sm_90", "sm_90a") and PTX ("compute_90") in `path`, sorted; None where it holds no CUDA code.

    `deadline` is a time of time.monotonic(). Raises OSError, ValueError (not what an ELF file holds), OutOfTimeError.
    """
    found: set[tuple[int, int, bool]] = set()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        sections = list(_sections(descriptor))
        for offset, size in sections:
            for entry in _entries(descriptor, offset, offset + size, deadline):
                found.add(entry)
    finally:
        os.close(descriptor)
    if not sections:
        return None
    names = [(kind, number, f"{number}{'a' if only else ''}") for kind, number, only in sorted(found)]
    return (
        [f"sm_{name}" for kind, _, name in names if kind == MACHINE_CODE],
        [f"compute_{name}" for kind, _, name in names if kind == PTX],
    )


def _read(descriptor: int, offset: int, size: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) < size:
        raise ValueError("the file ends early")
    return data


def _sections(descriptor: int) -> Iterator[tuple[int, int]]:
    """Offset and size of every section that holds containers."""
    header = os.pread(descriptor, 64, 0)
    if not header.startswith(ELF) or len(header) < 64:
        raise ValueError("not a 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", header, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", header, 0x3A)
    if not count or names_index >= count or entry_size < 64:
        return
    raw = _read(descriptor, table, entry_size * count)
    sections = [struct.unpack_from("<IIQQQQ", raw, index * entry_size) for index in range(count)]
    names = _read(descriptor, sections[names_index][4], sections[names_index][5])
    for name, _, _, _, offset, size in sections:
        if names[name : names.find(b"\0", name)] in SECTIONS:
            yield offset, size


def _entries(descriptor: int, offset: int, end: int, deadline: float) -> Iterator[tuple[int, int, bool]]:
    while offset + CONTAINER.size <= end:
        if time.monotonic() > deadline:
            raise OutOfTimeError
        magic, _, header_size, size = CONTAINER.unpack(_read(descriptor, offset, CONTAINER.size))
        if magic != MAGIC:
            offset = _next_container(descriptor, offset + ALIGNMENT, end)
            continue
        stop = min(offset + header_size + size, end)
        yield from _container(descriptor, offset + header_size, stop)
        offset = (stop + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def _container(descriptor: int, offset: int, end: int) -> Iterator[tuple[int, int, bool]]:
    while offset + ENTRY.size <= end:
        fields = ENTRY.unpack(_read(descriptor, offset, ENTRY.size))
        kind, header_size, size, architecture, flags = fields[0], fields[2], fields[3], fields[8], fields[11]
        if header_size < ENTRY.size:
            raise ValueError("an entry of a fat binary has no header")
        if kind in (PTX, MACHINE_CODE):
            yield kind, architecture, bool(flags & ONLY_THIS_ARCHITECTURE)
        offset += header_size + size


def _next_container(descriptor: int, offset: int, end: int) -> int:
    """Where the next container begins after padding or something unknown."""
    magic = struct.pack("<I", MAGIC)
    while offset < end:
        chunk = os.pread(descriptor, min(GAP, end - offset), offset)
        if not chunk:
            return end
        position = chunk.find(magic)
        while position >= 0:
            if (offset + position) % ALIGNMENT == 0:
                return offset + position
            position = chunk.find(magic, position + 1)
        offset += max(len(chunk) - ALIGNMENT, ALIGNMENT)
    return end
