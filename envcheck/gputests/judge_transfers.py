"""What the copies and the all-reduce reported, as findings. Pure."""

from __future__ import annotations

from typing import Any

from envcheck.checks.answer import fail, ok, skip
from envcheck.finding import Finding, Status
from envcheck.gputests.failure import HARDWARE, failed, not_started
from envcheck.gputests.judge import Gpu, title
from envcheck.gputests.runner import Outcome

COPY, PEER, ALL_REDUCE = "gpu-copy", "gpu-peer-copy", "gpu-all-reduce"
PEER_CAUSE = "nccl-peer-to-peer"
MEBIBYTE = 1 << 20
OTHER_CARD = ("try the card in another slot, without a riser cable", *HARDWARE)


def transfer_findings(gpus: tuple[Gpu, ...], outcome: Outcome) -> list[Finding]:
    """Copies of every GPU, then those between GPUs; one finding in all where the program could not start."""
    stage = not_started(outcome)
    if stage is not None:
        return [failed(COPY, "the copies", "could not start", stage, outcome)]
    return [_copy(gpu, outcome) for gpu in gpus] + [_peers(gpu, gpus, outcome) for gpu in gpus]


def _copy(gpu: Gpu, outcome: Outcome) -> Finding:
    name, stage = title(COPY, gpu), f"copy {gpu.index}"
    values = outcome.stages.get(stage)
    if values is None or "error" in values:
        return failed(COPY, name, "fail", stage, outcome)
    if values["wrong"]:
        evidence = [f"{values['wrong']} of {values['bytes'] // 4} numbers came back wrong"]
        return fail(COPY, None, f"{name} change what is copied", evidence, OTHER_CARD)
    rates = f"{values['to_device']:.1f} GB/s to the GPU, {values['to_host']:.1f} GB/s back"
    evidence = [f"{values['bytes'] // MEBIBYTE} MiB each way, every number compared"]
    return ok(COPY, f"{name}: {rates}, data right ({values['seconds']:.1f} s)", evidence)


def _peers(gpu: Gpu, gpus: tuple[Gpu, ...], outcome: Outcome) -> Finding:
    others = [other.index for other in gpus if other.index != gpu.index]
    if gpu.uuid.startswith("MIG-"):
        # https://docs.nvidia.com/datacenter/tesla/mig-user-guide/ : no peer-to-peer between instances
        return skip(PEER, f"GPU {gpu.index} is a MIG instance, which copies to no other GPU directly")
    if not others:
        return skip(PEER, "there is only one GPU")
    judged = {other: _pair(gpu.index, other, outcome) for other in others}
    bad = [found for found in judged.values() if found is not None]
    if bad:
        # A pair that was not tried must not hide one that failed.
        return next((found for found in bad if found.status is Status.FAIL), bad[0])
    return _peers_right(gpu, {other: outcome.stages[f"peer {gpu.index} {other}"] for other in others})


def _pair(source: int, target: int, outcome: Outcome) -> Finding | None:
    """What is wrong with one pair."""
    name, stage = f"GPU {source} -> {target}: the copy", f"peer {source} {target}"
    values = outcome.stages.get(stage)
    if values is None or "error" in values:
        return failed(PEER, name, "fails", stage, outcome, on_hang=PEER_CAUSE)
    if not values["wrong"]:
        return None
    evidence = [f"{values['wrong']} of {values['bytes'] // 4} numbers arrived wrong"]
    evidence.append("directly" if values["direct"] else "through host memory")
    return fail(PEER, PEER_CAUSE if values["direct"] else None, f"{name} changes what is copied", evidence)


def _peers_right(gpu: Gpu, done: dict[int, dict[str, Any]]) -> Finding:
    def named(indexes: list[int]) -> str:
        return ", ".join(map(str, indexes))

    direct = [other for other, values in done.items() if values["direct"]]
    staged = [other for other in done if other not in direct]
    rates = [values["rate"] for values in done.values()]
    span = f"{min(rates):.1f}" if len(rates) == 1 else f"{min(rates):.1f} to {max(rates):.1f}"
    figures = f"data right, {span} GB/s"
    evidence = [f"to GPU {other}: {values['rate']:.1f} GB/s" for other, values in done.items()]
    without = f"direct access to GPU {named(staged)} is not permitted by the topology"
    if not direct:
        return skip(PEER, f"GPU {gpu.index}: {without}; copies through host memory: {figures}")
    summary = f"GPU {gpu.index} -> {named(direct)}: {figures}"
    return ok(PEER, f"{summary}; {without}" if staged else summary, evidence)


def all_reduce_finding(outcome: Outcome) -> Finding:
    """One sum over all GPUs."""
    name, stage = "NCCL all-reduce", not_started(outcome)
    if stage is not None:
        return failed(ALL_REDUCE, name, "could not start", stage, outcome)
    values = outcome.stages.get("all-reduce")
    if values is None or "error" in values:
        return failed(ALL_REDUCE, name, "fails", "all-reduce", outcome, on_hang="nccl-timeout")
    if "skip" in values:
        return skip(ALL_REDUCE, f"{name}: {values['skip']}")
    ranks = f"{values['ranks']} GPU{'s' if values['ranks'] != 1 else ''}"
    if values["wrong"]:
        evidence = [f"{values['wrong']} sums over all ranks are wrong; every one is exact in fp32"]
        cause = PEER_CAUSE if values["ranks"] > 1 else None
        return fail(ALL_REDUCE, cause, f"{name} over {ranks} gives wrong sums", evidence)
    bus = f"bus bandwidth {values['bus']:.1f} GB/s" if values["bus"] is not None else "one rank uses no bus"
    evidence = [f"{values['bytes'] // MEBIBYTE} MiB, {values['rate']:.1f} GB/s of data, every sum compared"]
    return ok(ALL_REDUCE, f"{name} over {ranks}: sums right, {bus} ({values['seconds']:.1f} s)", evidence)
