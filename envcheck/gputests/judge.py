"""What the proofs of single GPUs reported, as findings: one for every GPU and proof. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envcheck.checks.answer import fail, ok, skip
from envcheck.compat import cudnn_version_text
from envcheck.finding import Finding, Status
from envcheck.gputests.failure import HARDWARE, failed, not_started
from envcheck.gputests.peaks import peak
from envcheck.gputests.proofs import BY_CHECK, NUMBERS
from envcheck.gputests.runner import Outcome

KERNEL = "gpu-kernel"
GIBIBYTE = 1 << 30
PARTS = ("forward", "input_gradient", "weight_gradient", "bias_gradient")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU in CUDA's order."""

    index: int
    uuid: str
    name: str


def gpus_of(outcome: Outcome) -> tuple[Gpu, ...]:
    """Every GPU the kernel program could describe."""
    rows = [values for stage, values in outcome.stages.items() if stage.startswith("describe ") and "uuid" in values]
    return tuple(Gpu(int(row["index"]), str(row["uuid"]), str(row["name"])) for row in rows)


def kernel_findings(outcome: Outcome) -> list[Finding]:
    """One finding a GPU; one in all where initialisation already failed."""
    init = outcome.stages.get("init")
    if init is None or "error" in init:
        stage = outcome.crashes[0].stage if outcome.crashes and init is None else "init"
        return [failed(KERNEL, "CUDA", "does not initialise", stage, outcome)]
    return [_kernel(index, outcome) for index in range(int(init["count"]))] or [skip(KERNEL, "CUDA sees no GPU")]


def _kernel(index: int, outcome: Outcome) -> Finding:
    name = outcome.stages.get(f"describe {index}", {}).get("name") or "unnamed"
    run = outcome.stages.get(f"run {index}")
    if run is None or "error" in run:
        return failed(KERNEL, f"GPU {index} ({name})", "runs no kernel", f"run {index}", outcome)
    if run["wrong"]:
        evidence = [f"{run['wrong']} results differ from a * b + i, which is exact in fp32"]
        return fail(KERNEL, None, f"GPU {index} ({name}) computes wrong numbers", evidence, HARDWARE)
    return ok(KERNEL, f"GPU {index} ({name}): a kernel ran, every number is right", [f"{run['seconds']:.2f} s"])


def gpu_findings(gpu: Gpu, stages: tuple[str, ...], outcome: Outcome) -> list[Finding]:
    """PyTorch on this GPU, then each of `stages` that is a comparison of numbers, and the memory."""
    reached = _reached(gpu, outcome)
    if reached.status is Status.FAIL and not any(stage in outcome.stages or outcome.crash(stage) for stage in stages):
        return [reached]
    findings = [_number(check, gpu, outcome) for check in NUMBERS if BY_CHECK[check].stage in stages]
    return [reached, *findings, *([_memory(gpu, outcome)] if "memory" in stages else [])]


def title(check: str, gpu: Gpu) -> str:
    """How the summary of a finding about one GPU begins."""
    return f"GPU {gpu.index}: {BY_CHECK[check].title}"


def _reached(gpu: Gpu, outcome: Outcome) -> Finding:
    check, imported = "gpu-pytorch", outcome.stages.get("import", {})
    stage = not_started(outcome)
    if stage is not None:
        return failed(check, f"GPU {gpu.index}: PyTorch", "does not import", stage, outcome)
    if imported["cuda"] is None:
        cause = None if imported["hip"] else "torch-cpu-only"
        made = "for AMD GPUs" if imported["hip"] else "for the CPU"
        return fail(check, cause, f"GPU {gpu.index}: this PyTorch is built {made}", [f"torch {imported['version']}"])
    values = outcome.stages.get("device")
    if values is None or "error" in values:
        return failed(check, f"GPU {gpu.index}: PyTorch", "does not reach it", "device", outcome)
    capability = ".".join(map(str, values["capability"]))
    about = f"{values['name']}, compute capability {capability}, {values['memory'] / GIBIBYTE:.1f} GiB"
    evidence = [f"torch {imported['version']}, CUDA {imported['cuda']}"]
    return ok(check, f"GPU {gpu.index}: PyTorch reaches it: {about} ({values['seconds']:.1f} s)", evidence)


def _number(check: str, gpu: Gpu, outcome: Outcome) -> Finding:
    stage, name = BY_CHECK[check].stage, title(check, gpu)
    values = outcome.stages.get(stage)
    if values is None or "error" in values:
        return failed(check, name, "fails", stage, outcome)
    if "skip" in values:
        return skip(check, f"{name}: {values['skip']}")
    if check == "gpu-nms":
        return _nms(name, values)
    # Written so that NaN fails.
    wrong = not values["worst"] <= values["tolerance"]
    wrong = wrong or ("timed_worst" in values and not values["timed_worst"] <= values["timed_tolerance"])
    if wrong:
        return fail(check, None, f"{name} differs from the CPU", _deviations(values), HARDWARE)
    if check == "gpu-convolution" and values["cudnn"] is None:
        return skip(check, f"{name}: this PyTorch does not use cuDNN; its own convolution agrees with the CPU")
    return ok(check, f"{name}: {_figures(gpu, values)} ({values['seconds']:.1f} s)", _deviations(values))


def _deviations(values: dict[str, Any]) -> list[str]:
    lines = [f"largest deviation {values['worst']:.1e}, allowed {values['tolerance']:.1e}"]
    if "timed_worst" in values:
        allowed = f"{values['timed_worst']:.1e}, allowed {values['timed_tolerance']:.1e}"
        lines.append(f"matrices of order {values['order']}: largest deviation {allowed}")
    return lines + [f"{part.replace('_', ' ')} {values[part]:.1e}" for part in PARTS if part in values]


def _figures(gpu: Gpu, values: dict[str, Any]) -> str:
    text = f"deviation {values['worst']:.1e} of {values['tolerance']:.1e} allowed"
    if "tflops" in values:
        text += f", {rate(gpu, values)}"
    if values.get("cudnn"):
        text += f", cuDNN {cudnn_version_text(values['cudnn'])}"
    return text


def rate(gpu: Gpu, values: dict[str, Any]) -> str:
    """Operations a second, and their share of what is published for this card."""
    highest = peak(gpu.name, values["precision"])
    share = f" ({values['tflops'] / highest:.0%} of the card's {highest:g})" if highest else ""
    return f"{values['tflops']:.1f} TFLOP/s in {values['precision']}{share}"


def _nms(name: str, values: dict[str, Any]) -> Finding:
    kept = f"kept {values['kept']} of {values['boxes']} boxes"
    if not values["equal"]:
        evidence = [f"{kept}, plain Python {values['expected']}"]
        return fail("gpu-nms", None, f"{name} differs from plain Python", evidence, HARDWARE)
    return ok("gpu-nms", f"{name}: {kept}, as plain Python does ({values['seconds']:.1f} s)", [values["version"]])


def _memory(gpu: Gpu, outcome: Outcome) -> Finding:
    check, name = "gpu-memory", title("gpu-memory", gpu)
    values = outcome.stages.get("memory")
    if values is None or "error" in values:
        return failed(check, name, "cannot be used", "memory", outcome)
    if "skip" in values:
        return skip(check, f"{name}: {values['skip']}")
    sizes = {key: f"{values[key] / GIBIBYTE:.1f}" for key in ("bytes", "free", "total", "free_after")}
    evidence = [f"{sizes['free']} of {sizes['total']} GiB free before, {sizes['free_after']} GiB after"]
    if values["wrong"]:
        lines = [f"{values['wrong']} numbers were read back other than they were written", *evidence]
        return fail(check, "gpu-memory-ecc", f"{name} does not keep what is written to it", lines)
    return ok(check, f"{name}: {sizes['bytes']} GiB written and read back right ({values['seconds']:.1f} s)", evidence)
