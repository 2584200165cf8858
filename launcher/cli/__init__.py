"""The command line: one verb, one short function."""

from launcher.cli.app import main

__all__ = ["main"]
