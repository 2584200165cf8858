"""launcher bundle save, bundle load"""

from __future__ import annotations

from pathlib import Path

import click

from launcher.cli.options import json_option, pass_context, refuse_trailing, yes_option
from launcher.context import Context


@click.group()
def bundle() -> None:
    """Carry the images to a machine with no network, as one file.

    \b
    launcher bundle save gpu-launcher.tar      where there is a network
    launcher bundle load gpu-launcher.tar      where there is none; then `launcher up` builds nothing
    """


@bundle.command()
@click.argument("file", type=click.Path())
@click.option("--target", "targets", type=click.Choice(["jupyter", "ssh"]), multiple=True, help="Default: both.")
@click.option("--stack", metavar="STACK", help="A row of images/stacks.toml (default: its default).")
@click.option("--no-compression", is_flag=True, help="Faster to write, about twice as large.")
@json_option
@yes_option
@pass_context
def save(context: Context, file: str, targets: tuple[str, ...], stack: str | None, no_compression: bool) -> None:
    """Write the current images to FILE, building them first where they are missing.

    With them go those with the packages (apt, pip) of your environments that have a container.

    \b
    launcher bundle save gpu-launcher.tar --target jupyter

    Exit codes: 0 written, 2 FILE cannot be meant, 3 no engine, or no room. No half file is left.
    """
    refuse_trailing(context, "bundle save")
    from launcher.bundles import save as save_images
    from launcher.render import print_json, readable_bytes
    from launcher.setup.perform import ensure_engine
    from launcher.stacks import TARGETS

    ensure_engine(context.progress, consent=context.consent)
    chosen = tuple(dict.fromkeys(targets)) or TARGETS
    size = save_images(context, Path(file), chosen, stack, not no_compression)
    if context.json:
        print_json({"file": file, "bytes": size, "targets": list(chosen)})
        return
    context.progress.say(f"Wrote {file} ({readable_bytes(size)}). On the other machine: launcher bundle load {file}")


@bundle.command()
@click.argument("file", type=click.Path())
@json_option
@yes_option
@pass_context
def load(context: Context, file: str) -> None:
    """Give the engine the images in FILE, after comparing its checksum.

    \b
    launcher bundle load gpu-launcher.tar

    Exit codes: 0 loaded, 1 FILE is damaged or the engine refused, 2 FILE is no bundle, 3 no engine, or no room.
    """
    refuse_trailing(context, "bundle load")
    from launcher.bundles import is_current
    from launcher.bundles import load as load_images
    from launcher.render import print_json

    loaded = load_images(context, Path(file)).manifest.images
    current = [image for image in loaded if is_current(image)]
    if context.json:
        rows = [{"target": i.target, "references": list(i.references), "current": i in current} for i in loaded]
        print_json({"images": rows})
        return
    click.echo("\n".join(image.references[0] for image in loaded))
    for target in dict.fromkeys(image.target for image in current):
        context.progress.say(f"Next: launcher up --mode {target}")
    for image in loaded:
        if image not in current:
            context.progress.say(f"{image.references[0]} is of other sources: this launcher would build its own")
