"""Runs a set-up plan, and brings an engine up where none answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from launcher.endpoint import resolve_endpoint
from launcher.errors import LauncherError, NotReadyError, TimedOutError
from launcher.progress import Progress
from launcher.setup.probe import EngineState, ask_engine

START_SECONDS = 60.0
POLL_SECONDS = 0.1
TYPE_CHECKING = False
if TYPE_CHECKING:
    from launcher.setup.steps import SetupPlan, Step


def ensure_engine(progress: Progress, *, consent: bool | None, environ: Mapping[str, str] | None = None) -> None:
    """Return at once when the engine answers; otherwise set one up with consent, or explain.

    `consent` True installs, False never does, None asks on a terminal. Raises NotReadyError (no engine, no permission),
    TimedOutError (an engine that hangs) and LauncherError (an installation command failed).
    """
    environ = os.environ if environ is None else environ
    endpoint = resolve_endpoint(environ)
    state = ask_engine(endpoint.url).state
    # ssh:// and TLS endpoints cannot be asked without the SDK, which names their failures itself.
    if state in (EngineState.ANSWERS, EngineState.UNKNOWN):
        return
    from launcher.setup.obstacles import socket_obstacle

    if obstacle := socket_obstacle(state, endpoint.url, endpoint.source):
        raise obstacle
    plan = make_plan(environ)
    if plan.blocked:
        raise plan.blocked
    progress.say("No container engine answers on this machine. The commands that set one up:")
    agree(plan, progress, consent)
    with progress.phase("set-up"):
        perform(plan, progress, environ)


def make_plan(environ: Mapping[str, str]) -> SetupPlan:
    """Look at this machine and plan what it lacks."""
    from launcher.setup.detect import detect
    from launcher.setup.steps import plan_setup

    return plan_setup(detect(Path(environ.get("ENVCHECK_ROOT") or "/"), environ))


def agree(plan: SetupPlan, progress: Progress, consent: bool | None) -> None:
    """Show the plan and get a yes; raises NotReadyError without one."""
    for line in dry_run_text(plan).splitlines():
        progress.say(f"  {line}")
    if consent is None and sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write("Type yes to run them: ")
        sys.stderr.flush()
        consent = sys.stdin.readline().strip().lower() in ("y", "yes")
    if not consent:
        raise NotReadyError(
            "no container engine answers, and setting one up was not agreed to",
            "Run: launcher setup   (or add --yes to this command)",
            cause_id="docker-daemon-unreachable",
        )


def dry_run_text(plan: SetupPlan) -> str:
    """Every command in order, each below a comment that says what it is for; then the notes."""
    lines = [line for step in plan.steps for line in (f"# {step.description}", step.command)]
    return "\n".join([*lines, *plan.notes])


def perform(plan: SetupPlan, progress: Progress, environ: Mapping[str, str] | None = None) -> None:
    """Run every step; shows the output of one that fails. Raises the plan's obstacle, LauncherError, TimedOutError."""
    if plan.blocked:
        raise plan.blocked
    for number, step in enumerate(plan.steps, 1):
        progress.update(f"[{number}/{len(plan.steps)}] {step.description}")
        _run(step, progress)
        if step.starts_engine:
            wait_for_engine(os.environ if environ is None else environ)
    for note in plan.notes:
        progress.say(note)


def wait_for_engine(environ: Mapping[str, str], seconds: float = START_SECONDS) -> None:
    """Wait until the engine's socket answers, or refuses this user: then it is up, and the next step opens it."""
    url = resolve_endpoint(environ).url
    deadline = time.monotonic() + seconds
    while ask_engine(url).state not in (EngineState.ANSWERS, EngineState.REFUSES):
        if time.monotonic() > deadline:
            raise TimedOutError(
                f"the engine was started, but did not answer at {url} within {seconds:.0f} s",
                "Look at its log: journalctl -u docker, or /var/log/gpu-launcher-dockerd.log",
                cause_id="docker-daemon-unreachable",
            )
        time.sleep(POLL_SECONDS)


def _run(step: Step, progress: Progress) -> None:
    # stdin stays the terminal's: sudo may have to ask for a password.
    try:
        done = subprocess.run(step.argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except OSError as error:
        cause = f"{step.argv[0]} could not be started: {error.strerror}"
        raise LauncherError(cause, f"Install {step.argv[0]}") from None
    if done.returncode == 0:
        return
    for line in done.stdout.strip().splitlines()[-15:]:
        progress.say(f"  | {line}")
    if step.accepted_when and Path(step.accepted_when).exists():
        progress.say(f"{step.description}: failed, but {step.accepted_when} is there; going on with it")
        return
    raise LauncherError(
        f"{step.description}: exit {done.returncode}", f"Correct what the lines above say, then run: {step.command}"
    )
