"""`gpus` as text of at most 80 columns."""

from __future__ import annotations

from launcher.gpu_processes import user_name
from launcher.gpu_report import GpuReport, GpuState, Holder, Process
from launcher.render import one_line, readable_bytes

WIDTH = 80
INDENT = " " * 5
LAYOUT = "{:<5}{:<30}{:>19}{:>6}  {}"
UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def gpus_text(report: GpuReport, now: float) -> str:
    """A block a GPU; `now` is in seconds since the epoch."""
    lines = [_clipped(LAYOUT.format("GPU", "NAME", "MEMORY", "USE", "STATE").rstrip())] if report.gpus else []
    for gpu in report.gpus:
        lines += _block(gpu, now)
    if report.gpus:
        units = [unit for gpu in report.gpus for unit in (gpu.instances or (gpu,))]
        lines.append(f"{sum(unit.state == 'free' for unit in units)} of {len(units)} free")
    return "".join(f"{line}\n" for line in lines)


def _block(gpu: GpuState, now: float) -> list[str]:
    use = "-" if gpu.utilisation is None else f"{gpu.utilisation} %"
    name = gpu.name if len(gpu.name) < 30 else f"{gpu.name[:26]}..."
    lines = [LAYOUT.format(gpu.number, one_line(name), _memory(gpu), use, gpu.state), f"{INDENT}{gpu.uuid}"]
    lines += [_holder(holder, now) for holder in gpu.holders]
    lines += [f"{INDENT}used by other programs: {gpu.busy}"] if gpu.busy else []
    lines += [_process(process) for process in gpu.processes or ()]
    shown = [line for instance in gpu.instances for line in _block(instance, now)]
    return [_clipped(line) for line in lines] + shown


def _memory(gpu: GpuState) -> str:
    if gpu.memory_total is None:
        return "-"
    used = "?" if gpu.memory_used is None else readable_bytes(gpu.memory_used)
    return f"{used} / {readable_bytes(gpu.memory_total)}"


def _holder(holder: Holder, now: float) -> str:
    owner = user_name(holder.owner)
    since = f", for {_duration(now - holder.since)}" if holder.since else ""
    return f"{INDENT}held by {holder.name} ({owner}{since})"


def _duration(seconds: float) -> str:
    return next((f"{int(seconds // size)} {unit}" for size, unit in UNITS if seconds >= size), "less than 1 min")


def _process(process: Process) -> str:
    memory = "-" if process.memory is None else readable_bytes(process.memory)
    where = f"in {process.environment}" if process.environment else "in no environment"
    return f"{INDENT}pid {process.pid:<8}{memory:>10}  {process.owner or 'unknown user'}, {where}"


def _clipped(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
