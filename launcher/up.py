"""`up`: from a request to an environment that can be used, or to one clear failure that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

from launcher import labels, reach
from launcher.access.keys import read_key_files
from launcher.address import RUNNING_SECONDS, address_of, usable_check
from launcher.changes import agree_to_change, agree_to_outside, change_of, changed_request
from launcher.context import Context
from launcher.device import (
    DeviceDecision,
)
from launcher.engine import Container, ContainerPlan
from launcher.environments import from_container
from launcher.errors import ConflictError, UsageError
from launcher.existing import is_reusable, refuse_other_volumes
from launcher.gpu_holders import start_with_gpus
from launcher.image_requirement import refuse_unmet_requirement
from launcher.images import choose_image, ensure_image
from launcher.plan import FIRST_PORTS, Device
from launcher.ports import candidate_ports, checked_port
from launcher.preparation import Plans, examine_device, make_plans, on_free_gpus, prepare_project
from launcher.proof import prove_gpus
from launcher.provision import Access, is_port_conflict, provisioned, with_port
from launcher.ready import wait_until_usable
from launcher.request import text_of
from launcher.result import EnvironmentResult
from launcher.set_aside import recover, set_aside
from launcher.setup.perform import ensure_engine
from launcher.spec import UpRequest
from launcher.sync.report import bring_up_to_date


def up(context: Context, request: UpRequest) -> EnvironmentResult:
    """Start the environment, or repair the one that is there; returns when it can be used.

    A copied project is brought up to date last: where that fails, the environment stays.
    """
    result = _up(context, request)
    if result.environment.synced:
        with context.progress.phase("sync"):
            bring_up_to_date(context, result.environment)
        result = replace(result, phases=tuple(context.progress.phases))
    return result


def _up(context: Context, request: UpRequest) -> EnvironmentResult:
    reach.refuse_name(context, request.name)
    read_key_files(request.keys)
    decision = examine_device(context, request)
    with context.state.lock(f"up-{request.name}", f"another `launcher up {request.name}` is running"):
        ensure_engine(context.progress, consent=context.consent)
        name = labels.engine_name(context.owner, request.name)
        recover(context.engine, name)
        existing = context.engine.container(name)
        if existing is not None and is_reusable(request, existing):
            return _reuse(context, request, existing, decision)
        if existing is None:
            refuse_other_volumes(context, request)
        checked_port(request.port, reach.free_on_engine(context))
        agree_to_outside(context, request)
        return _make(context, request, decision)


def _reuse(context: Context, request: UpRequest, existing: Container, decision: DeviceDecision) -> EnvironmentResult:
    """Repair what is there where it is what was asked for; make it anew, with consent, where it is not."""
    change = change_of(context, request, existing, decision)
    if change.differences:
        agree_to_change(context, request, existing, change)
        chosen = changed_request(context, request, existing, change)
        agree_to_outside(context, chosen, existing)
        return _make(context, chosen, change.decision, existing)
    if decision.gpu and existing.labels.get(labels.DEVICE) != "gpu":
        context.progress.say(f"Device: CPU ({request.name} was made with --gpus none, and stays so until --gpus auto)")
    return _repair(context, replace(request, restart=text_of(change.settings, "restart") or request.restart), existing)


def _make(
    context: Context, request: UpRequest, decision: DeviceDecision, old: Container | None = None
) -> EnvironmentResult:
    """A new container, in the place of `old` where there is one; that one is stopped as late as possible."""
    # GPUs before the image: a run that must fail does so before anything is downloaded.
    image = choose_image(request.mode.value, request.stack, request.apt, request.pip)
    plans = make_plans(context, request, decision, image)
    ensure_image(context, image, request.mode.value, request.stack)
    refuse_unmet_requirement(context, [plan for plan, _ in plans])
    if context.endpoint.local or request.sync:
        prepare_project(context, request.project)
    with set_aside(context, old, request.share) if old else nullcontext():
        return on_free_gpus(
            lambda: make_plans(context, request, decision, image), lambda found: _start(context, request, found), plans
        )


def _repair(context: Context, request: UpRequest, existing: Container) -> EnvironmentResult:
    """Bring an existing container to where it answers: nothing when it does, else start or restart it."""
    engine, environment = context.engine, from_container(existing)
    answers = existing.state == "running" and usable_check(context, environment, RUNNING_SECONDS)()
    if existing.state != "running":
        with context.progress.phase("start"):
            start_with_gpus(engine, existing.name, environment.gpus, request.share)
    elif not answers:
        context.progress.say(f"{environment.name} does not answer: restarting it")
        with context.progress.phase("restart"):
            engine.restart(existing.name)
    if not answers:
        with context.progress.phase("ready"):
            wait_until_usable(engine, existing.name, usable_check(context, environment))
    engine.keep_running(existing.name, request.restart)
    return _finish(context, request, existing.name, verify=environment.device == "gpu")


def _start(context: Context, request: UpRequest, plans: Plans) -> EnvironmentResult:
    """On the first port that nobody takes between our look and the engine's."""
    error = ConflictError("no free port was found", "Give one: --port N", cause_id="docker-port-in-use")
    for port in _ports(context, request):
        try:
            return _start_on(context, request, [(with_port(plan, port), device) for plan, device in plans])
        except ConflictError as conflict:
            if request.port is not None or not is_port_conflict(conflict):
                raise
            error = conflict
    raise error


def _ports(context: Context, request: UpRequest) -> Iterator[int]:
    free = reach.free_on_engine(context)
    given = checked_port(request.port, free)
    if given is not None:
        yield given
        return
    owned = context.engine.volumes(labels.PORT)
    taken = {int(volume.labels.get(labels.PORT, "0")) for volume in owned}
    mine = [
        v
        for v in owned
        if v.labels.get(labels.NAME) == request.name and v.labels.get(labels.OWNER) == str(context.owner)
    ]
    last = int(mine[0].labels[labels.PORT]) if mine else None
    yield from candidate_ports(FIRST_PORTS[request.mode], taken, last, free)


def _start_on(context: Context, request: UpRequest, plans: Sequence[tuple[ContainerPlan, Device]]) -> EnvironmentResult:
    engine = context.engine
    stale = engine.container(plans[0][0].name)
    if stale is not None:
        engine.remove(stale.name)
    access = Access(request.mode, read_key_files(request.keys))
    with reach.closed_on_failure(context, request.name), provisioned(context, plans, access) as plan:
        environment = from_container(_present(context, plan.name))
        with context.progress.phase("ready"):
            wait_until_usable(engine, plan.name, usable_check(context, environment))
        result = _finish(context, request, plan.name, verify=plan.attachment is not None)
        engine.keep_running(plan.name, request.restart)
    return result


def _finish(context: Context, request: UpRequest, name: str, verify: bool) -> EnvironmentResult:
    environment = from_container(_present(context, name))
    verified = False
    if verify and not request.skip_check:
        with context.progress.phase("gpu"):
            prove_gpus(context.engine, name, environment.gpus)
        verified = True
    # The engine's own health check runs at an interval; that the service answers was seen just now.
    result = address_of(context, replace(environment, state="running"))
    return replace(result, gpu_verified=verified, phases=tuple(context.progress.phases))


def _present(context: Context, name: str) -> Container:
    container = context.engine.container(name)
    if container is None:
        raise UsageError(f"the container {name} was removed meanwhile", "Run this again.")
    return container
