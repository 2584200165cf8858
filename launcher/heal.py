"""`heal`: a container that lost its GPUs is made anew with all it had, and its GPUs are proved again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from launcher import labels
from launcher.address import address_of, usable_check
from launcher.attach import taken
from launcher.context import Context
from launcher.device import system_root
from launcher.environments import Environment, choose, list_environments
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.gpu_holders import holders, start_with_gpus
from launcher.gpu_loss import HEALED_BY_A_NEW_CONTAINER
from launcher.gpus import host_nvml
from launcher.lifecycle import require_running
from launcher.proof import prove_gpus
from launcher.ready import wait_until_usable
from launcher.result import EnvironmentResult

ENDED = ("every process inside (kernels, terminals, training runs)", "what lay in /tmp")


@dataclass(frozen=True, slots=True)
class Healing:
    """`lost` is what envcheck found wrong, None where the GPUs worked and nothing was done."""

    result: EnvironmentResult
    lost: str | None

    @property
    def kept(self) -> tuple[str, ...]:
        """What the new container has of the old one."""
        e = self.result.environment
        access = "the token" if e.mode == "jupyter" else "the host key and authorized keys"
        return ("home", f"project {e.project}", f"port {e.port}", access, "mounts, variables and limits", "the image")

    def to_json(self) -> dict[str, Any]:
        """The object of `heal --json`: that of `status`, and what was done."""
        done = self.lost is not None
        changes = {"kept": list(self.kept) if done else [], "ended": list(ENDED) if done else []}
        return {**self.result.to_json(), "healed": done, "lost": self.lost, **changes}


def heal(context: Context, environment: Environment) -> Healing:
    """Prove the GPUs, and where they are lost make the container anew; returns when it can be used again.

    Raises UsageError for an environment on the CPU, NotReadyError for one that does not run, where a new container
    would not help, and where the GPUs do not work in the new one either.
    """
    require_running(environment)
    if environment.device != "gpu":
        raise UsageError(
            f"environment {environment.name} runs on the CPU ({environment.device_reason}): it has no GPU to lose",
            "For a GPU make it anew, its files are kept: "
            f"launcher down {environment.name}, then launcher up {environment.name} --gpus ...",
        )
    with context.state.lock(f"up-{environment.name}", f"another command is changing {environment.name}"):
        with context.progress.phase("check"):
            lost = _loss(context, environment)
        if lost is not None:
            context.progress.say(f"{environment.name}: {lost}; making its container anew")
            _make_anew(context, environment)
        found = choose(list_environments(context.engine), environment.name, environment.owner, None)
        return Healing(_verified(address_of(context, found)), lost)


def _verified(result: EnvironmentResult) -> EnvironmentResult:
    return replace(result, environment=replace(result.environment, state="running"), gpu_verified=True)


def _loss(context: Context, environment: Environment) -> str | None:
    try:
        prove_gpus(context.engine, environment.engine_name, environment.gpus)
    except NotReadyError as error:
        if error.cause_id not in HEALED_BY_A_NEW_CONTAINER:
            raise NotReadyError(
                f"{error.cause}; a new container would not help", error.next_step, cause_id=error.cause_id
            ) from error
        _refuse_broken_host(context)
        return error.cause
    return None


def _refuse_broken_host(context: Context) -> None:
    """Raises NotReadyError where NVML fails on the machine itself, when that is this one."""
    nvml = host_nvml(context.engine.info(), system_root(context.environ))
    if nvml.init_code:
        raise NotReadyError(
            f"the GPUs are lost on the machine itself ({nvml.error}); a new container would not help",
            "See what is wrong: envcheck",
            cause_id="cuda-unknown-init",
        )


def _make_anew(context: Context, environment: Environment) -> None:
    engine, name = context.engine, environment.engine_name
    # Whoever shares the GPUs with it now may go on doing so.
    shared = bool(taken(environment.gpus, holders(engine.containers(labels.GPUS), but=name)))
    with context.progress.phase("create"):
        engine.recreate(name)
    with context.progress.phase("start"):
        start_with_gpus(engine, name, environment.gpus, shared)
    with context.progress.phase("ready"):
        try:
            wait_until_usable(engine, name, usable_check(context, environment))
        except LauncherError:
            engine.stop(name)
            raise
    with context.progress.phase("gpu"):
        prove_gpus(engine, name, environment.gpus)
