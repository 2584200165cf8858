"""Where an environment is reached, and whether it answers there."""

from __future__ import annotations

from collections.abc import Callable

from launcher import reach
from launcher.access import jupyter, keys, ssh, vscode
from launcher.access.laptop import laptop_instructions
from launcher.context import Context
from launcher.environments import Environment
from launcher.errors import NotReadyError
from launcher.plan import RUN
from launcher.result import EnvironmentResult, SshAddress

# A service that starts may lose a question, and is soon asked again. One that has run for long is asked once: it may
# just be busy, and what is dead says so at once, as the engine closes the connection.
STARTING_SECONDS, RUNNING_SECONDS = 2.0, 10.0


def address_of(context: Context, environment: Environment) -> EnvironmentResult:
    """The URL or the ssh command; for ssh also brings the user's ssh configuration up to date."""
    access = ssh.SshAccess(context.state, context.home)
    url = address = None
    if environment.mode == "jupyter":
        url = jupyter.url(reach.local_port(context, environment), read_token(context, environment))
    else:
        public = _read(context, environment, "ssh_host_ed25519_key.pub").decode()
        keys.client_key(context.state)
        access.write(environment.name, environment.port, public, reach.proxy_command(context))
        address = SshAddress(environment.name, access.command(environment.name), vscode.command(environment.name))
    remote = reach.instructions(context, environment.mode, environment.port)
    if context.endpoint.local:
        remote = laptop_instructions(environment.mode, environment.name, environment.port, context.environ, access)
    return EnvironmentResult(environment, url=url, ssh=address, remote=remote)


def usable_check(context: Context, environment: Environment, seconds: float = STARTING_SECONDS) -> Callable[[], bool]:
    """A question to ask until it is true, or once: does JupyterLab accept the token, does sshd greet in `seconds`?"""
    greets = reach.answers(context, environment, seconds)
    if greets is None:
        return lambda: reach.healthy(context, environment)
    if environment.mode == "ssh":
        return greets
    token, port = read_token(context, environment), reach.local_port(context, environment)
    return lambda: jupyter.answers(port, token, seconds)


def read_token(context: Context, environment: Environment) -> str:
    """The token from the environment's volume, where it lives; works on stopped containers too."""
    return _read(context, environment, "token").decode().strip()


def _read(context: Context, environment: Environment, name: str) -> bytes:
    key = (environment.engine_name, name)
    content = context.run_files.get(key) or context.engine.get_file(environment.engine_name, f"{RUN}/{name}")
    if content is None:
        raise NotReadyError(
            f"environment {environment.name} has lost its {name}",
            f"Make it again: launcher down {environment.name}, then launcher up",
        )
    context.run_files[key] = content
    return content
