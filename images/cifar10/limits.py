"""What this process may really use: a container's CPU quota and memory limit are in neither os nor /proc/meminfo."""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

from cifar10.files import text_of

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def thread_count(environ: Mapping[str, str], local_ranks: int, root: Path = Path("/")) -> int:
    """Threads for one of `local_ranks` processes: OMP_NUM_THREADS if set, else its share of affinity and CPU quota.

    More threads than the quota allows are slower than one: they wait for each other while throttled.
    """
    asked = environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    processors = min([len(os.sched_getaffinity(0)), *cpu_quotas(root)])
    return max(1, int(processors) // local_ranks)


def cpu_quotas(root: Path) -> list[int]:
    """CPUs granted by every control group above this process (cgroup v2, then v1), in whole ones, at least one."""
    quotas = [text_of(group / "cpu.max").split() for group in _own_groups(root)]
    quotas.append([text_of(root / f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period")])
    # "max" and -1, where there is none, are no digits.
    return [max(1, int(pair[0]) // int(pair[1])) for pair in quotas if len(pair) == 2 and all(map(str.isdigit, pair))]


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take: the least of what the machine and each control group have left."""
    machine = _fields(root / "proc/meminfo").get("MemAvailable:", 1 << 34) * 1024
    old = root / "sys/fs/cgroup/memory"
    groups = [(group, "memory.max", "memory.current", "inactive_file") for group in _own_groups(root)]
    groups.append((old, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
    left = [machine]
    for group, limit, usage, cache in groups:
        if (most := text_of(group / limit)).isdigit():
            used = int(text_of(group / usage) or 0) - _fields(group / "memory.stat").get(cache, 0)
            left.append(max(0, int(most) - used))
    return min(left)


def keep_freed_memory() -> None:
    """Tell glibc not to map and unmap large tensors anew in each step, which takes up to half of a CPU step's time.

    https://man7.org/linux/man-pages/man3/mallopt.3.html; other C libraries have no such call and no such habit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def _own_groups(root: Path) -> list[Path]:
    line = next((line for line in text_of(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), "0::/")
    group = Path(line.removeprefix("0::").lstrip("/"))
    return [root / "sys/fs/cgroup" / directory for directory in (group, *group.parents)]


def _fields(path: Path) -> dict[str, int]:
    """The numbers of a file with a name and a number on each line."""
    rows = (line.split() for line in text_of(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
