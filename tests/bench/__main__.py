"""`python -m tests.bench [PART...] [--json FILE]`: the table on stdout as Markdown, every figure as JSON on request."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from tests.bench.figure import Figure, markdown

PARTS = ("command_line", "doctor", "starting", "building", "training")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: all of {', '.join(PARTS)}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for part in options.parts or PARTS:
        for figure in import_module(f"tests.bench.{part}").figures():
            print(": ".join(figure.cells()[:2]), file=sys.stderr, flush=True)
            figures.append(figure)
    sys.stdout.write(markdown(figures))
    if options.json:
        machine = {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()}
        document = {"machine": machine, "figures": [asdict(figure) | {"ratio": figure.ratio} for figure in figures]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
