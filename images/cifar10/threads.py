"""How many CPU threads this process may really use: a container's quota is not in os.cpu_count()."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path


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
    base = root / "sys/fs/cgroup"
    for directory in _own_groups(root):
        quota, _, period = _read(base / directory / "cpu.max").partition(" ")
        yield from _whole_cpus(quota, period)
    quota, period = (_read(base / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    yield from _whole_cpus(quota, period)


def _own_groups(root: Path) -> list[str]:
    line = next((line for line in _read(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), "0::/")
    group = Path(line.removeprefix("0::").lstrip("/"))
    return [str(group), *(str(parent) for parent in group.parents)]


def _whole_cpus(quota: str, period: str) -> Iterator[int]:
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        yield max(1, int(quota) // int(period))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
