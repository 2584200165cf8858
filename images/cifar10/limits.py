"""What this process may really use: a container's CPU quota and memory limit are in neither os nor /proc/meminfo."""

import ctypes
import os
import re
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
    limits = [len(os.sched_getaffinity(0))]
    for group in _control_groups(root):
        version_1 = (group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")
        quota = text_of(group / "cpu.max") or " ".join(map(text_of, version_1))
        if numbers := re.fullmatch(r"(\d+) ([1-9]\d*)", quota):  # "max" and -1 are no quota
            limits.append(int(numbers[1]) // int(numbers[2]))
    return max(1, min(limits) // local_ranks)


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take: the least of what the machine and each control group have left."""
    left = [_numbers(root / "proc/meminfo").get("MemAvailable", 1 << 34) * 1024]
    for group in _control_groups(root):
        limit = text_of(group / "memory.max") or text_of(group / "memory.limit_in_bytes")
        if limit.isdigit():
            used = text_of(group / "memory.current") or text_of(group / "memory.usage_in_bytes") or 0
            stat = _numbers(group / "memory.stat")
            # The kernel takes this part of the page cache back; in version 1 "total" is with the groups below.
            cache = stat.get("total_inactive_file", stat.get("inactive_file", 0))
            left.append(max(0, int(limit) - int(used) + cache))
    return min(left)


def keep_freed_memory() -> None:
    """Tell glibc not to map and unmap large tensors anew in each step, which takes up to half of a CPU step's time.

    https://man7.org/linux/man-pages/man3/mallopt.3.html; another C library has neither the call nor the habit.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def _control_groups(root: Path) -> list[Path]:
    """The directories of this process's group and of all above it in version 2, then of its two in version 1."""
    own = re.search(r"^0::/*(.*)", text_of(root / "proc/self/cgroup"), re.MULTILINE)
    group = Path(own[1] if own else "")
    return [root / "sys/fs/cgroup" / name for name in (group, *group.parents, "cpu", "memory")]


def _numbers(path: Path) -> dict[str, int]:
    """The numbers of a file with a name and a number on each line."""
    return {name: int(number) for name, number in re.findall(r"^(\w+):?\s+(\d+)", text_of(path), re.MULTILINE)}
