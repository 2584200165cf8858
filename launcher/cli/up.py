"""launcher up"""

from __future__ import annotations

import click

from launcher.cli.options import (
    json_option,
    name_argument,
    pass_context,
    refuse_trailing,
    up_options,
    yes_option,
)
from launcher.context import Context


@click.command()
@name_argument
@up_options
@click.option("--dry-run", is_flag=True, help="Print what would be created and stop.")
@json_option
@yes_option
@pass_context
def up(context: Context, /, dry_run: bool, **options: object) -> None:
    """Start an environment, or repair the one that is there; return when it can be used."""
    refuse_trailing(context, "up")
    from launcher.render import address_text, phases_text, print_json
    from launcher.request import make_request
    from launcher.up import up as run_up

    request = make_request(context, **options)
    if dry_run:
        from launcher.dry_run import dry_run as run_dry

        print_json(run_dry(context, request))
        return
    result = run_up(context, request)
    if context.json:
        print_json(result.to_json())
        return
    context.progress.say(phases_text(result.phases))
    click.echo(address_text(result), nl=False)
