"""launcher sync"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, name_argument, pass_context, refuse_trailing
from launcher.context import Context


@click.command()
@name_argument
@click.option("--fetch", is_flag=True, help="The other way: bring here what changed inside.")
@click.option("--force", is_flag=True, help="Replace also what changed on both sides.")
@click.option("--delete", is_flag=True, help="Also delete what the source has deleted, where it did not change since.")
@click.option("--dry-run", is_flag=True, help="Only show what would be copied.")
@json_option
@pass_context
def sync(context: Context, name: str | None, fetch: bool, force: bool, delete: bool, dry_run: bool) -> int:
    """Bring what changed in the project into an environment made by `up --sync`, or back.

    \b
    launcher sync NAME                what changed here goes in
    launcher sync --fetch NAME        what changed inside comes here

    What changed on both sides is named and left alone. A change is another size, time or mode; where both sides seem
    changed and have one size, their bytes decide. A .launcherignore names what is not copied, one pattern a line.

    Exit codes: 0 done, 1 something cannot be read, 2 no such copy, 3 it does not run, or no room, 4 something was left.
    """
    refuse_trailing(context, "sync")
    from launcher.lifecycle import find
    from launcher.render import print_json
    from launcher.sync.report import failure, lines, outcome_json
    from launcher.sync.run import Wish, synchronise

    name, wish = (environment := find(context, name)).name, Wish(fetch, force, delete, dry_run)
    outcome = synchronise(context, environment, wish)
    error = failure(name, wish, outcome)
    if context.json:
        print_json(outcome_json(name, wish, outcome))
        return error.code if error else 0
    for line in lines(name, wish, outcome):
        context.progress.say(line)
    if error:
        raise error
    return 0
