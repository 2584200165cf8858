"""The form of a row in the tables of texts."""

from __future__ import annotations

from envcheck.facts import Facts

# Check, machine, what the finding must say (anywhere in summary, evidence or fix), and what it must not.
Text = tuple[str, Facts, tuple[str, ...], tuple[str, ...]]
