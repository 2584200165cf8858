"""`up --dry-run`: the container that would be made, without making anything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from launcher import labels
from launcher.changes import change_of, changed_request
from launcher.context import Context
from launcher.existing import is_reusable
from launcher.images import choose_image
from launcher.plan import FIRST_PORTS
from launcher.ports import candidate_ports, checked_port
from launcher.preparation import examine_device, make_plans
from launcher.provision import with_port
from launcher.reach import free_on_engine
from launcher.spec import UpRequest


def dry_run(context: Context, request: UpRequest) -> dict[str, Any]:
    """The plan as an object; `alternatives` are the other ways in which the GPUs would be attached.

    `exists` says whether an environment of the name is there, `differences` what would be other than in that one.
    """
    decision = examine_device(context, request)
    existing = context.engine.container(labels.engine_name(context.owner, request.name))
    found: list[str] = []
    if existing is not None and is_reusable(request, existing):
        change = change_of(context, request, existing, decision)
        found = [difference.line() for difference in change.differences]
        request, decision = changed_request(context, request, existing, change), change.decision
    image = choose_image(request.mode.value, request.stack, request.apt, request.pip)
    plans = make_plans(context, request, decision, image)
    free = free_on_engine(context)
    kept = existing is not None and existing.labels.get(labels.PORT) == str(request.port)
    given = request.port if kept else checked_port(request.port, free)
    port = given or next(candidate_ports(FIRST_PORTS[request.mode], (), free=free))
    first, *others = [asdict(with_port(plan, port)) for plan, _ in plans]
    return {
        "container": first,
        "restart": request.restart,
        "alternatives": [plan["attachment"] for plan in others],
        "exists": existing is not None,
        "differences": found,
    }
