"""From facts to a verdict. Pure but for `examine`, which looks first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envcheck import SCHEMA_VERSION
from envcheck.checks import BY_ID, CHECKS, TOPICS, TORCH_TOPICS, Check
from envcheck.collect import collect
from envcheck.facts import Facts
from envcheck.finding import Finding, Status
from envcheck.fixes import adapt
from envcheck.presence import driver_version, presence

WORST_FIRST = (Status.FAIL, Status.CRASH, Status.WARN, Status.OK, Status.SKIP)
ORDER = {status: place for place, status in enumerate(WORST_FIRST)}


@dataclass(frozen=True, slots=True)
class Report:
    """`verdict` is ok, warn, fail, no-gpu or unknown; `findings` come failures first, the root cause first of all.

    `consequences` are ids of checks whose problem the root cause is likely to explain.
    """

    verdict: str
    root_cause: str | None
    findings: tuple[Finding, ...]
    consequences: tuple[str, ...]
    versions: dict[str, str | int | None]
    reason: str

    def to_json(self) -> dict[str, object]:
        """One object; keys are added, never renamed."""
        return {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.verdict,
            "root_cause": self.root_cause,
            "reason": self.reason,
            "versions": self.versions,
            "consequences": list(self.consequences),
            "findings": [finding.to_json() for finding in self.findings],
        }


def examine(
    root: Path,
    *,
    only: tuple[str, ...] = (),
    skip: tuple[str, ...] = (),
    torch: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Report:
    """Look at the machine below `root` and judge it. PyTorch is left alone where no topic needs it."""
    wanted = torch and bool(TORCH_TOPICS & selected_topics(only, skip))
    return judge(collect(root, torch=wanted, environ=environ), only=only, skip=skip)


def selected_topics(only: tuple[str, ...], skip: tuple[str, ...]) -> frozenset[str]:
    """The topics that --only and --skip leave."""
    return frozenset(topic for topic in TOPICS if (not only or topic in only) and topic not in skip)


def judge(facts: Facts, *, only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> Report:
    """Run the checks of the selected topics over `facts`."""
    topics = selected_topics(only, skip)
    findings = [adapt(_run(check, facts), facts.distribution) for check in CHECKS if check.topic in topics]
    root = _root(findings)
    # Checks run by layer and sorting is stable: the root cause stays first among the failures.
    ordered = sorted(findings, key=lambda finding: ORDER[finding.status])
    return Report(
        verdict=_verdict(facts, findings),
        root_cause=root.cause if root is not None else None,
        findings=tuple(ordered),
        consequences=_consequences(root, findings),
        versions=versions(facts),
        reason=presence(facts).reason,
    )


def _run(check: Check, facts: Facts) -> Finding:
    # A check that breaks is a fault of envcheck; it must not hide what the others found.
    try:
        return check.judge(facts)
    except Exception as error:
        return Finding(check.id, Status.CRASH, f"this check itself failed: {type(error).__name__}: {error}")


def _root(findings: list[Finding]) -> Finding | None:
    """The first failure by layer, else the first warning."""
    for status in (Status.FAIL, Status.WARN):
        found = next((finding for finding in findings if finding.status is status), None)
        if found is not None:
            return found
    return None


def _consequences(root: Finding | None, findings: list[Finding]) -> tuple[str, ...]:
    if root is None or root.status is not Status.FAIL or not BY_ID[root.check].on_gpu_path:
        return ()
    later = findings[findings.index(root) + 1 :]
    bad = (Status.FAIL, Status.WARN)
    return tuple(item.check for item in later if item.status in bad and _explained_by(root, item))


def _explained_by(root: Finding, item: Finding) -> bool:
    check = BY_ID[item.check]
    # What has the same cause is that fault seen from another side.
    return check.on_gpu_path and (not check.own_fault or (item.cause is not None and item.cause == root.cause))


def _verdict(facts: Facts, findings: list[Finding]) -> str:
    statuses = {finding.status for finding in findings}
    if Status.FAIL in statuses:
        return "fail"
    if Status.CRASH in statuses:
        return "unknown"
    if not presence(facts).expected:
        return "no-gpu"
    # Never ok by lack of evidence: where CUDA was to be tried, only a cuInit that worked is a pass.
    tried = [finding.status for finding in findings if finding.check == "cuda-init"]
    if Status.OK not in statuses or (tried and tried[0] is not Status.OK):
        return "unknown"
    return "warn" if Status.WARN in statuses else "ok"


def versions(facts: Facts) -> dict[str, str | int | None]:
    """What was found installed, as each part reports it; None where it was not seen."""
    torch = facts.torch
    vision = torch.torchvision if torch is not None else None
    return {
        "torch": torch.version if torch is not None else None,
        "torch_cuda": torch.cuda if torch is not None else None,
        "torchvision": vision.version if vision is not None else None,
        "cudnn": torch.cudnn if torch is not None else None,
        "nccl": torch.nccl if torch is not None else None,
        "driver": driver_version(facts),
        "cuda_driver": facts.cuda.driver_version or facts.nvml.cuda_version,
        "python": torch.python_version if torch is not None and torch.python_version else facts.python,
    }
