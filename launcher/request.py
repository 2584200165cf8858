"""Command-line options, checked and joined into one request."""

from __future__ import annotations

from typing import Any

from launcher.context import Context
from launcher.spec import BindMount, GpuRequest, Mode, UpRequest, environment_name, parse_variables, project_directory


def make_request(context: Context, **options: Any) -> UpRequest:  # noqa: ANN401 (what click parsed)
    """Raises UsageError with the first thing that is wrong; nothing has been touched then."""
    mode = options.get("mode")
    gpus = GpuRequest.parse(options["gpus"])
    project = project_directory(options["project"], context.home, context.checkout)
    return UpRequest(
        name=environment_name(options["name"], project, mode or "train"),
        mode=Mode(mode or "jupyter"),
        project=project,
        gpus=gpus,
        mounts=tuple(BindMount.parse(text, context.home) for text in options["mounts"]),
        port=options.get("port"),
        variables=tuple(parse_variables(options["variables"], dict(context.environ)).items()),
        stack=options["stack"],
        skip_check=options["skip_check"],
        share=options["share"],
    )
