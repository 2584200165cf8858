"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from launcher.context import Context
from launcher.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
pass_context = click.make_pass_decorator(Context)


def name_argument(function: Function) -> Function:
    """NAME, which may be left out where only one environment can be meant."""
    return click.argument("name", required=False, shell_complete=complete_names)(function)


def complete_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The caller's environments that begin so; none where no engine answers."""
    from launcher.names import environment_names

    context = ctx.find_object(Context)
    return [name for name in environment_names(context) if name.startswith(incomplete)] if context else []


def json_option(function: Function) -> Function:
    """--json: one object on stdout, also for a failure."""
    return click.option("--json", is_flag=True, expose_value=False, callback=_set_json, help="Print one JSON object.")(
        function
    )


def yes_option(function: Function) -> Function:
    """--yes: consent to what would otherwise be asked."""
    return click.option(
        "--yes", is_flag=True, expose_value=False, callback=_set_consent, help="Answer every question with yes."
    )(function)


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.find_object(Context).json |= value  # type: ignore[union-attr]


def _set_consent(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(Context).consent = True  # type: ignore[union-attr]


def refuse_trailing(context: Context, verb: str) -> None:
    """Raises UsageError when something followed `--` for a verb that takes no command."""
    if context.trailing:
        raise UsageError(f"launcher {verb} takes nothing after --", f"See: launcher {verb} --help")


def environment_options(function: Function) -> Function:
    """What `up` and `train` share: project, mounts, GPUs, variables."""
    for option in reversed(
        (
            click.option("--project", metavar="DIR", help="Directory shown as /workspace (default: the current one)."),
            click.option(
                "--mount",
                "mounts",
                multiple=True,
                metavar="HOST[:CONTAINER][:ro]",
                help="A further directory; repeatable.",
            ),
            click.option(
                "--gpus",
                default="auto",
                show_default=True,
                metavar="GPUS",
                help="auto, all, none, a count, a list such as 0,1, or UUIDs.",
            ),
            click.option(
                "-e",
                "--env",
                "variables",
                multiple=True,
                metavar="KEY=VALUE",
                help="An environment variable; repeatable.",
            ),
            click.option("--stack", metavar="STACK", help="PyTorch and CUDA versions, a row of images/stacks.toml."),
            click.option("--share", is_flag=True, help="Also use GPUs that another environment holds."),
            click.option("--skip-check", is_flag=True, help="Do not prove that the GPUs work."),
        )
    ):
        function = option(function)
    return function
