"""launcher setup"""

from __future__ import annotations

import click

from launcher.cli.options import pass_context, refuse_trailing, yes_option
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
