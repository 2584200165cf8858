"""What this process may really use: a container's CPU quota and memory limit are in neither os nor /proc/meminfo."""

import ctypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

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


def cpu_quotas(root: Path) -> Iterator[float]:
    """CPUs granted by every control group above this process (cgroup v2, then v1), in whole ones, at least one."""
    for group in _own_groups(root):
        quota, _, period = text_of(group / "cpu.max").partition(" ")
        yield from _whole_cpus(quota, period)
    quota, period = (text_of(root / "sys/fs/cgroup/cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    yield from _whole_cpus(quota, period)


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


def _whole_cpus(quota: str, period: str) -> Iterator[int]:
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        yield max(1, int(quota) // int(period))


def _fields(path: Path) -> dict[str, int]:
    """The numbers of a file with a name and a number on each line."""
    rows = (line.split() for line in text_of(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def text_of(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
