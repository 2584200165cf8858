"""The one place that prints results: text for people, JSON for scripts, both on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from launcher.engine import Volume
from launcher.environments import Environment
from launcher.errors import LauncherError
from launcher.progress import Phase
from launcher.result import EnvironmentResult

if TYPE_CHECKING:
    from launcher.check import Comparison, Report
    from launcher.prune import Item


def print_json(value: dict[str, Any]) -> None:
    """One object, indented: it is read by people too."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def address_text(result: EnvironmentResult) -> str:
    """The one working line, and for ssh the editor's; over an SSH connection also the laptop's."""
    lines = [result.url] if result.url else []
    if result.ssh:
        lines += [result.ssh.command, result.ssh.vscode]
    if result.remote:
        lines += ["", "From your laptop:", result.remote]
    return "\n".join(line for line in lines if line is not None) + "\n"


def phases_text(phases: Sequence[Phase]) -> str:
    """How long each step took, in the order it ran."""
    total = sum(phase.seconds for phase in phases)
    return "Ready in " + f"{total:.1f} s: " + ", ".join(f"{phase.name} {phase.seconds:.1f} s" for phase in phases)


def table(environments: Sequence[Environment], owners: bool) -> str:
    """A row an environment; owners only where they differ from the caller."""
    if not environments:
        return "No environments. Start one: launcher up --mode jupyter\n"
    header = ["NAME", "MODE", "STATE", "DEVICE", "PORT", "PROJECT"] + (["OWNER"] if owners else [])
    rows = [header] + [_row(environment, owners) for environment in environments]
    return columns(rows)


def comparison_text(comparison: Comparison) -> str:
    """Both sides of `check`, a row a check."""
    sides = ("CHECK", "THIS MACHINE", comparison.name or "")
    shown = [sides, ("verdict", _verdict(comparison.host), _verdict(comparison.container)), *comparison.rows()]
    return columns([list(row if comparison.container else row[:2]) for row in shown])


def _verdict(report: Report | None) -> str:
    return "-" if report is None else report.verdict.upper()


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of as many cells each, in columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _row(e: Environment, owners: bool) -> list[str]:
    # The beginning of a UUID tells cards apart, and CUDA takes it for the whole.
    device = f"gpu {','.join(gpu[:12] for gpu in e.gpus)}" if e.device == "gpu" else "cpu"
    project = (one_line(e.project) or "-") + (" (copied)" if e.synced else "")
    return [e.name, e.mode, e.state, device, str(e.port), project] + ([str(e.owner)] if owners else [])


def status_text(result: EnvironmentResult) -> str:
    """One fact a line, then how to reach it."""
    e = result.environment
    facts = [("name", e.name), ("mode", e.mode), ("state", e.state), ("device", f"{e.device} ({e.device_reason})")]
    facts += [("gpus", ", ".join(e.gpus))] if e.gpus else []
    copied = f" (copied: launcher sync {e.name})" if e.synced else ""
    facts += [("project", one_line(e.project) + copied), ("port", f"127.0.0.1:{e.port}")]
    facts += [("gpu", f"lost: programs in it see no GPU; next: {result.next}")] if result.gpu_lost else []
    lines = "".join(f"{key:<8} {value}\n" for key, value in facts)
    return lines + (address_text(result) if result.url or result.ssh else "")


def volumes_text(name: str, volumes: Sequence[Volume]) -> str:
    """The volumes that would be deleted, with sizes."""
    rows = sized_volumes(volumes)
    return "\n".join([f"{name} has {len(rows)} volume(s) of its own:", *rows])


def sized_volumes(volumes: Sequence[Volume]) -> list[str]:
    """A line a volume."""
    return [f"  {volume.name}  {_size(volume.bytes)}" for volume in volumes]


def items_text(items: Sequence[Item], freed: int) -> str:
    """What `prune` would remove, a line a thing, and how much that frees at least."""
    if not items:
        return "Nothing to prune."
    rows = [[f"  {item.kind}", one_line(item.name), _size(item.bytes), one_line(item.why)] for item in items]
    return columns(rows) + f"{len(items)} thing(s), at least {readable_bytes(freed)}"


def _size(count: int | None) -> str:
    return "size unknown" if count is None or count < 0 else readable_bytes(count)


def readable_bytes(count: int) -> str:
    """Bytes with a decimal unit, as disks are sold and `docker system df` prints."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def listing_json(environments: Sequence[Environment]) -> dict[str, Any]:
    """The object of `ls --json`; `project` is null for another user's environment."""
    rows = []
    for e in environments:
        row = {
            "name": e.name,
            "mode": e.mode,
            "state": e.state,
            "device": e.device,
            "gpus": list(e.gpus),
            "project": e.project or None,
            "synced": e.synced,
        }
        rows.append(row | {"port": e.port, "owner": e.owner, "container_id": e.container_id})
    return {"environments": rows}


def error_json(error: LauncherError) -> dict[str, Any]:
    """The object a failing command prints with --json."""
    return {"error": {"code": error.code, "cause": error.cause, "cause_id": error.cause_id, "next": error.next_step}}


def report_error(error: LauncherError, as_json: bool) -> int:
    """Print a failure: two lines on stderr, and with --json the object on stdout. Returns the exit code."""
    # The report itself may have nowhere to go: a full disk, a closed stream. The exit code still tells.
    with suppress(OSError, AttributeError):
        if as_json:
            print_json(error_json(error))
    with suppress(OSError, AttributeError):
        sys.stderr.write(error_text(error))
    return error.code


def error_text(error: LauncherError) -> str:
    """The failed part's own last lines, one line of cause, one of next step."""
    log = "".join(f"  | {line}\n" for line in error.log.splitlines())
    return f"{log}launcher: {one_line(error.cause)}\n  next: {one_line(error.next_step)}\n"


def one_line(text: str) -> str:
    """Control characters and undecodable bytes escaped: a path may hold any, and a screen obeys some."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
