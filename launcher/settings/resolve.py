"""Every place where settings may be, read in the order of their strength."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from launcher.context import Context
from launcher.settings.reading import Source, from_flags, from_variables
from launcher.settings.setting import Origin, Setting, joined


def resolve(context: Context, project: Path, options: Mapping[str, object]) -> dict[str, Setting]:
    """Slot -> setting: flags before variables before launcher.toml before the user's config.toml.

    A setting that `options` has no parameter for is left out. Raises UsageError for anything that is wrong anywhere.
    """
    flags = Source(Origin.FLAG, context.home, context.environ)
    variables = Source(Origin.VARIABLE, context.home, context.environ)
    found = joined([*from_flags(options, flags), *from_variables(variables)])
    return {slot: setting for slot, setting in found.items() if setting.key.parameter in options}
