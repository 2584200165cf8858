"""`launcher setup`: says what this machine lacks, and with a yes installs it."""

from __future__ import annotations

import click

from launcher.context import Context
from launcher.setup.perform import agree, dry_run_text, make_plan, perform


def run_setup(context: Context, dry_run: bool) -> None:
    """Raises NotReadyError when the machine cannot be set up from here, or no yes was given."""
    plan = make_plan(context.environ)
    if dry_run and plan.steps:
        click.echo(dry_run_text(plan))
        return
    if plan.blocked:
        for note in plan.notes:
            context.progress.say(note)
        raise plan.blocked
    if plan.steps:
        context.progress.say("The commands that set this machine up:")
        agree(plan, context.progress, context.consent)
        with context.progress.phase("set-up"):
            perform(plan, context.progress, context.environ)
    else:
        for note in plan.notes:
            context.progress.say(note)
    context.progress.say("The container engine answers; next: launcher up --mode jupyter")
