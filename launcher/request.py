"""Command-line options, checked and joined into one request."""

from __future__ import annotations

from typing import Any

from launcher import places
from launcher.context import Context
from launcher.ports import valid_port
from launcher.spec import (
    BindMount,
    GpuRequest,
    Mode,
    UpRequest,
    distinct_mounts,
    environment_name,
    parse_variables,
)


def make_request(context: Context, **options: Any) -> UpRequest:  # noqa: ANN401 (what click parsed)
    """Raises UsageError with the first thing that is wrong; nothing has been touched then."""
    mode = options.get("mode")
    gpus = GpuRequest.parse(options["gpus"])
    sync = bool(options.get("sync"))
    project = places.project(context, options["project"], sync)
    mounts = tuple(BindMount.parse(text, lambda path: places.mount(context, path)) for text in options["mounts"])
    return UpRequest(
        name=environment_name(options["name"], project, mode or "train"),
        mode=Mode(mode or "jupyter"),
        project=project,
        gpus=gpus,
        mounts=distinct_mounts(mounts),
        port=valid_port(options.get("port")),
        variables=tuple(parse_variables(options["variables"], dict(context.environ)).items()),
        stack=options["stack"],
        skip_check=options["skip_check"],
        share=options["share"],
        sync=sync,
    )
