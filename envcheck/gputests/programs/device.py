# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""What the proofs ask of CUDA through PyTorch, in one place, so that tests can put a CPU in its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Cuda:
    """The GPUs that PyTorch sees, by index."""

    backend = "nccl"

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def device(self, index: int) -> str:
        """PyTorch's name of the GPU."""
        return f"cuda:{index}"

    def use(self, index: int) -> None:
        """Make the GPU the current one: pinned memory and NCCL open a context on the current one."""
        self._torch.cuda.set_device(index)

    def capability(self, index: int) -> tuple[int, int]:
        """Compute capability, (8, 9) for 8.9."""
        major, minor = self._torch.cuda.get_device_capability(index)
        return int(major), int(minor)

    def describe(self, index: int) -> dict[str, Any]:
        """Name, compute capability, bytes of memory, and whether that memory is the system's own."""
        found = self._torch.cuda.get_device_properties(index)
        return {
            "name": str(found.name),
            "capability": list(self.capability(index)),
            "memory": int(found.total_memory),
            "integrated": bool(getattr(found, "is_integrated", 0)),
        }

    def memory(self, index: int) -> tuple[int, int]:
        """Free and total bytes, as the driver says."""
        free, total = self._torch.cuda.mem_get_info(index)
        return int(free), int(total)

    def release(self) -> None:
        """Give memory that PyTorch keeps for later back to the driver."""
        self._torch.cuda.empty_cache()

    def pinned(self, count: int) -> Any:
        """`count` 32-bit integers of page-locked host memory."""
        return self._torch.zeros(count, dtype=self._torch.int32, pin_memory=True)

    def copy(self, target: Any, source: Any) -> None:
        """Start a copy between any two devices."""
        target.copy_(source, non_blocking=True)

    def can_access(self, index: int, peer: int) -> bool:
        """Whether the GPU may address the other one's memory directly."""
        return bool(self._torch.cuda.can_device_access_peer(index, peer))

    def synchronize(self, *indexes: int) -> None:
        """Wait until the GPUs have done all they were given."""
        for index in indexes:
            self._torch.cuda.synchronize(index)

    def seconds(self, work: Callable[[], object], repeats: int, *indexes: int) -> float:
        """Mean duration of `work`, which is run once before."""
        work()
        self.synchronize(*indexes)
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        self.synchronize(*indexes)
        return (time.perf_counter() - started) / repeats
