"""launcher config, init"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, name_argument, pass_context, refuse_trailing, up_options
from launcher.context import Context


@click.command()
@name_argument
@up_options
@click.option("--schema", is_flag=True, help="Print launcher.toml's JSON schema, for editors, and stop.")
@json_option
@pass_context
def config(context: Context, /, schema: bool, **options: object) -> None:
    """Show every setting, its value and where it comes from; takes the flags of `up` and starts nothing."""
    refuse_trailing(context, "config")
    if schema:
        from launcher.settings.documents import SCHEMA_FILE

        click.echo(SCHEMA_FILE.read_text(encoding="utf-8"), nl=False)
        return
    from functools import partial

    from launcher.host_paths import project_directory
    from launcher.places import mount
    from launcher.render import columns, one_line, print_json
    from launcher.settings.files import PROJECT_FILE, user_file
    from launcher.settings.listing import rows, settings_json
    from launcher.settings.resolve import resolve

    given = options["project"]
    project = project_directory(None if given is None else str(given), context.home, context.checkout)
    settings = resolve(context.environ, context.home, partial(mount, context), project, options)
    if context.json:
        files = [
            {"path": str(path), "found": path.exists()} for path in (project / PROJECT_FILE, user_file(context.environ))
        ]
        print_json({"project": str(project), "files": files, "settings": settings_json(settings)})
        return
    table = [("SETTING", "VALUE", "FROM"), *rows(settings)]
    click.echo(columns([[one_line(cell) for cell in row] for row in table]), nl=False)


@click.command()
@click.option("--project", metavar="DIR", help="Where to write it (default: the current directory).")
@click.option("--mode", type=click.Choice(["jupyter", "ssh"]), help="A mode to write into it.")
@click.option("--force", is_flag=True, help="Replace the one that is there.")
@json_option
@pass_context
def init(context: Context, project: str | None, mode: str | None, force: bool) -> None:
    """Write a commented launcher.toml for this project."""
    refuse_trailing(context, "init")
    from launcher.host_paths import project_directory
    from launcher.preparation import prepare_project
    from launcher.render import print_json
    from launcher.settings.write import write_template

    directory = project_directory(project, context.home, context.checkout)
    prepare_project(context, directory)
    path = write_template(directory, mode, force)
    if context.json:
        print_json({"path": str(path)})
    else:
        click.echo(path)
