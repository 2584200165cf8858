"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from launcher.context import Context
from launcher.errors import UsageError
from launcher.settings.keys import KEYS, Key, Kind

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


def up_options(function: Function) -> Function:
    """Every setting that has a flag, and --project: `up`, and `config` that explains it."""
    return _project_option(_setting_options(function, KEYS))


def train_options(function: Function) -> Function:
    """The settings that also matter to a run of the trainer, and --project."""
    return _project_option(_setting_options(function, [key for key in KEYS if key.train]))


def _project_option(function: Function) -> Function:
    help_text = "Directory shown as /workspace (default: the current one)."
    return click.option("--project", metavar="DIR", help=help_text)(function)


def _setting_options(function: Function, keys: Iterable[Key]) -> Function:
    for key in reversed([key for key in keys if key.flag]):
        function = _setting_option(key)(function)
    return function


def _setting_option(key: Key) -> Callable[[Function], Function]:
    """Values stay text here: what they mean is judged in one place, wherever they come from."""
    if key.kind is Kind.SWITCH:
        return click.option(f"{key.flag}/--no-{key.flag[2:]}", key.parameter, default=None, help=key.help)
    names = [name for name in (key.short, key.flag, key.parameter) if name]
    several = key.kind in (Kind.LIST, Kind.TABLE)
    ending = " Repeatable." if several else f" Default: {key.default}."
    metavar = key.metavar or "|".join(key.choices)
    return click.option(
        *names,
        multiple=several,
        metavar=metavar,
        help=key.help + ending,
        shell_complete=lambda _context, _option, begun: [c for c in key.choices if c.startswith(begun)],
    )
