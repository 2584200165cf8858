"""launcher setup, version"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, pass_context, refuse_trailing, yes_option
from launcher.context import Context


@click.command()
@click.option("--dry-run", is_flag=True, help="Print every command and run none.")
@yes_option
@pass_context
def setup(context: Context, dry_run: bool) -> None:
    """Install what this machine lacks: the container engine, the NVIDIA Container Toolkit."""
    refuse_trailing(context, "setup")
    from launcher.setup.command import run_setup

    run_setup(context, dry_run)


@click.command()
@json_option
@pass_context
def version(context: Context) -> None:
    """Print the versions of launcher, engine, stack and images, for a report or a script.

    \b
    launcher version --json

    Exit code: 0, also when no engine answers; the output then says why.
    """
    refuse_trailing(context, "version")
    from launcher.render import print_json
    from launcher.version import versions, versions_text

    found = versions(context)
    if context.json:
        print_json(found)
    else:
        click.echo(versions_text(found), nl=False)
