"""The proof that GPUs work: a kernel has run on each one inside the container."""

from __future__ import annotations

import json
from dataclasses import dataclass

from launcher.engine import Engine
from launcher.errors import NotReadyError

COMMAND = ("envcheck", "gpu", "--quick", "--json")


@dataclass(frozen=True, slots=True)
class Proof:
    """UUIDs of the GPUs on which a kernel ran."""

    gpus: tuple[str, ...]


def prove_gpus(engine: Engine, name: str, expected: int | None) -> Proof:
    """Run the proof in a container; raises NotReadyError with envcheck's cause when a GPU does not work.

    `expected` is the number of GPUs attached, None when the engine did not tell.
    """
    result = engine.execute(name, COMMAND)
    try:
        report = json.loads(result.stdout)
    except ValueError:
        report = {}
    gpus = tuple(str(gpu.get("uuid", "")) for gpu in report.get("gpus", ()))
    if result.exit_code != 0:
        raise _error(report, result.stderr)
    if expected is not None and len(gpus) != expected:
        raise NotReadyError(
            f"{expected} GPU(s) were attached but {len(gpus)} can be used in the container",
            "Run: envcheck",
            cause_id="container-cdi-unresolvable",
        )
    return Proof(gpus)


def _error(report: dict[str, object], stderr: str) -> NotReadyError:
    """envcheck's first finding in two lines."""
    findings = report.get("findings")
    first = findings[0] if isinstance(findings, list) and findings else {}
    summary = first.get("summary") or next(iter(stderr.strip().splitlines()), "") or "CUDA does not run"
    fixes = first.get("fix") or ["Run envcheck for the details, or use the CPU with --gpus none"]
    cause_id = report.get("root_cause")
    return NotReadyError(
        f"the GPU cannot be used in the container: {summary}",
        str(fixes[0]),
        cause_id=str(cause_id) if cause_id else None,
    )
