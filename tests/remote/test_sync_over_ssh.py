"""A project that is only on the laptop, worked on by gpu-box: real sshd, real engine, and no directory of the laptop
that gpu-box could mount."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.environment import new_name
from tests.remote.conftest import Laptop
from tests.remote.ssh_server import UID

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("jupyter_image")]


@pytest.fixture
def work(laptop: Laptop) -> Path:
    """The project; its files are root's here, as the tests are, and the user's of gpu-box there."""
    directory = laptop.home / "work"
    (directory / "sub").mkdir(parents=True)
    (directory / "sub/train.py").write_text("print('trained')\n")
    (directory / ".git").mkdir()
    return directory


def test_a_project_that_is_not_there_is_copied_and_its_results_come_back(laptop: Laptop, work: Path) -> None:
    name = new_name("jupyter")
    laptop.names.append(name)
    refused = laptop.run("up", name, "--mode", "jupyter", cwd=work)
    assert refused.code == 2 and "does not exist on gpu-box" in refused.stderr
    assert "launcher up --sync" in refused.stderr.splitlines()[-1]
    done = laptop.run("up", name, "--mode", "jupyter", "--sync", "--json", cwd=work)
    assert done.code == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["project"], result["synced"]) == (str(work), True)
    inside = laptop.run("exec", name, "--", "sh", "-c", "id -u; python sub/train.py | tee sub/result; ls -A; cat")
    assert inside.stdout.split() == [str(UID), "trained", "sub"]
    (work / "more.py").write_text("1\n")
    (work / "sub/train.py").write_text("print('trained longer')\n")
    sent = laptop.run("sync", name)
    assert sent.code == 0 and "Brought 2 file(s)" in sent.stderr
    assert laptop.run("exec", name, "--", "python", "sub/train.py").stdout == "trained longer\n"
    fetched = json.loads(laptop.run("sync", "--fetch", name, "--json").stdout)
    assert fetched["files"] == ["sub/result"] and (work / "sub/result").read_text() == "trained\n"
    assert "(copied)" in laptop.run("ls").stdout
    assert not list(laptop.box.home.rglob("train.py"))
    # Without saying it again, and after `down`.
    assert laptop.run("down", name).code == 0
    again = laptop.run("up", name, "--mode", "jupyter", "--json", cwd=work)
    assert again.code == 0 and json.loads(again.stdout)["synced"] is True, again.stderr
    assert laptop.run("exec", name, "--", "cat", "sub/result").stdout == "trained\n"
