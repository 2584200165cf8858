"""`python -m envcheck`, and `python envcheck/__main__.py` as bin/envcheck runs it from a fresh clone."""

import sys
from pathlib import Path

if not __package__:
    # Run by path, Python put this package's own directory first: its modules would shadow the standard library's.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from envcheck.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
