"""The proof that GPUs work: what ran on each one inside the container."""

from __future__ import annotations

import re
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
    """GPUs of an engine that named none cannot be compared, and of those with numbers only how many they are."""
    if attached in ((), ("all",)):
        return
    if any(is_instance(gpu) for gpu in attached):
        _compare_instances(attached, usable)
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


def is_instance(gpu: str) -> bool:
    """Whether this UUID or number is a MIG instance's."""
    return gpu.startswith("MIG-") or ":" in gpu


def _compare_instances(attached: tuple[str, ...], usable: tuple[str, ...]) -> None:
    """A process sees one MIG instance, however many there are:
    https://docs.nvidia.com/datacenter/tesla/mig-user-guide/#cuda-visible-devices
    """
    # Drivers before 470 name instances by their card's UUID and numbers, and CUDA before 11.4 by the card's alone.
    named = all(re.fullmatch(r"MIG-[0-9a-f-]{36}", gpu) for gpu in (*attached, *usable))
    if not usable or (named and not set(usable) <= set(attached)):
        raise NotReadyError(
            f"MIG instance {', '.join(attached)} was attached but the container has {', '.join(usable) or 'none'}",
            "The CDI specification is out of date: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
            cause_id="container-cdi-unresolvable",
        )
