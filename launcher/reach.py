"""How the ports of environments are reached from here: directly, by a tunnel, or not at all."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from launcher.access import ssh
from launcher.context import Context
from launcher.environments import Environment
from launcher.errors import LauncherError, UsageError
from launcher.ports import is_free
from launcher.remote.tunnel import Tunnel

FAR_SECONDS = 5.0  # what another machine gets at least


def local_port(context: Context, environment: Environment) -> int:
    """The port on this machine's loopback that leads to the environment; a dead tunnel is made anew."""
    tunnel = _tunnel(context, environment.name)
    return tunnel.open(environment.port) if tunnel else environment.port


def refuse_name(context: Context, name: str) -> None:
    """Raises UsageError for an environment that is called as the machine it is reached through: ssh would loop."""
    if not context.endpoint.local and name == context.endpoint.place:
        raise UsageError(
            f"{name} is the machine that the engine is on, so no environment can have that name",
            "Choose another: launcher up NAME ...",
        )


def close(context: Context, name: str) -> None:
    """End the tunnel of an environment that stops; its port is remembered."""
    if tunnel := _tunnel(context, name):
        tunnel.close()


def forget(context: Context, name: str, last: bool) -> None:
    """As close, for one that is deleted; with the `last` one the engine's connection ends too."""
    if tunnel := _tunnel(context, name):
        tunnel.forget()
    if last and context.remote:
        context.remote.close()


@contextmanager
def closed_on_failure(context: Context, name: str) -> Iterator[None]:
    """No tunnel stays of an environment that could not be started."""
    try:
        yield
    except BaseException:
        close(context, name)
        raise


def proxy_command(context: Context) -> str | None:
    """How ssh gets to a port of the engine's machine, with the user's own configuration; None where it is this one.

    A command and not ProxyJump: that would read the configuration that names the environment, given with -F.
    """
    remote = context.remote
    if remote is not None:
        host, options = remote.master.host, ("-S", str(remote.master.control), "-o", "ControlMaster=no")
        # A percent sign of a path would be a token of ssh's own.
        words = [word.replace("%", "%%") for word in host.arguments(*options)]
        return shlex.join([words[0], "-W", "%h:%p", *words[1:]])
    if not context.endpoint.local:
        return f"ssh -W %h:%p -- {shlex.quote(context.endpoint.place)}"
    return None


def answers(context: Context, environment: Environment, seconds: float) -> Callable[[], bool] | None:
    """For SSH: a question whether sshd greets in `seconds`. None where the port cannot be asked from here (tcp://)."""
    remote = context.remote
    if remote is not None:
        return lambda: remote.banner(environment.port, max(seconds, FAR_SECONDS)).startswith(b"SSH-2.0-")
    if context.endpoint.local:
        return lambda: ssh.banner(environment.port, seconds)
    return None


def healthy(context: Context, environment: Environment) -> bool:
    """What the engine's own health check says: all there is where ports cannot be reached."""
    try:
        container = context.engine.container(environment.engine_name)
    except LauncherError:
        return False
    return container is not None and container.state == "running" and container.health == "healthy"


def instructions(context: Context, mode: str, port: int) -> str | None:
    """What to run here where the launcher cannot reach the port itself: the engine was named by tcp://."""
    endpoint = context.endpoint
    if endpoint.local or endpoint.ssh:
        return None
    if mode == "jupyter":
        return f"ssh -N -L {port}:127.0.0.1:{port} {endpoint.place}   (a tcp:// engine's ports are on its own loopback)"
    return f"`ssh NAME` goes through {endpoint.place}: this must work: ssh {endpoint.place} true"


def free_on_engine(context: Context) -> Callable[[int], bool]:
    """A question whether a port is free where it will be published: on the engine's machine."""
    if context.remote is not None:
        taken = context.remote.ports_in_use()
        return lambda port: port not in taken
    # Of a tcp:// engine nothing is known: it refuses a port that is taken, and the next one is tried.
    return is_free if context.endpoint.local else lambda _: True


def _tunnel(context: Context, name: str) -> Tunnel | None:
    remote = context.remote
    return None if remote is None else Tunnel(context.state, remote.master.host, context.endpoint.url, name)
