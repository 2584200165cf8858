"""What `up` would change in an environment that is there, and the consent that changing it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from envcheck.probes.hardware import probe_hardware
from launcher import labels
from launcher.consent import ask
from launcher.context import Context
from launcher.device import DeviceDecision, decide_device, system_root
from launcher.engine import Container
from launcher.errors import ConflictError, UsageError
from launcher.gpu_choice import gpu_count
from launcher.gpus import device_difference
from launcher.ports import checked_port
from launcher.request import text_of, with_settings
from launcher.settings.record import Difference, differences, read_record, wanted
from launcher.settings.setting import Origin, Setting
from launcher.spec import GpuRequest, UpRequest
from launcher.stacks import default_stack

# The processes in a container but its init, the service itself and the program that asks: "pid command line" a line.
PROCESSES = """
import os
for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
    try:
        line = open(f"/proc/{pid}/cmdline", "rb").read().replace(b"\\0", b" ").decode(errors="replace").strip()
        parent = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]
    except OSError:
        continue
    if line and pid not in (1, os.getpid()):
        print(pid, parent, line)
"""
SHOWN_PROCESSES = 5


@dataclass(frozen=True, slots=True)
class Change:
    """`request` is what to make instead; without `differences` the container serves as it is."""

    differences: list[Difference]
    settings: dict[str, Setting]
    decision: DeviceDecision


def change_of(context: Context, request: UpRequest, existing: Container, decision: DeviceDecision) -> Change:
    """Compare a request with the environment that is there. What was asked for by flags then counts still."""
    recorded = read_record(existing.labels.get(labels.SETTINGS, ""), existing.environment)
    now = wanted({setting.slot: setting for setting in request.settings}, recorded)
    found = differences(recorded, now, {"restart": "unless-stopped", "stack": default_stack().name})
    port, has = text_of(now, "port") or str(request.port or ""), existing.labels.get(labels.PORT, "")
    if port and port != has:
        found.append(Difference("port", has, port))
    gpus = GpuRequest.parse(text_of(now, "gpus") or str(request.gpus))
    if gpus != request.gpus:
        decision = decide_device(gpus.kind, probe_hardware(system_root(context.environ)))
    explicit = "gpus" in now or "gpus" in recorded
    every = gpu_count(context) if gpus.kind == "all" else 0
    device = device_difference(existing.labels, gpus, decision.gpu, explicit, every)
    return Change(found + ([Difference("gpus", *device)] if device else []), now, decision)


def changed_request(context: Context, request: UpRequest, existing: Container, change: Change) -> UpRequest:
    """What to make instead of `existing`: on its port, or on the one that was asked for."""
    # A request without settings was not made from options: it says itself what it wants.
    chosen = with_settings(request, change.settings, context.home) if change.settings else request
    return replace(chosen, port=chosen.port or int(existing.labels[labels.PORT]))


def agree_to_change(context: Context, request: UpRequest, existing: Container, change: Change) -> None:
    """Say what differs and what ends, and ask; raises ConflictError when nobody is there, or another port is taken."""
    if any(difference.name == "port" for difference in change.differences):
        checked_port(changed_request(context, request, existing, change).port)
    for difference in change.differences:
        context.progress.say(difference.line())
    if existing.state == "running":
        for line in running_processes(context, existing.name):
            context.progress.say(line)
    lines = "; ".join(difference.line() for difference in change.differences)
    ask(
        context,
        f"{request.name} has other settings ({lines}). Make it anew? Files, token, keys and port are kept.",
        f"the same command with --yes, or `launcher start {request.name}` for it as it is",
        ConflictError,
    )


def running_processes(context: Context, name: str) -> list[str]:
    """What ends with the container, a line each; nothing when only the service itself runs."""
    result = context.engine.execute(name, ("python3", "-I", "-S", "-c", PROCESSES))
    rows = [line.split(" ", 2) for line in result.stdout.splitlines() if line.count(" ") >= 2]
    service = min((int(pid) for pid, parent, _ in rows if parent == "1"), default=0)
    lines = [f"  {line[:100]}" for pid, _, line in rows if int(pid) != service and not line.startswith("sshd")]
    more = [f"  and {len(lines) - SHOWN_PROCESSES} more"] if len(lines) > SHOWN_PROCESSES else []
    return ["These end:", *lines[:SHOWN_PROCESSES], *more] if lines else []


def agree_to_outside(context: Context, request: UpRequest, existing: Container | None = None) -> None:
    """launcher.toml comes with a project, perhaps somebody else's: what it wants of this machine needs a yes.

    That is a mount from outside the project, and a key that may log in. Raises UsageError without consent. What the
    environment that is there has already, was agreed to.
    """
    agreed = read_record(existing.labels.get(labels.SETTINGS, ""), existing.environment) if existing else {}
    asked = [s for s in request.settings if s.origin is Origin.PROJECT and _reaches_out(s, request.project)]
    asked = [s for s in asked if s.slot not in agreed or agreed[s.slot].text != s.text]
    for setting in asked:
        context.progress.say(_outside_line(setting))
    if asked:
        names = ", ".join(f"{setting.key.name} {setting.text}" for setting in asked)
        place = asked[0].place
        ask(context, f"Allow what {place} asks for ({names})?", "the same command with --yes", UsageError)


def _reaches_out(setting: Setting, project: Path) -> bool:
    if setting.key.name == "keys":
        return True
    return setting.key.name == "mounts" and not _host(setting).is_relative_to(project)


def _host(setting: Setting) -> Path:
    return Path(setting.text.removesuffix(":ro").removesuffix(f":{setting.item}"))


def _outside_line(setting: Setting) -> str:
    if setting.key.name == "keys":
        return f"{setting.place} lets the keys in {setting.text} log in"
    access = "read" if setting.text.endswith(":ro") else "read and change"
    return f"{setting.place} lets the container {access} {_host(setting)}, which is outside the project"
