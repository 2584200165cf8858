"""launcher build"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, pass_context, refuse_trailing, yes_option
from launcher.context import Context


@click.command()
@click.option("--stack", metavar="STACK", help="A row of images/stacks.toml (default: its default).")
@click.option("--target", type=click.Choice(["jupyter", "ssh"]), help="One target (default: both).")
@json_option
@yes_option
@pass_context
def build(context: Context, stack: str | None, target: str | None) -> None:
    """Build the images; what is up to date is left alone."""
    refuse_trailing(context, "build")
    from launcher.images import choose_image, ensure_image
    from launcher.render import print_json
    from launcher.setup.perform import ensure_engine
    from launcher.stacks import TARGETS

    ensure_engine(context.progress, consent=context.consent)
    built = []
    for name in [target] if target else TARGETS:
        image = choose_image(name, stack)
        ensure_image(context, image, name, stack)
        built.append(image)
    if context.json:
        print_json({"images": [{"reference": image.reference, "source": image.source} for image in built]})
        return
    for image in built:
        click.echo(image.reference)
