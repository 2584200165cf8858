"""Stopping, starting and deleting environments."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from launcher import labels, prepared, reach
from launcher.access.ssh import SshAccess
from launcher.address import address_of, usable_check
from launcher.context import Context
from launcher.engine import Volume
from launcher.environments import Environment, choose, list_environments
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.gpu_holders import start_with_gpus
from launcher.plan import own_volumes, workspace_volume
from launcher.proof import prove_gpus
from launcher.ready import wait_until_usable
from launcher.result import EnvironmentResult
from launcher.sync import record


def find(context: Context, name: str | None) -> Environment:
    """The environment that a verb means; see environments.choose for the errors."""
    from launcher.host_paths import project_directory

    try:
        project = project_directory(None, context.home, context.checkout)
    except UsageError:
        project = None
    return choose(list_environments(context.engine), name, context.owner, project)


def require_container(environment: Environment) -> Environment:
    """Raises NotReadyError for an environment that is down: it has volumes but no container."""
    if environment.state == "down":
        raise NotReadyError(
            f"environment {environment.name} is down: it has no container",
            f"Make it again: launcher up {environment.name} --mode {environment.mode} --project {environment.project}",
        )
    return environment


def require_running(environment: Environment) -> Environment:
    """Raises NotReadyError for an environment in which no command can run."""
    require_container(environment)
    if environment.state not in ("running", "starting", "unhealthy"):
        raise NotReadyError(
            f"environment {environment.name} is {environment.state}", f"Start it: launcher start {environment.name}"
        )
    return environment


def stop(context: Context, environment: Environment) -> None:
    """Stop the container and keep it; harmless when it is stopped."""
    if environment.state not in ("stopped", "down"):
        context.engine.stop(environment.engine_name)
    reach.close(context, environment.name)


def start(
    context: Context, environment: Environment, skip_check: bool = False, share: bool = False
) -> EnvironmentResult:
    """Start a stopped container and wait until it can be used; its GPUs are proved again.

    Raises GpuTakenError when another environment got its GPUs meanwhile, unless they may be shared.
    """
    engine, name = context.engine, require_container(environment).engine_name
    with context.progress.phase("start"):
        start_with_gpus(engine, name, environment.gpus, share)
    return _usable(context, environment, skip_check)


def restart(
    context: Context, environment: Environment, skip_check: bool = False, share: bool = False
) -> EnvironmentResult:
    """End everything in an environment and start it again; one that is stopped is started, as by `start`."""
    if require_running_or_stopped(environment) == "stopped":
        return start(context, environment, skip_check, share)
    with context.progress.phase("restart"):
        context.engine.restart(environment.engine_name)
    return _usable(context, environment, skip_check)


def require_running_or_stopped(environment: Environment) -> str:
    """`running` or `stopped`; raises NotReadyError for an environment that is down or paused."""
    require_container(environment)
    if environment.state in ("stopped", "created"):
        return "stopped"
    require_running(environment)
    return "running"


def _usable(context: Context, environment: Environment, skip_check: bool) -> EnvironmentResult:
    engine, name = context.engine, environment.engine_name
    with context.progress.phase("ready"):
        wait_until_usable(engine, name, usable_check(context, environment))
    verified = environment.device == "gpu" and not skip_check
    if verified:
        with context.progress.phase("gpu"):
            prove_gpus(engine, name, environment.gpus)
    found = choose(list_environments(engine), environment.name, environment.owner, None)
    # The engine's own health check runs at an interval; that the service answers was seen just now.
    result = address_of(context, replace(found, state="running"))
    return replace(result, gpu_verified=verified, phases=tuple(context.progress.phases))


def down(context: Context, environment: Environment) -> None:
    """Remove container and network; the volumes, and with them home, token and host key, stay."""
    reach.close(context, environment.name)
    context.engine.remove(environment.engine_name)
    context.engine.remove(labels.set_aside_name(environment.engine_name))
    context.engine.remove_network(environment.engine_name)


def deletable_volumes(context: Context, environment: Environment) -> list[Volume]:
    """The volumes that `rm` deletes, with sizes in bytes.

    They are the environment's own; with the user's last environment also the cache, and the data volume when it
    holds nothing: downloaded data sets outlive environments.
    """
    own = [*own_volumes(environment.owner, environment.name).values()]
    own.append(workspace_volume(environment.owner, environment.name))
    others = [e for e in list_environments(context.engine, environment.owner) if e.name != environment.name]
    found = context.engine.volumes(f"{labels.OWNER}={environment.owner}", sizes=True)
    return [v for v in found if v.name in own or (not others and is_disposable(v))]


def is_shared(volume: Volume) -> bool:
    """Whether all of a user's environments have this volume: the cache, and the data sets."""
    return volume.labels.get(labels.ROLE) in (labels.ROLE_CACHE, labels.ROLE_DATA)


def is_disposable(volume: Volume) -> bool:
    """Whether a shared volume goes with its user's last environment: downloaded data stays."""
    role = volume.labels.get(labels.ROLE)
    return role == labels.ROLE_CACHE or (role == labels.ROLE_DATA and volume.bytes == 0)


def remove(context: Context, environment: Environment, volumes: list[Volume]) -> None:
    """As `down`, and delete these volumes and the environment's lines in the ssh configuration."""
    down(context, environment)
    shared = [volume for volume in volumes if is_shared(volume)]
    for volume in volumes:
        if volume not in shared:
            _delete(context, volume)
    last = not list_environments(context.engine, environment.owner)
    for volume in shared if last else ():
        # Since the volumes were chosen, another environment may have begun to use this one.
        with suppress(LauncherError):
            _delete(context, volume)
    SshAccess(context.state, context.home).forget(environment.name)
    reach.forget(context, environment.name, last=last)


def _delete(context: Context, volume: Volume) -> None:
    context.engine.remove_volume(volume.name)
    prepared.forget(context.state, volume.name)
    record.forget(context.state, volume.name)
