"""`up --dry-run`: the container that would be made, without making anything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from launcher.context import Context
from launcher.images import choose_image
from launcher.plan import FIRST_PORTS
from launcher.ports import candidate_ports, checked_port
from launcher.provision import with_port
from launcher.spec import UpRequest
from launcher.up import examine_device, make_plans


def dry_run(context: Context, request: UpRequest) -> dict[str, Any]:
    """The plan as an object; `alternatives` are the other ways in which the GPUs would be attached."""
    decision = examine_device(context, request)
    plans = make_plans(context, request, decision, choose_image(request.mode.value, request.stack))
    port = checked_port(request.port) or next(candidate_ports(FIRST_PORTS[request.mode], ()))
    first, *others = [asdict(with_port(plan, port)) for plan, _ in plans]
    return {"container": first, "restart": request.restart, "alternatives": [plan["attachment"] for plan in others]}
