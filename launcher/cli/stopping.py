"""launcher stop, start, restart, down, rm"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, name_argument, pass_context, refuse_trailing, yes_option
from launcher.context import Context


@click.command()
@name_argument
@json_option
@pass_context
def stop(context: Context, name: str | None) -> None:
    """Stop an environment and keep it."""
    refuse_trailing(context, "stop")
    from launcher import lifecycle

    environment = lifecycle.find(context, name)
    if environment.state == "down":
        _done(context, environment.name, "down", "it has no container to stop")
        return
    lifecycle.stop(context, environment)
    _done(context, environment.name, "stopped", f"start it again: launcher start {environment.name}")


@click.command()
@name_argument
@click.option("--share", is_flag=True, help="Also when another environment holds its GPUs by now.")
@click.option("--skip-check", is_flag=True, help="Do not prove that the GPUs work.")
@json_option
@pass_context
def start(context: Context, name: str | None, share: bool, skip_check: bool) -> None:
    """Start a stopped environment; return when it can be used."""
    refuse_trailing(context, "start")
    from launcher import lifecycle
    from launcher.render import address_text, print_json

    result = lifecycle.start(context, lifecycle.find(context, name), skip_check, share)
    if context.json:
        print_json(result.to_json())
    else:
        click.echo(address_text(result), nl=False)


@click.command()
@name_argument
@click.option("--share", is_flag=True, help="Also when another environment holds its GPUs by now.")
@click.option("--skip-check", is_flag=True, help="Do not prove that the GPUs work.")
@json_option
@pass_context
def restart(context: Context, name: str | None, share: bool, skip_check: bool) -> None:
    """End everything in an environment, start it again, and return when it can be used; its GPUs are proved.

    \b
    launcher restart project-ssh

    Exit codes: 0 usable, 3 it is down or cannot start, 4 another environment holds its GPUs, 5 timed out.
    """
    refuse_trailing(context, "restart")
    from launcher import lifecycle
    from launcher.render import address_text, print_json

    result = lifecycle.restart(context, lifecycle.find(context, name), skip_check, share)
    if context.json:
        print_json(result.to_json())
    else:
        click.echo(address_text(result), nl=False)


@click.command()
@name_argument
@json_option
@pass_context
def down(context: Context, name: str | None) -> None:
    """Remove container and network; your home, token and keys stay for the next `up`."""
    refuse_trailing(context, "down")
    from launcher import lifecycle

    environment = lifecycle.find(context, name)
    lifecycle.down(context, environment)
    _done(context, environment.name, "down", "its volumes are kept; `launcher rm` deletes them")


@click.command()
@name_argument
@json_option
@yes_option
@pass_context
def rm(context: Context, name: str | None) -> None:
    """Delete an environment with its volumes, after naming them."""
    refuse_trailing(context, "rm")
    from launcher import lifecycle
    from launcher.consent import ask
    from launcher.render import volumes_text

    environment = lifecycle.find(context, name)
    volumes = lifecycle.deletable_volumes(context, environment)
    context.progress.say(volumes_text(environment.name, volumes))
    if environment.synced:
        context.progress.say("Its copy of the project goes too; what is new in it is fetched by: launcher sync --fetch")
    ask(context, f"Delete {environment.name} and these volumes?", f"launcher rm {environment.name} --yes")
    lifecycle.remove(context, environment, volumes)
    _done(context, environment.name, "removed", "your project directory is untouched")


def _done(context: Context, name: str, state: str, hint: str) -> None:
    from launcher.render import print_json

    if context.json:
        print_json({"name": name, "state": state})
    else:
        context.progress.say(f"{name}: {state} ({hint})")
