"""`up`: from a request to an environment that can be used, or to one clear failure that leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from launcher import labels, places, reach
from launcher.access.keys import read_key_files
from launcher.address import address_of, usable_check
from launcher.changes import agree_to_change, agree_to_outside, change_of, changed_request
from launcher.context import Context
from launcher.device import (
    SAID_VARIABLE,
    DeviceDecision,
    decide_device,
    decide_far_device,
    refuse_broken_driver,
    system_root,
)
from launcher.engine import Container, ContainerPlan
from launcher.environments import from_container
from launcher.errors import ConflictError, GpuTakenError, NotReadyError, UsageError
from launcher.existing import is_reusable, refuse_other_volumes
from launcher.gpu_choice import devices_for
from launcher.gpu_holders import start_with_gpus
from launcher.host import memory_bytes
from launcher.image_requirement import refuse_unmet_requirement
from launcher.images import choose_image, ensure_image
from launcher.limits import limit_warnings, refuse_impossible_limits
from launcher.network import certificate_bundle
from launcher.plan import FIRST_PORTS, Device, ImageChoice, Machine, plan_container
from launcher.ports import candidate_ports, checked_port
from launcher.proof import prove_gpus
from launcher.provision import Access, is_port_conflict, provisioned, with_port
from launcher.ready import wait_until_usable
from launcher.request import text_of
from launcher.result import EnvironmentResult
from launcher.set_aside import recover, set_aside
from launcher.setup.perform import ensure_engine
from launcher.spec import UpRequest

Plans = list[tuple[ContainerPlan, Device]]
Result = TypeVar("Result")
# Each lost round means that somebody else got a GPU.
ATTEMPTS = 16


def up(context: Context, request: UpRequest) -> EnvironmentResult:
    """Start the environment, or repair the one that is there; returns when it can be used."""
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


def on_free_gpus(choose: Callable[[], Plans], start: Callable[[Plans], Result], plans: Plans) -> Result:
    """Start `plans`; where others were quicker to take their GPUs, choose again among those still free.

    Raises GpuTakenError, naming the holders, when too few are left.
    """
    for _ in range(ATTEMPTS):
        try:
            return start(plans)
        except GpuTakenError:
            plans = choose()
    return start(plans)


def examine_device(context: Context, request: UpRequest) -> DeviceDecision:
    """Say GPU or CPU and why; raises NotReadyError where a card is present but the host cannot use it."""
    from envcheck.probes.hardware import probe_hardware

    if not context.endpoint.local:
        return _examine_far_device(context, request)
    root = system_root(context.environ)
    hardware = probe_hardware(root)
    decision = decide_device(request.gpus.kind, hardware)
    if not context.environ.get(SAID_VARIABLE):
        context.progress.say(decision.line())
    if not request.skip_check:
        refuse_broken_driver(decision, hardware, root)
    return decision


def _examine_far_device(context: Context, request: UpRequest) -> DeviceDecision:
    info, remote = context.engine.info(), context.remote
    offered = "nvidia" in info.runtimes or bool(info.cdi_devices)
    card = remote.far.card if remote else None
    decision = decide_far_device(request.gpus.kind, context.endpoint.place, card, offered)
    context.progress.say(decision.line())
    return decision


def _repair(context: Context, request: UpRequest, existing: Container) -> EnvironmentResult:
    """Bring an existing container to where it answers: nothing when it does, else start or restart it."""
    engine, environment = context.engine, from_container(existing)
    usable = usable_check(context, environment)
    if existing.state != "running":
        with context.progress.phase("start"):
            start_with_gpus(engine, existing.name, environment.gpus, request.share)
    elif not usable():
        context.progress.say(f"{environment.name} does not answer: restarting it")
        with context.progress.phase("restart"):
            engine.restart(existing.name)
    with context.progress.phase("ready"):
        wait_until_usable(engine, existing.name, usable)
    engine.keep_running(existing.name, request.restart)
    return _finish(context, request, existing.name, verify=environment.device == "gpu")


def prepare_project(context: Context, project: Path) -> None:
    """Make `workspace/` in the launcher's own checkout, in the name of the checkout's owner."""
    if project.exists():
        if os.getuid() != 0 and not os.access(project, os.W_OK):
            context.progress.say(f"{project} is read-only for you, and so is /workspace: nothing can be saved there")
        return
    try:
        project.mkdir()
        if os.getuid() == 0:
            owner = project.parent.stat()
            os.chown(project, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise NotReadyError(
            f"cannot make {project}: {error.strerror}", "Give another directory: --project DIR"
        ) from None
    context.progress.say(f"Your files are in {project} (made, ignored by git)")


def make_plans(context: Context, request: UpRequest, decision: DeviceDecision, image: ImageChoice) -> Plans:
    """The containers that would do, best first: one for each way to attach the GPUs."""
    engine = context.engine
    info = engine.info()
    caller, why = places.caller(context, request, info)
    if why:
        context.progress.say(why)
    devices = devices_for(context, request, decision)
    machine = Machine(
        owner=context.owner,
        memory_bytes=info.memory_bytes or memory_bytes(),
        processors=info.processors or os.cpu_count() or 1,
        # This machine's proxies may mean nothing to another.
        environ=context.environ if context.endpoint.local else {},
        certificates=certificate_bundle(context.environ) is not None,
    )
    refuse_impossible_limits(request, machine.processors)
    for line in limit_warnings(request, machine.memory_bytes, info.unlimited):
        context.progress.say(line)
    devices = devices_for(context, request, decision)
    return [(plan_container(request, image, caller, machine, device, request.port or 0), device) for device in devices]


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
