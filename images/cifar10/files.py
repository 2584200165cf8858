"""Files written so that they are whole or absent, whatever ends the process."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` through a temporary file beside it: tmp, fsync, rename, fsync of the directory.

    Raises OSError (disk full, no permission); the old file, if any, is then untouched and the temporary one gone.
    """
    # Not named by the process's id: two containers that share the directory may well have the same.
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        os.fsync(directory)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(directory)
