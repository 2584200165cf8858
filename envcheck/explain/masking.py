"""Secrets in an evidence line: replaced before it is shown, by the form they have."""

from __future__ import annotations

import re

MASK = "***"
# The part in a named group `keep` stays readable: it says what was masked.
SECRETS = tuple(
    re.compile(expression, re.IGNORECASE)
    for expression in (
        r"(?P<keep>\bauthorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:(?:bearer|basic|token)\s)?)[^\s\"',]{4,}",
        r"(?P<keep>\b(?:bearer|basic)\s)[a-z0-9+/=._~-]{12,}",
        r"(?P<keep>[\w-]{0,40}(?:token|passw(?:or)?d|secret|api[_-]?key|access[_-]?key|credentials?)[\"']?\s{0,2}[:=]\s{0,2}[\"']?)"
        r"[^\s\"'&,;]{4,}",
        r"(?P<keep>\b[a-z][a-z0-9+.-]{1,20}://[^/\s:@]{0,80}:)[^/\s@]{1,200}(?=@)",
        r"(?P<keep>\b(?:hf|ghp|gho|ghu|ghs|ghr|glpat|nvapi|sk|pk|xox[abps])[_-])[a-z0-9_-]{10,}",
        r"(?P<keep>\bgithub_pat_)\w{10,}",
        r"(?P<keep>\bAKIA)[A-Z0-9]{12,}",
        r"(?P<keep>\beyJ)[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
    )
)


def masked(line: str) -> str:
    """`line` with what looks like a token, key or password replaced by ***."""
    for secret in SECRETS:
        line = secret.sub(lambda found: found["keep"] + MASK, line)
    return line
