"""The GPU rule: an environment never lands on the CPU silently.

Standard library and envcheck only: bin/launcher runs this module on bare Python before it installs anything,
so that a run that must fail does so before a byte is downloaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envcheck.facts import Hardware
from envcheck.probes.hardware import probe_hardware
from launcher.errors import LauncherError, NotReadyError, ParserMissingError

SAID_VARIABLE = "GPU_LAUNCHER_DEVICE_SAID"
# main's exit code where the launcher proper has to say it: bin/launcher goes on then.
UNDECIDED = 75
ASKED_FOR_CPU = "asked for with --gpus none"


@dataclass(frozen=True, slots=True)
class DeviceDecision:
    """Whether GPUs are attached, the reason in words, and whether this machine has an NVIDIA card."""

    gpu: bool
    reason: str
    card: bool

    def line(self) -> str:
        """The first line a user reads."""
        return f"Device: {'GPU' if self.gpu else 'CPU'} ({self.reason})"


def decide_device(kind: str, hardware: Hardware) -> DeviceDecision:
    """`kind` is GpuRequest.kind; only `none`, or `auto` on a machine without an NVIDIA card, means CPU."""
    card = hardware.present
    seen = f"NVIDIA card found: {hardware.evidence[0]}" if card else "no NVIDIA card found on this machine"
    if kind == "none":
        return DeviceDecision(False, ASKED_FOR_CPU, card)
    if kind != "auto":
        return DeviceDecision(True, f"asked for with --gpus; {seen}", card)
    return DeviceDecision(card, seen, card)


def system_root(environ: Mapping[str, str]) -> Path:
    """`/`, or a recorded machine's root for tests (ENVCHECK_ROOT)."""
    return Path(environ.get("ENVCHECK_ROOT") or "/")


def refuse_broken_driver(decision: DeviceDecision, hardware: Hardware, root: Path) -> None:
    """Raises NotReadyError with envcheck's cause where a card is present but its driver cannot serve anybody."""
    if not (decision.gpu and hardware.present):
        return
    from envcheck.judge import examine

    report = examine(root, only=("driver",), torch=False)
    if report.verdict == "fail":
        first = report.findings[0]
        fix = first.fix[0] if first.fix else "Run envcheck for the details."
        raise NotReadyError(
            f"the NVIDIA card cannot be used: {first.summary}",
            f"{fix} (then `launcher setup` for the NVIDIA Container Toolkit; --gpus none runs on the CPU)",
            cause_id=report.root_cause,
        )


def _option(arguments: list[str], name: str) -> str | None:
    """The value of an option, as far as the first line needs it."""
    for index, argument in enumerate(arguments):
        if argument == name and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
    return None


def _early_request(arguments: list[str]) -> tuple[str, bool]:
    """The kind of GPU request and whether checks are skipped, by flags, variables and files.

    Raises UsageError for what is wrong in them, ParserMissingError where this Python cannot read a file that is there.
    """
    from launcher.host import home_directory
    from launcher.host_paths import checkout, project_directory
    from launcher.settings.resolve import resolve
    from launcher.spec import GpuRequest

    home = home_directory(os.environ)
    project = project_directory(_option(arguments, "--project"), home, checkout())
    flags = {"gpus": _option(arguments, "--gpus"), "skip_check": True if "--skip-check" in arguments else None}
    settings = resolve(os.environ, home, project, flags)
    gpus, skip = settings.get("gpus"), settings.get("skip-check")
    return GpuRequest.parse(gpus.text if gpus else "auto").kind, skip is not None and skip.text == "true"


def main() -> None:
    """Print the first line for `up` and `train` and refuse what cannot work; the launcher proper does the rest."""
    arguments = sys.argv[1:]
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if not own or own[0] not in ("up", "train") or {"-h", "--help"} & set(own):
        return
    try:
        _apply(own)
    except ParserMissingError:
        sys.exit(UNDECIDED)
    except LauncherError as error:
        from launcher.render import report_error

        sys.exit(report_error(error, "--json" in own))


def _apply(arguments: list[str]) -> None:
    kind, skip_check = _early_request(arguments)
    root = system_root(os.environ)
    hardware = probe_hardware(root)
    decision = decide_device(kind, hardware)
    print(decision.line(), file=sys.stderr, flush=True)
    if os.environ.get("DOCKER_HOST", "unix://").startswith("unix://") and not skip_check:
        refuse_broken_driver(decision, hardware, root)


if __name__ == "__main__":
    main()
