"""The proof that GPUs work: what ran on each one inside the container."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.engine import Engine, ExecResult
from launcher.errors import NotReadyError
from launcher.findings import failure, report_of

# About a second, for an environment that is waited for.
KERNEL = ("envcheck", "gpu", "--kernel-only", "--json")
# The numbers of PyTorch too, before hours are spent on them.
NUMBERS = ("envcheck", "gpu", "--quick", "--json")


def prove_gpus(engine: Engine, name: str, attached: Sequence[str]) -> None:
    """Run a kernel on each GPU of a container; raises NotReadyError as judge_proof does."""
    judge_proof(engine.execute(name, KERNEL), attached)


def judge_proof(result: ExecResult, attached: Sequence[str]) -> None:
    """Raises NotReadyError with envcheck's cause when `result`, that of KERNEL or NUMBERS, says a GPU does not work.

    `attached` are the GPUs the container was made with: UUIDs, indices where only those are known, or "all".
    """
    if result.exit_code != 0:
        raise failure(result, "the GPU cannot be used in the container", "   (--gpus none uses the CPU)")
    gpus = tuple(str(gpu.get("uuid", "")) for gpu in report_of(result).get("gpus", ()))
    _compare(tuple(attached), gpus)


def _compare(attached: tuple[str, ...], usable: tuple[str, ...]) -> None:
    """An engine that named no GPUs, and MIG instances, which are named otherwise inside, cannot be compared."""
    if attached in ((), ("all",)):
        return
    if len(usable) != len(attached):
        raise NotReadyError(
            f"{len(attached)} GPU(s) were attached but {len(usable)} can be used in the container",
            "Do not set CUDA_VISIBLE_DEVICES with -e, or see what the container says: launcher exec NAME -- envcheck",
            cause_id="cuda-devices-masked",
        )
    named = all(gpu.startswith("GPU-") for gpu in (*attached, *usable))
    if named and set(attached) != set(usable):
        raise NotReadyError(
            f"{', '.join(attached)} was attached but the container has {', '.join(usable)}",
            "The CDI specification is out of date: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
            cause_id="container-cdi-unresolvable",
        )
