"""Which Python has the PyTorch that is meant: found by files, none is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from envcheck.probes.torch import find_python
from tests.unit.envcheck.test_probes import write


def test_the_python_of_an_active_environment_is_preferred_and_none_is_started(tmp_path: Path) -> None:
    python = write(tmp_path, "venv/bin/python")
    write(tmp_path, "venv/lib/python3.12/site-packages/torch/version.py")
    other = write(tmp_path, "other/bin/python3")
    other.chmod(0o755)
    found, _ = find_python({"VIRTUAL_ENV": str(tmp_path / "venv"), "PATH": str(other.parent)})
    assert found == str(python)
    write(tmp_path, "other/lib/python3.11/dist-packages/torch/version.py")
    found, _ = find_python({"PATH": str(other.parent)})
    assert found == str(other)
    assert find_python({"ENVCHECK_PYTHON": "/opt/python", "PATH": str(other.parent)})[0] == "/opt/python"


def test_packages_of_the_user_and_of_fedora_count(tmp_path: Path) -> None:
    python = write(tmp_path, "usr/bin/python3.12")
    python.chmod(0o755)
    (python.parent / "python3").symlink_to("python3.12")
    environ = {"PATH": str(python.parent), "HOME": str(tmp_path / "home")}
    assert find_python(environ)[0] is None
    own = write(tmp_path, "home/.local/lib/python3.12/site-packages/torch/version.py")
    assert find_python(environ)[0] == str(python.parent / "python3")
    write(tmp_path, "usr/pyvenv.cfg")
    assert find_python(environ)[0] is None, "a virtual environment does not see them"
    own.unlink()
    write(tmp_path, "usr/local/lib64/python3.12/site-packages/torch/version.py")
    assert find_python(environ)[0] == str(python.parent / "python3")


def test_the_python_behind_pyenv_is_found_without_starting_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = write(tmp_path, "pyenv/shims/python3")
    shim.chmod(0o755)
    environ = {"PATH": str(shim.parent)}
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    for version in ("3.11.7", "3.11.9", "3.1.1"):
        write(tmp_path, f"pyenv/versions/{version}/bin/python3").chmod(0o755)
        write(tmp_path, f"pyenv/versions/{version}/lib/python3/site-packages/torch/version.py")
    assert find_python(environ)[0] is None, "nothing chooses a version"
    write(tmp_path, "pyenv/version", "3.11.7\n")
    assert find_python(environ)[0] == str(tmp_path / "pyenv/versions/3.11.7/bin/python3")
    write(tmp_path, ".python-version", "3.1\n")
    assert find_python(environ)[0] == str(tmp_path / "pyenv/versions/3.1.1/bin/python3")
    environ["PYENV_VERSION"] = "system:3.11"
    assert find_python(environ)[0] == str(tmp_path / "pyenv/versions/3.11.9/bin/python3")


def test_a_python_without_torch_is_named_as_searched(tmp_path: Path) -> None:
    python = write(tmp_path, "bin/python3")
    python.chmod(0o755)
    found, searched = find_python({"PATH": str(python.parent)})
    assert found is None and str(python) in searched
