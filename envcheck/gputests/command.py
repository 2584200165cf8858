"""`envcheck gpu`: first the environment, then real work on every GPU."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping

from envcheck import SCHEMA_VERSION
from envcheck.checks.answer import fail
from envcheck.collect import collect, system_root
from envcheck.exits import COULD_NOT_CHECK, FAILED, OK
from envcheck.finding import Finding, Status
from envcheck.gputests.judge import Gpu, gpus_of, kernel_findings, number_findings
from envcheck.judge import ORDER, judge
from envcheck.presence import presence
from envcheck.probes.child import start_bare, start_hosted
from envcheck.probes.torch import find_python

KERNEL_TIMEOUT = 60.0
TORCH_TIMEOUT = 180.0
# What a program on the GPU stands on. PyTorch itself is not imported for it: its architectures come from the image.
LAYERS = ("driver", "container", "cuda", "torch")


def main(argv: list[str]) -> int:
    """0: work ran on every GPU and the numbers are right. 1: it did not. 3: no GPU is visible."""
    parser = argparse.ArgumentParser(
        prog="envcheck gpu", description="Runs work on every visible GPU and compares the numbers."
    )
    parser.add_argument("--quick", action="store_true", help="one kernel a GPU through the driver, without PyTorch")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(argv)
    verdict, gpus, findings = prove(os.environ, quick=options.quick)
    ordered = sorted(findings, key=lambda finding: ORDER[finding.status])
    root = next((finding for finding in ordered if finding.status is Status.FAIL), None)
    if options.json:
        print(json.dumps(_to_json(verdict, root.cause if root else None, gpus, ordered), indent=2))
    else:
        print("\n".join(_text(verdict, ordered)))
    return {"ok": OK, "no-gpu": COULD_NOT_CHECK}.get(verdict, FAILED)


def prove(environ: Mapping[str, str], *, quick: bool) -> tuple[str, tuple[Gpu, ...], list[Finding]]:
    """Verdict (ok, fail or no-gpu), the GPUs in CUDA's order, and every finding."""
    facts = collect(system_root(environ), torch=False, environ=environ)
    expected = presence(facts)
    if not expected.expected:
        return "no-gpu", (), [Finding("gpu-kernel", Status.SKIP, expected.reason)]
    broken = [finding for finding in judge(facts, only=LAYERS).findings if finding.status is Status.FAIL]
    if not facts.cuda.device_count:
        nothing = fail("gpu-kernel", None, "a GPU is expected here, but CUDA sees none", [expected.reason])
        return "fail", (), broken or [nothing]
    ended = start_bare("envcheck.gputests.kernel", environ=environ).finish(KERNEL_TIMEOUT)
    findings = [*broken, *kernel_findings(ended)]
    if not quick and not any(finding.status is Status.FAIL for finding in findings):
        findings += _with_torch(environ)
    failed = any(finding.status is Status.FAIL for finding in findings)
    return ("fail" if failed else "ok"), gpus_of(ended), findings


def _with_torch(environ: Mapping[str, str]) -> list[Finding]:
    python, searched = find_python(environ)
    if python is None:
        return [Finding("gpu-matmul", Status.SKIP, f"PyTorch is not installed in {', '.join(searched)}")]
    ended = start_hosted(python, "envcheck.gputests.torch_numbers", environ=environ).finish(TORCH_TIMEOUT)
    return number_findings(ended)


def _to_json(verdict: str, cause: str | None, gpus: tuple[Gpu, ...], findings: list[Finding]) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict,
        "root_cause": cause,
        "gpus": [{"index": gpu.index, "uuid": gpu.uuid, "name": gpu.name} for gpu in gpus],
        "findings": [finding.to_json() for finding in findings],
    }


def _text(verdict: str, findings: list[Finding]) -> list[str]:
    titles = {"ok": "OK: every GPU computes", "no-gpu": "NO GPU", "fail": "FAIL"}
    lines = [f"envcheck gpu: {titles[verdict]}"]
    for finding in findings:
        name = f" [{finding.cause}]" if finding.cause else ""
        lines.append(f"  {finding.status.value:<5} {finding.check}{name}: {finding.summary}")
        if finding.status is Status.FAIL:
            lines += [f"        seen  {line}" for line in finding.evidence]
            lines += [f"        fix   {line}" for line in finding.fix]
    return lines
