"""`python -m envcheck`, and `python envcheck/__main__.py` as bin/envcheck runs it from a fresh clone."""

import os
import sys

# No pathlib before the path is right: a module of that name may lie in the directory that came first.
PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
if not __package__:
    # Run by path, Python put this package's own directory first: its modules would shadow the standard library's.
    sys.path[0] = PARENT
elif sys.path[0] != PARENT:
    # Run by -m, the working directory came first: a json.py of the user's project must not be imported.
    del sys.path[0]

# PYTHONPATH comes before the standard library, and an empty part of it means the working directory.
STANDARD = os.path.dirname(os.path.abspath(os.__file__))  # noqa: PTH100, PTH120
sys.path.sort(key=lambda place: place not in (PARENT, STANDARD, os.path.join(STANDARD, "lib-dynload")))  # noqa: PTH118

from envcheck.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
