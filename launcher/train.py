"""`train`: envcheck as the gate, then the bundled trainer, in a running environment or a container of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from launcher import labels, prepared
from launcher.changes import agree_to_outside, change_of
from launcher.context import Context
from launcher.device import DeviceDecision
from launcher.engine import ContainerPlan, ExecResult
from launcher.environments import Environment, choose, list_environments
from launcher.errors import NotReadyError
from launcher.findings import JUDGE, failure
from launcher.gpu_choice import present_gpus
from launcher.gpus import refuse_other_device
from launcher.image_requirement import refuse_unmet_requirement
from launcher.images import choose_image, ensure_image
from launcher.plan import CACHE, DATA, Device, plan_one_off
from launcher.preparation import Plans, examine_device, make_plans, on_free_gpus, prepare_project
from launcher.proof import NUMBERS, is_instance, judge_proof
from launcher.provision import provisioned
from launcher.settings.keys import KEYS
from launcher.setup.perform import ensure_engine
from launcher.spec import UpRequest
from launcher.terminal import follow, on_terminal, run_in

KILLED = 128 + 9


def train(context: Context, request: UpRequest, arguments: Sequence[str], named: str | None) -> int:
    """Train in the project's running environment, else in a one-off container; returns the trainer's exit code."""
    decision = examine_device(context, request)
    ensure_engine(context.progress, consent=context.consent)
    running = _running_environment(context, request, named)
    if running is not None:
        found = {labels.DEVICE: running.device, labels.DEVICE_REASON: running.device_reason}
        found[labels.GPUS] = json.dumps(running.gpus)
        refuse_other_device(running.name, found, request.gpus, decision.gpu, lambda: present_gpus(context))
        context.progress.say(f"Training in environment {running.name}, on the {running.device.upper()}")
        _say_what_is_not_applied(context, request, running, decision)
        if not request.skip_check:
            gate(context, running.gpus, lambda command: context.engine.execute(running.engine_name, command))
        command = trainer_command(arguments, ranks(running.gpus))
        return _explained(context, run_in(context, running.engine_name, command))
    _refuse_far_copy(context, request)
    # A name of its own: several runs of one project, or of two that are called alike, are not each other's business.
    agree_to_outside(context, request)
    request = replace(request, name=f"{request.name}-{secrets.token_hex(3)}", sync=False)
    image = choose_image("jupyter", request.stack, request.apt, request.pip)
    plans = make_plans(context, request, decision, image)
    ensure_image(context, image, "jupyter", request.stack)
    refuse_unmet_requirement(context, [plan for plan, _ in plans])
    if context.endpoint.local:
        prepare_project(context, request.project)

    def check_and_train(plans: Plans) -> int:
        if not request.skip_check:
            gate(context, plans[0][1].gpus, lambda command: _run_once(context, plans, command))
        return _train_once(context, plans, arguments)

    return on_free_gpus(lambda: make_plans(context, request, decision, image), check_and_train, plans)


def _refuse_far_copy(context: Context, request: UpRequest) -> None:
    if request.sync and not context.endpoint.local:
        raise NotReadyError(
            f"no environment with a copy of {request.project} runs on {context.endpoint.place}",
            "Start one, then run this again: launcher up --sync",
        )


def _say_what_is_not_applied(
    context: Context, request: UpRequest, running: Environment, decision: DeviceDecision
) -> None:
    """An environment that runs keeps its settings: a wish for others is not passed over in silence."""
    existing = context.engine.container(running.engine_name)
    found = change_of(context, request, existing, decision).differences if existing else []
    judged = {key.name for key in KEYS if key.train} - {"gpus"}
    lines = [difference.line() for difference in found if difference.name.partition(" ")[0] in judged]
    if lines:
        context.progress.say(
            f"It keeps its settings; not applied: {'; '.join(lines)} (launcher up {running.name} does)"
        )


def trainer_command(arguments: Sequence[str], gpus: int) -> tuple[str, ...]:
    """The trainer's command line; several GPUs get one process each by torchrun."""
    program = ("cifar10.launch", str(gpus)) if gpus > 1 else ("cifar10",)
    return ("python", "-m", *program, "train", *(arguments or ("--model", "simple")))


def ranks(gpus: Sequence[str]) -> int:
    """Processes to start: one a GPU; one for MIG instances, which NCCL does not connect.

    https://docs.nvidia.com/datacenter/tesla/mig-user-guide/#application-considerations
    """
    return 1 if any(is_instance(gpu) for gpu in gpus) else len(gpus)


def _explained(context: Context, code: int) -> int:
    """The trainer says itself why it failed, unless it was killed."""
    if code == KILLED:
        context.progress.say("launcher: the trainer was killed (SIGKILL); most often memory ran out")
        context.progress.say("  next: give a smaller --batch-size or free memory, and go on with --resume auto")
    return code


def gate(context: Context, gpus: Sequence[str], run: Callable[[tuple[str, ...]], ExecResult]) -> None:
    """envcheck, and with GPUs their numbers, each by `run` in the container; raises NotReadyError where one fails."""
    context.progress.say("Checking the environment (envcheck)")
    judge_gate(run(JUDGE))
    if gpus:
        context.progress.say("Checking what the GPU computes (envcheck gpu --quick)")
        judge_proof(run(NUMBERS), gpus)


def judge_gate(result: ExecResult) -> None:
    """Raises NotReadyError with envcheck's root cause when it says fail, or could not say anything."""
    if result.exit_code != 0:
        raise failure(result, "envcheck says that this environment cannot train", "   (--skip-check trains anyway)")


def _running_environment(context: Context, request: UpRequest, named: str | None) -> Environment | None:
    environments = list_environments(context.engine)
    if named is not None:
        chosen = choose(environments, named, context.owner, None)
        if chosen.state not in ("running", "starting", "unhealthy"):
            raise NotReadyError(f"environment {named} is {chosen.state}", f"Start it: launcher start {named}")
        return chosen
    here = [e for e in environments if e.owner == context.owner and e.project == str(request.project)]
    return next((e for e in here if e.state in ("running", "starting")), None)


@dataclass(frozen=True, slots=True)
class _OneOff:
    """The plans for one command, and the volumes that go with its container."""

    plans: list[tuple[ContainerPlan, Device]]
    volumes: tuple[str, ...]


def _one_off(plans: Plans, command: tuple[str, ...], terminal: bool) -> _OneOff:
    once = [(plan_one_off(plan, command, terminal), device) for plan, device in plans]
    return _OneOff(once, tuple(mount.volume for mount in plans[0][0].volumes if mount.container not in (CACHE, DATA)))


def _run_once(context: Context, plans: Plans, command: tuple[str, ...]) -> ExecResult:
    """Run a command to its end in a container of its own and return what it printed."""
    once = _one_off(plans, command, terminal=False)
    try:
        with provisioned(context, once.plans, None) as plan:
            code = context.engine.wait(plan.name)
            stdout = context.engine.logs(plan.name, stderr=False)
            return ExecResult(code, stdout, context.engine.logs(plan.name, stdout=False))
    finally:
        _clear(context, once)


def _train_once(context: Context, plans: Plans, arguments: Sequence[str]) -> int:
    command = trainer_command(arguments, ranks(plans[0][1].gpus))
    once = _one_off(plans, command, on_terminal())
    try:
        with provisioned(context, once.plans, None) as plan:
            return _explained(context, follow(context, plan.name))
    finally:
        _clear(context, once)


def _clear(context: Context, once: _OneOff) -> None:
    name = once.plans[0][0].name
    context.engine.remove(name)
    context.engine.remove_network(once.plans[0][0].network)
    for volume in once.volumes:
        context.engine.remove_volume(volume)
        prepared.forget(context.state, volume)
