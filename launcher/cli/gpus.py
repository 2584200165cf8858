"""launcher gpus"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, pass_context, refuse_trailing
from launcher.context import Context


@click.command()
@json_option
@pass_context
def gpus(context: Context) -> None:
    """Show every GPU of the machine: memory, load, who holds it, what runs on it."""
    refuse_trailing(context, "gpus")
    import time

    from launcher.gpu_overview import overview
    from launcher.render import print_json
    from launcher.render_gpus import gpus_text

    report = overview(context)
    if context.json:
        print_json(report.to_json())
        return
    click.echo(gpus_text(report, time.time()), nl=False)
    if not report.gpus:
        click.echo(f"No GPU to list: {report.remark}")
    elif report.remark:
        context.progress.say(report.remark)
