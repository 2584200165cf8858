"""launcher ls, status"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, name_argument, pass_context, refuse_trailing
from launcher.context import Context


@click.command()
@click.option("--all", "everyone", is_flag=True, help="Everyone's environments, not only yours.")
@json_option
@pass_context
def ls(context: Context, everyone: bool) -> None:
    """List environments and their state."""
    refuse_trailing(context, "ls")
    from launcher.environments import as_seen_by, list_environments
    from launcher.render import listing_json, print_json, table

    found = as_seen_by(list_environments(context.engine, None if everyone else context.owner), context.owner)
    if context.json:
        print_json(listing_json(found))
    else:
        click.echo(table(found, owners=everyone), nl=False)


@click.command()
@name_argument
@json_option
@pass_context
def status(context: Context, name: str | None) -> None:
    """Show one environment: state, device, address."""
    refuse_trailing(context, "status")
    from launcher.inspection import inspect_environment
    from launcher.lifecycle import find
    from launcher.render import print_json, status_text

    result = inspect_environment(context, find(context, name))
    if context.json:
        print_json(result.to_json())
    else:
        click.echo(status_text(result), nl=False)
