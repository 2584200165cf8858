"""A CPU in the place of the GPUs, for the programs of gputests (simulated devices; the numbers are computed)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

GIBIBYTE = 1 << 30


class Cpu:
    """Every GPU is the CPU. `memory_seen` is what a GPU says it has free and in all."""

    backend = "gloo"

    def __init__(
        self,
        torch: Any,
        *,
        capability: tuple[int, int] = (9, 0),
        direct: bool = True,
        integrated: bool = False,
        memory: tuple[int, int] = (GIBIBYTE, GIBIBYTE),
    ) -> None:
        self._torch = torch
        self._capability = capability
        self._direct = direct
        self._integrated = integrated
        self._memory = memory
        self.used: list[int] = []

    def device(self, index: int) -> str:
        return "cpu"

    def use(self, index: int) -> None:
        self.used.append(index)

    def capability(self, index: int) -> tuple[int, int]:
        return self._capability

    def describe(self, index: int) -> dict[str, Any]:
        capability = list(self._capability)
        return {"name": "A CPU", "capability": capability, "memory": self._memory[1], "integrated": self._integrated}

    def memory(self, index: int) -> tuple[int, int]:
        return self._memory

    def release(self) -> None:
        return

    def pinned(self, count: int) -> Any:
        return self._torch.zeros(count, dtype=self._torch.int32)

    def copy(self, target: Any, source: Any) -> None:
        target.copy_(source)

    def can_access(self, index: int, peer: int) -> bool:
        return self._direct

    def synchronize(self, *indexes: int) -> None:
        return

    def seconds(self, work: Callable[[], object], repeats: int, *indexes: int) -> float:
        work()
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        return (time.perf_counter() - started) / repeats
