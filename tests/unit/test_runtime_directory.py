"""The directory of control sockets, which commands that run at the same time share."""

from __future__ import annotations

from pathlib import Path

from launcher.remote.runtime import runtime_directory, tidy


def test_one_command_tidies_up_and_another_can_still_log_in(tmp_path: Path) -> None:
    """ssh makes its control socket only when it is in: seconds after the directory was made."""
    logging_in = runtime_directory(tmp_path)
    for name in ("ended.sock", "ended.facts", "open.sock", "open.ctl"):
        (logging_in / name).touch()
    tidy(runtime_directory(tmp_path))
    assert {path.name for path in logging_in.iterdir()} == {"open.sock", "open.ctl"}
    (logging_in / "open.ctl").unlink()
    tidy(logging_in)
    assert logging_in.is_dir() and not list(logging_in.iterdir())
