"""launcher url, code"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, name_argument, pass_context, refuse_trailing
from launcher.context import Context


@click.command()
@name_argument
@click.option("--open", "open_browser", is_flag=True, help="Open it in your browser.")
@json_option
@pass_context
def url(context: Context, name: str | None, open_browser: bool) -> None:
    """Print how to reach an environment: JupyterLab's URL, or the ssh command."""
    refuse_trailing(context, "url")
    from launcher.inspection import reachable
    from launcher.lifecycle import find
    from launcher.render import address_text, print_json

    result = reachable(context, find(context, name))
    if context.json:
        print_json(result.to_json())
    else:
        click.echo(address_text(result), nl=False)
    if open_browser and result.url:
        click.launch(result.url)


@click.command()
@name_argument
@json_option
@pass_context
def code(context: Context, name: str | None) -> None:
    """Open VS Code on an environment of mode ssh; print its command and link where VS Code is not at hand.

    \b
    launcher code project-ssh

    Exit codes: 0 opened or printed, 2 the environment is for JupyterLab, 3 it does not run, 1 VS Code refused.
    """
    refuse_trailing(context, "code")
    from dataclasses import replace

    from launcher.access.editor import editor_address, open_editor, program
    from launcher.inspection import reachable
    from launcher.lifecycle import find
    from launcher.render import print_json

    environment = find(context, name)
    address = editor_address(environment)
    # Also brings the ssh configuration up to date, which VS Code reads.
    remote = reachable(context, environment).remote
    if found := program(context.environ):
        open_editor(found, environment.name)
        address = replace(address, opened=True)
    if context.json:
        print_json(address.to_json() | {"remote": remote})
    elif address.opened:
        context.progress.say(f"Opened {environment.name} in VS Code")
    else:
        click.echo("\n".join([address.command, address.link, *(["", "From your laptop:", remote] if remote else [])]))
