"""From a plan to a started container, all or nothing: a failure leaves no container, network or new volume."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256

from launcher import labels
from launcher.access.jupyter import new_token
from launcher.access.keys import KeyPair, accepted_keys, generate_key
from launcher.context import Context
from launcher.engine import ContainerPlan, Engine, Volume
from launcher.errors import ConflictError, LauncherError, RlimitRefusedError
from launcher.gpu_holders import claim_gpus
from launcher.host import route_mtu
from launcher.inject import InjectedFile, archive
from launcher.interrupt import uninterrupted
from launcher.network import certificate_bundle
from launcher.plan import CACHE, DATA, RUN, WORKSPACE, Device, request_json
from launcher.prepared import is_prepared, mark
from launcher.spec import Mode


@dataclass(frozen=True, slots=True)
class Access:
    """How an environment is reached; `keys` are public keys that may log in besides the caller's."""

    mode: Mode
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Work:
    """What every step needs."""

    context: Context
    access: Access | None
    undo: ExitStack


@contextmanager
def provisioned(
    context: Context, plans: Sequence[tuple[ContainerPlan, Device]], access: Access | None
) -> Iterator[ContainerPlan]:
    """Create and start the first plan that the engine accepts; undo everything when the body raises.

    `plans` differ in how GPUs are attached; the next is tried only when the engine refuses the attachment.
    """
    engine = context.engine
    with _undone_on_failure() as undo:
        first = plans[0][0]
        _create_volumes(engine, first, undo)
        mtu = route_mtu() if context.endpoint.local else None
        names = {labels.NAME: first.labels[labels.NAME], labels.OWNER: str(context.owner)}
        with uninterrupted():
            if engine.create_network(first.network, names, mtu):
                undo.callback(_quietly, engine.remove_network, first.network)
        yield _first_accepted(_Work(context, access, undo), plans)


@contextmanager
def _undone_on_failure() -> Iterator[ExitStack]:
    """What is registered on the stack is called, last first, when the block raises, and left alone otherwise."""
    undo = ExitStack()
    try:
        yield undo
    except BaseException:
        # A second Ctrl-C must not cut the undoing short.
        with uninterrupted():
            undo.close()
        raise


def _create_volumes(engine: Engine, plan: ContainerPlan, undo: ExitStack) -> None:
    """Make the missing ones; the environment's own carry its labels, so that `ls` finds it without a container."""
    existing = {volume.name for volume in engine.volumes(labels.OWNER)}
    shared = {CACHE: labels.ROLE_CACHE, DATA: labels.ROLE_DATA}
    for mount in plan.volumes:
        if mount.volume not in existing:
            own = mount.container not in shared
            owner = {labels.OWNER: plan.labels[labels.OWNER]}
            # Settings are the container's: the volumes outlive it, and the next one may have others.
            mine = {key: value for key, value in plan.labels.items() if key != labels.SETTINGS}
            found = mine if own else owner | {labels.ROLE: shared[mount.container]}
            if mount.container == WORKSPACE:
                # By which a copy is told from a later one of the name: what engines say of a volume's age may change.
                found |= {labels.SYNC: secrets.token_hex(8)}
            with uninterrupted():
                engine.create_volume(mount.volume, found)
                undo.callback(_quietly, engine.remove_volume, mount.volume)


def _first_accepted(work: _Work, plans: Sequence[tuple[ContainerPlan, Device]]) -> ContainerPlan:
    for index, (plan, device) in enumerate(plans):
        try:
            return _with_accepted_limits(work, plan, device)
        except LauncherError as error:
            refused_attachment = (error.cause_id or "").startswith("container-")
            if not refused_attachment or index == len(plans) - 1:
                raise
    raise AssertionError("no plan to start")


def _with_accepted_limits(work: _Work, plan: ContainerPlan, device: Device) -> ContainerPlan:
    """Leave the memlock limit alone on an engine that may not raise it; remembered, or each start fails once."""
    endpoint = sha256(work.context.endpoint.url.encode()).hexdigest()[:16]
    engine_id = work.context.engine.info().id.replace(":", "") or endpoint
    refused = work.context.state.subdirectory("engines") / f"{engine_id}.no-memlock"
    if not refused.exists():
        try:
            return _create_and_start(work, plan, device)
        except RlimitRefusedError:
            refused.touch()
    return _create_and_start(work, replace(plan, unlimited_memlock=False), device)


def _create_and_start(work: _Work, plan: ContainerPlan, device: Device) -> ContainerPlan:
    engine, progress = work.context.engine, work.context.progress
    with _undone_on_failure() as attempt:
        with progress.phase("create"):
            with uninterrupted():
                engine.create(plan)
                attempt.callback(_quietly, engine.remove, plan.name)
            if not device.share:
                claim_gpus(engine, plan.name, device.gpus)
            fresh = _inject(work, plan, device)
        with progress.phase("start"):
            engine.start(plan.name)
        # Not before: an attempt that fails may leave an empty volume to the next one, or another of the same second.
        for volume in fresh:
            mark(work.context.state, volume, f"{plan.uid}:{plan.gid}")
        work.undo.push(attempt)
    return plan


def _inject(work: _Work, plan: ContainerPlan, device: Device) -> list[Volume]:
    """Put the environment's files into the container; returns the volumes that were given to its user."""
    context, access, uid, gid = work.context, work.access, plan.uid, plan.gid
    fresh = _set_owners(context, plan)
    files = {"request.json": InjectedFile(request_json(device, plan.image).encode(), 0o444)}
    bundle = certificate_bundle(context.environ)
    if bundle:
        files["ca-certificates.crt"] = InjectedFile(bundle, 0o444)
    # What is there already is written again, so that it belongs to today's uid.
    if access is not None and access.mode is Mode.JUPYTER:
        files["token"] = InjectedFile(_kept(context, plan.name, "token") or new_token().encode())
    if access is not None and access.mode is Mode.SSH:
        files |= _ssh_files(context, plan.name, access)
    context.engine.put_archive(plan.name, RUN, archive(files, uid, gid))
    context.run_files |= {(plan.name, name): file.content for name, file in files.items()}
    return fresh


def _set_owners(context: Context, plan: ContainerPlan) -> list[Volume]:
    """A fresh volume belongs to root."""
    user, fresh = f"{plan.uid}:{plan.gid}", []
    volumes = {volume.name: volume for volume in context.engine.volumes(labels.OWNER)}
    for mount in plan.volumes:
        volume = volumes.get(mount.volume)
        if mount.container == RUN or (volume and is_prepared(context.state, volume, user)):
            continue
        context.engine.put_archive(plan.name, mount.container, archive({}, plan.uid, plan.gid, 0o755))
        if volume:
            fresh.append(volume)
    return fresh


def _kept(context: Context, name: str, file: str) -> bytes | None:
    return context.engine.get_file(name, f"{RUN}/{file}")


def _ssh_files(context: Context, name: str, access: Access) -> dict[str, InjectedFile]:
    private = _kept(context, name, "ssh_host_ed25519_key")
    public = _kept(context, name, "ssh_host_ed25519_key.pub")
    pair = KeyPair(private, public) if private and public else generate_key(name)
    return {
        "authorized_keys": InjectedFile(accepted_keys(context.state, context.environ, access.keys), 0o600),
        "ssh_host_ed25519_key": InjectedFile(pair.private),
        "ssh_host_ed25519_key.pub": InjectedFile(pair.public, 0o444),
    }


def _quietly(undo: Callable[[str], None], name: str) -> None:
    # One thing that cannot be undone must not keep the others from being undone.
    with suppress(LauncherError):
        undo(name)


def with_port(plan: ContainerPlan, port: int) -> ContainerPlan:
    """The same plan on another host port."""
    return replace(plan, host_port=port, labels={**plan.labels, labels.PORT: str(port)})


def is_port_conflict(error: LauncherError) -> bool:
    """True when another port would have worked."""
    return isinstance(error, ConflictError) and error.cause_id == "docker-port-in-use"
