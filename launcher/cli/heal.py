"""launcher heal"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, name_argument, pass_context, refuse_trailing
from launcher.context import Context


@click.command()
@name_argument
@json_option
@pass_context
def heal(context: Context, name: str | None) -> None:
    """Give an environment its lost GPU back (NVML: Unknown Error); nothing is done where it works."""
    refuse_trailing(context, "heal")
    from launcher.heal import ENDED
    from launcher.heal import heal as run_heal
    from launcher.lifecycle import find
    from launcher.render import address_text, print_json

    healing = run_heal(context, find(context, name))
    if context.json:
        print_json(healing.to_json())
        return
    if healing.lost is None:
        context.progress.say(f"{healing.result.environment.name}: its GPUs work; nothing was changed")
    else:
        context.progress.say(f"GPUs proved again. Kept: {', '.join(healing.kept)}")
        context.progress.say(f"Ended: {', '.join(ENDED)}")
    click.echo(address_text(healing.result), nl=False)
