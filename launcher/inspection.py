"""The present state of one environment, read without changing it."""

from __future__ import annotations

from dataclasses import replace

from launcher.address import RUNNING_SECONDS, address_of, usable_check
from launcher.context import Context
from launcher.environments import Environment
from launcher.errors import LauncherError, NotReadyError
from launcher.gpu_loss import gpu_lost
from launcher.result import EnvironmentResult


def inspect_environment(context: Context, environment: Environment) -> EnvironmentResult:
    """State, device and address; an environment that runs but does not answer is unhealthy now.

    The engine's health check needs three misses before it says so.
    """
    if environment.state not in ("running", "starting", "unhealthy"):
        return EnvironmentResult(environment)
    try:
        result = address_of(context, environment)
        answers = usable_check(context, environment, RUNNING_SECONDS)()
    except LauncherError:
        return EnvironmentResult(replace(environment, state="unhealthy"))
    result = _with_gpu(context, result)
    if answers:
        return replace(result, environment=replace(environment, state="running"))
    state = "starting" if environment.state == "starting" else "unhealthy"
    return replace(result, environment=replace(environment, state=state))


def _with_gpu(context: Context, result: EnvironmentResult) -> EnvironmentResult:
    """One look inside, for an environment on GPUs alone: a container that lost them runs on and says nothing."""
    environment = result.environment
    if environment.device != "gpu":
        return result
    lost = gpu_lost(context.engine, environment.engine_name)
    return replace(result, gpu_lost=lost, next=f"launcher heal {environment.name}" if lost else None)


def reachable(context: Context, environment: Environment) -> EnvironmentResult:
    """The address of an environment that runs; raises NotReadyError for one that does not."""
    if environment.state in ("running", "starting", "unhealthy"):
        return address_of(context, environment)
    again = f"launcher up {environment.name} --mode {environment.mode} --project {environment.project}"
    command = f"launcher start {environment.name}" if environment.state == "stopped" else again
    raise NotReadyError(f"environment {environment.name} is {environment.state}", f"Run: {command}")
