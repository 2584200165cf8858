"""What a GPU did under full load, as findings: its numbers, its clocks, its PCIe link. Pure."""

from __future__ import annotations

from typing import Any

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.compat import nvml_error
from envcheck.finding import Finding
from envcheck.gputests.failure import HARDWARE, failed
from envcheck.gputests.judge import Gpu, rate, title
from envcheck.gputests.runner import Outcome

LOAD, CLOCKS, PCIE = "gpu-load", "gpu-clocks", "gpu-pcie"
# A single sample may fall on a change of clocks; held back is what stays so.
SHARE = 0.1
FEWEST = 2
COOLING = ("check fans, dust and the room's temperature; see: nvidia-smi -q -d TEMPERATURE",)
# Not the software power cap, by which a healthy card keeps to its limit. The last one comes with another or alone.
LIMITS = {
    "hw_power_brake": ("the power supply asks it to slow down", ("check the power cables and the power supply",)),
    "hw_thermal": ("it is too hot", COOLING),
    "sw_thermal": ("it is too hot", COOLING),
    "hw_slowdown": ("the hardware slows it down", ("check cooling and power; see: nvidia-smi -q -d PERFORMANCE",)),
}
RESEAT = ("reseat the card, or use another slot; see: nvidia-smi -q | grep -A8 'GPU Link Info'",)


def load_findings(gpu: Gpu, outcome: Outcome) -> list[Finding]:
    """The load itself, and where it ran what was seen meanwhile."""
    name, values = title(LOAD, gpu), outcome.stages.get("load")
    if values is None or "error" in values:
        return [failed(LOAD, name, "fails", "load", outcome)]
    clocks, link = _clocks(title(CLOCKS, gpu), values), _pcie(title(PCIE, gpu), values)
    evidence = [f"largest deviation from the first result {values['worst']:.1e}, allowed {values['tolerance']:.1e}"]
    # Written so that NaN fails.
    if not values["worst"] <= values["tolerance"]:
        return [fail(LOAD, None, f"{name}: the same product gives other numbers", evidence, HARDWARE), clocks, link]
    figures = f"{values['rounds']} products alike, {rate(gpu, values)}"
    return [ok(LOAD, f"{name}: {figures} ({values['loaded']:.1f} s)", evidence), clocks, link]


def _unreadable(values: dict[str, Any]) -> str | None:
    if "sampler_error" in values:
        return str(values["sampler_error"])
    return "NVML gave fewer than two samples" if values["samples"] < FEWEST else None


def _clocks(name: str, values: dict[str, Any]) -> Finding:
    reason = _unreadable(values)
    if reason is None and "reasons_code" in values:
        reason = f"NVML does not say ({nvml_error(values['reasons_code']).name})"
    if reason is not None:
        return skip(CLOCKS, f"{name}: {reason}")
    samples, counts = values["samples"], values["reasons"]
    evidence = [f"{key.replace('_', ' ')}: in {count} of {samples} samples" for key, count in counts.items() if count]
    figures = _conditions(values)
    for key, (why, fix) in LIMITS.items():
        if counts[key] >= max(FEWEST, SHARE * samples):
            summary = f"{name}: held back, {why}; {figures}"
            return warn(CLOCKS, None, summary, evidence, fix)
    capped = ", at its power limit (normal under load)" if counts["sw_power_cap"] else ""
    return ok(CLOCKS, f"{name}: not held back by heat or power supply{capped}; {figures}", evidence)


def _conditions(values: dict[str, Any]) -> str:
    parts = []
    if "temperature" in values:
        parts.append(f"up to {values['temperature']} degrees C")
    if "milliwatts" in values:
        parts.append(f"{values['milliwatts'] / 1000:.0f} W")
    if "megahertz" in values:
        parts.append(f"{values['megahertz']} MHz")
    return ", ".join(parts) or "no further figures"


def _pcie(name: str, values: dict[str, Any]) -> Finding:
    reason = _unreadable(values)
    keys = ("pcie_generation", "pcie_generation_max", "pcie_width", "pcie_width_max")
    # 0 is what virtual machines report where they have no link of their own.
    if reason is None and not all(values.get(key) for key in keys):
        code = values.get("pcie_code")
        reason = f"NVML does not say ({nvml_error(code).name})" if code else "NVML does not say"
    if reason is not None:
        return skip(PCIE, f"{name}: {reason}")
    generation, highest, width, widest = (values[key] for key in keys)
    # A card may have more lanes than its slot.
    widest = min(widest, values.get("pcie_slot", widest))
    link = f"generation {generation} x{width}"
    if width < widest:
        return warn(PCIE, None, f"{name}: {link}, of x{widest} lanes only {width} are used", (), RESEAT)
    if generation < highest:
        return warn(PCIE, None, f"{name}: {link}, where generation {highest} is possible", (), RESEAT)
    return ok(PCIE, f"{name}: {link}, the most this slot allows")
