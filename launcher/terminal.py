"""Commands in a container on the user's own terminal, by the docker command: it knows raw mode and resizing."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence

from launcher.context import Context
from launcher.errors import NotReadyError
from launcher.interrupt import Interrupted
from launcher.plan import RUN

FALLBACK_PATHS = ("/usr/bin/docker", "/usr/local/bin/docker", "/snap/bin/docker")


def docker_command(context: Context) -> list[str]:
    """The docker program, told which engine; raises NotReadyError where there is none."""
    program = shutil.which("docker", path=context.environ.get("PATH")) or next(
        filter(shutil.which, FALLBACK_PATHS), None
    )
    if program is None:
        raise NotReadyError("the docker command is not installed", "Run: launcher setup")
    return [program, *context.client_endpoint.docker_arguments()]


def on_terminal() -> bool:
    """True when a person sits at both ends: only then may stdout and stderr be one stream."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def run_in(context: Context, name: str, command: Sequence[str], variables: Sequence[str] = ()) -> int:
    """Run a command in a running container with our stdin, stdout and stderr; returns its exit code.

    Without a terminal docker exec does not pass signals on, so the process's id is kept in the container and an
    interrupted launcher interrupts it too.
    """
    pid_file = f"{RUN}/exec-{secrets.token_hex(6)}.pid"
    script = 'echo $$ > "$0"; exec "$@"'
    flags = ["-it"] if on_terminal() else ["-i"]
    settings = [argument for variable in variables for argument in ("-e", variable)]
    argv = [*docker_command(context), "exec", *flags, *settings, name, "sh", "-c", script, pid_file, *command]
    process = subprocess.Popen(argv)
    try:
        return process.wait()
    except Interrupted as interruption:
        signal = f'kill -{int(interruption.signal)} "$(cat {pid_file})"'
        context.engine.execute(name, ("sh", "-c", signal))
        process.wait()
        raise
    finally:
        context.engine.execute(name, ("rm", "-f", pid_file))


def follow(context: Context, name: str) -> int:
    """Show a started container's output until it ends, stdout on stdout and stderr on stderr; returns its exit code.

    From its log rather than by attaching: what was printed before we looked is not lost. A signal is passed on, and
    the container is waited for: the trainer saves a checkpoint and ends by itself.
    """
    # In a session of its own, or Ctrl-C would end the reader before the last lines.
    process = subprocess.Popen([*docker_command(context), "logs", "--follow", name], start_new_session=True)
    while True:
        try:
            process.wait()
            return context.engine.wait(name)
        except Interrupted as interruption:
            context.engine.kill(name, interruption.signal.name)
