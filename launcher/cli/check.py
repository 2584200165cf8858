"""launcher check"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, name_argument, pass_context, refuse_trailing
from launcher.context import Context
from launcher.errors import NotReadyError


@click.command()
@name_argument
@json_option
@pass_context
def check(context: Context, name: str | None) -> int:
    """Judge this machine and an environment side by side; name the first broken layer."""
    refuse_trailing(context, "check")
    from launcher.check import check as compare
    from launcher.render import comparison_text, print_json

    comparison = compare(context, name)
    broken = comparison.broken
    if context.json:
        print_json(comparison.to_json())
        return NotReadyError.code if broken else 0
    click.echo(comparison_text(comparison), nl=False)
    if broken is None:
        return 0
    where = broken.layer if broken.check is None else f"{broken.layer} ({broken.check})"
    raise NotReadyError(
        f"the first broken layer is the {where}: {broken.summary}", broken.fix, cause_id=broken.cause_id
    )
