"""What the GPU programs reported, as findings. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from envcheck.checks.answer import fail, ok, skip
from envcheck.compat import cuda_error
from envcheck.finding import Finding
from envcheck.probes.child import Ended

KERNEL = "gpu-kernel"
NUMBERS = ("matmul", "convolution")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU in CUDA's order."""

    index: int
    uuid: str
    name: str


def gpus_of(ended: Ended) -> tuple[Gpu, ...]:
    """Every GPU the kernel program could describe."""
    rows = [values for stage, values in ended.stages.items() if stage.startswith("describe ") and "uuid" in values]
    return tuple(Gpu(int(row["index"]), str(row["uuid"]), str(row["name"])) for row in rows)


def kernel_findings(ended: Ended) -> list[Finding]:
    """One finding a GPU; one in all where initialisation already failed."""
    init = ended.stages.get("init")
    if init is None or "error" in init:
        code = init.get("code") if init else None
        return [_failed(KERNEL, "CUDA does not initialise", str(init["error"]) if init else "", code, ended)]
    return [_kernel(index, ended) for index in range(int(init["count"]))] or [skip(KERNEL, "CUDA sees no GPU")]


def _kernel(index: int, ended: Ended) -> Finding:
    name = ended.value(f"describe {index}", "name") or "unnamed"
    run = ended.stages.get(f"run {index}")
    if run is None or "error" in run:
        code = run.get("code") if run else None
        return _failed(KERNEL, f"no kernel runs on GPU {index} ({name})", str(run["error"]) if run else "", code, ended)
    if run["wrong"]:
        evidence = [f"{run['wrong']} results differ from a * b + i, which is exact in fp32"]
        return fail(KERNEL, None, f"GPU {index} ({name}) computes wrong numbers", evidence)
    return ok(KERNEL, f"GPU {index} ({name}): a kernel ran, every number is right", [f"{run['seconds']:.2f} s"])


def number_findings(ended: Ended) -> list[Finding]:
    """One finding a GPU and operation, from the PyTorch program."""
    imported = ended.stages.get("import")
    if imported is None or "error" in imported:
        return [_failed("gpu-matmul", "PyTorch does not import", str((imported or {}).get("error", "")), None, ended)]
    findings = [_number(name, index, ended) for index in range(int(imported["count"])) for name in NUMBERS]
    return findings or [fail("gpu-matmul", None, "PyTorch sees no GPU", [f"torch {imported['version']}"])]


def _number(name: str, index: int, ended: Ended) -> Finding:
    check, values = f"gpu-{name}", ended.stages.get(f"{name} {index}")
    if values is None or "error" in values:
        return _failed(check, f"{name} fails on GPU {index}", str((values or {}).get("error", "")), None, ended)
    deviation = f"largest deviation {values['worst']:.1e}, allowed {values['tolerance']:.0e}"
    evidence = [deviation, f"{values['seconds']:.2f} s"]
    # Written so that NaN fails.
    if not values["worst"] <= values["tolerance"]:
        return fail(check, None, f"{name} on GPU {index} differs from the CPU", evidence)
    return ok(check, f"{name} on GPU {index} agrees with the CPU", evidence)


def _failed(check: str, summary: str, error: str, code: int | None, ended: Ended) -> Finding:
    evidence = error.splitlines()[:4]
    cause = None
    if code is not None:
        known = cuda_error(code)
        cause = known.cause
        evidence.append(f"CUDA error {code} ({known.name}): {known.text}")
    elif "no kernel image" in error:
        cause = "arch-unsupported"
    elif "out of memory" in error:
        cause = "gpu-out-of-memory"
    if not error and ended.crash is not None:
        crash = ended.crash
        how = "did not end in time" if crash.timed_out else f"ended with {crash.signal or crash.returncode}"
        evidence += [f"stage {crash.stage} {how}", *crash.stderr.splitlines()[-3:]]
    return fail(check, cause, summary, evidence)
