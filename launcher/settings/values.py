"""Pure: what one setting's text means. Every refusal names where the text came from (`where`)."""

from __future__ import annotations

import re
from decimal import Decimal
from difflib import get_close_matches

from launcher.errors import UsageError
from launcher.settings.keys import Key

UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}
SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([kmgt])(?:i?b)?", re.IGNORECASE | re.ASCII)
NUMBER = re.compile(r"\d{1,6}(\.\d{1,9})?|\.\d{1,9}", re.ASCII)
# Smaller ones are refused by the engine: https://docs.docker.com/engine/containers/resource_constraints/
LEAST_BYTES = 6 << 20
LEAST_CPUS = Decimal("0.01")
# The kernel's own limit of process numbers: proc_sys_kernel(5), pid_max.
MOST_PROCESSES = 4_194_304
SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
# https://www.debian.org/doc/debian-policy/ch-controlfields.html#source: names; then architecture and version.
APT_PACKAGE = re.compile(r"([a-z0-9][a-z0-9+.-]+)(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?")
# https://packaging.python.org/en/latest/specifications/name-normalization/
PIP_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*")


def parse_size(text: str, where: str) -> int:
    """Bytes; 16g and 16gb are 16 * 2**30 bytes, as the engine counts. Raises UsageError."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        close = f"{text.strip()}g" if text.strip().isdecimal() else "16g"
        raise UsageError(
            f"{where} {text!r} is not a size", f"Use a number and a unit (k, m, g, t), for example {close}."
        )
    size = int(Decimal(match[1]) * (1 << UNITS[match[2].lower()]))
    if size < LEAST_BYTES:
        raise UsageError(f"{where} {text!r} is too small to start anything", "Use at least 6m.")
    return size


def size_text(size: int) -> str:
    """As parse_size reads it, in the largest unit that divides it: the same size always has the same text."""
    for unit, bits in reversed(UNITS.items()):
        if size % (1 << bits) == 0:
            return f"{size >> bits}{unit}"
    return f"{Decimal(size) / 1024:f}k"


def parse_cpus(text: str, where: str) -> float:
    """Processors, also a part of one. Raises UsageError."""
    value = text.strip()
    if NUMBER.fullmatch(value) is None or Decimal(value) < LEAST_CPUS:
        raise UsageError(f"{where} {text!r} is not a number of processors", "Use 0.01 or more, for example 4 or 0.5.")
    return float(value)


def parse_count(text: str, where: str, most: int = MOST_PROCESSES) -> int:
    """A positive whole number. Raises UsageError."""
    value = text.strip()
    if not (value.isascii() and value.isdecimal()) or not 1 <= int(value[:12]) <= most:
        raise UsageError(f"{where} {text!r} is not a number from 1 to {most}", "Give a whole number.")
    return int(value)


def parse_switch(text: str, where: str) -> bool:
    """Raises UsageError for what is neither true nor false."""
    value = SWITCHES.get(text.strip().lower())
    if value is None:
        raise UsageError(f"{where} {text!r} is neither true nor false", "Use true or false.")
    return value


def parse_choice(text: str, where: str, key: Key) -> str:
    """One of the key's words. Raises UsageError with the closest one."""
    if text in key.choices:
        return text
    close = get_close_matches(text.lower(), key.choices, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise UsageError(f"{where} {text!r} is not one of {', '.join(key.choices)}", f"{hint}See: launcher up --help")


def parse_apt(text: str, where: str) -> str:
    """A Debian package, with an architecture or version where wanted. Raises UsageError."""
    if APT_PACKAGE.fullmatch(text) is None:
        raise UsageError(f"{where} {text!r} is not the name of a Debian package", "Example: ffmpeg, or ffmpeg=7:5.1")
    return text


def parse_pip(text: str, where: str) -> str:
    """One requirement on one line; an option of pip's (-r, --index-url) is none. Raises UsageError."""
    value = text.strip()
    if not value.isprintable() or not re.match(r"[A-Za-z0-9]", value):
        raise UsageError(
            f"{where} {text!r} is not a Python requirement", "Example: einops>=0.8 (options of pip are not taken)"
        )
    return value


def apt_name(text: str) -> str:
    """By what two entries of `apt` are one package."""
    match = APT_PACKAGE.fullmatch(text)
    return match[1] if match else text


def pip_name(text: str) -> str:
    """By what two entries of `pip` are one package: its normalized name."""
    match = PIP_NAME.match(text)
    return re.sub(r"[-_.]+", "-", match[0] if match else text).lower()
