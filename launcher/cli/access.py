"""launcher url"""

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
