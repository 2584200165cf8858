"""launcher build"""

from __future__ import annotations

from typing import Any

import click

from launcher.cli.options import build_options, json_option, pass_context, refuse_trailing, yes_option
from launcher.context import Context


@click.command()
@build_options
@click.option("--target", type=click.Choice(["jupyter", "ssh"]), help="One target (default: both).")
@json_option
@yes_option
@pass_context
def build(context: Context, /, target: str | None, **options: Any) -> None:  # noqa: ANN401 (what click parsed)
    """Build the images, in a project with its packages; what is up to date is left alone."""
    refuse_trailing(context, "build")
    from launcher.images import choose_image, ensure_image
    from launcher.render import print_json
    from launcher.setup.perform import ensure_engine
    from launcher.stacks import TARGETS

    stack, apt, pip = _wanted(context, options)
    ensure_engine(context.progress, consent=context.consent)
    built = []
    for name in [target] if target else TARGETS:
        image = choose_image(name, stack, apt, pip)
        ensure_image(context, image, name, stack)
        built.append(image)
    if context.json:
        print_json({"images": [{"reference": image.reference, "source": image.source} for image in built]})
        return
    for image in built:
        click.echo(image.reference)


def _wanted(context: Context, options: dict[str, Any]) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Stack and packages; where there is no project (at home, in /), what the command line names."""
    from launcher.errors import UsageError
    from launcher.host_paths import project_directory
    from launcher.request import make_request

    try:
        project_directory(options["project"], context.home, context.checkout)
    except UsageError:
        if options["project"]:
            raise
        return options["stack"], options["apt"], options["pip"]
    request = make_request(context, name=None, **options)
    return request.stack, request.apt, request.pip
