"""The launcher's own files survive crashes and hostile neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.errors import ConflictError, NotReadyError
from launcher.state import State, write_atomically


def test_directory_is_private(tmp_path: Path) -> None:
    state = State.locate({"HOME": str(tmp_path)})
    assert state.subdirectory("ssh").stat().st_mode & 0o777 == 0o700
    assert state.directory == tmp_path / ".local/state/gpu-launcher"


def test_relative_xdg_directory_is_ignored_as_the_specification_says(tmp_path: Path) -> None:
    assert State.locate({"HOME": str(tmp_path), "XDG_STATE_HOME": "relative"}).directory.is_relative_to(tmp_path)


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_held_lock_is_a_conflict(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    with (
        state.lock("up-a", "another is running"),
        pytest.raises(ConflictError, match="another is running"),
        state.lock("up-a", "another is running"),
    ):
        pass
    with state.lock("up-a", "free again"):
        pass


def test_unwritable_state_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotReadyError, match="cannot write"):
        State(tmp_path / "file").subdirectory("ssh")
