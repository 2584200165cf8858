"""The home's packages when the image's stack changed, on real containers.

Another stack is simulated by one more line in the image's constraints.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images.containers import StartContainer, run_in, wait_healthy
from tests.images.home import CONSTRAINTS, LOCAL, VENV, Home
from tests.images.wheels import write_waiting_package, write_wheel
from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    pass

NOTHING_ANSWERS = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}


@pytest.fixture
def home(start_container: StartContainer, ssh_image: str, volume: str, tmp_path: Path) -> Home:
    reader = start_container(ssh_image, ["cat", CONSTRAINTS])
    assert reader.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0
    text = reader.logs(stderr=False).decode()
    made = Home(start_container, ssh_image, volume, tmp_path, text)
    for name, version in (("tiny", "1"), ("other", "2")):
        write_wheel(tmp_path / "wheels", name, version)
    return made


def test_packages_are_reinstalled_and_nothing_of_the_image_with_them(home: Home) -> None:
    home.run("pip install -q tiny other", stack=0)
    listing = (
        f"python -c 'import tiny; print(tiny.__file__, tiny.version)'; ls {VENV}.*; pip list --local --format freeze"
    )
    out, err = home.run(listing + " 2>/dev/null")
    assert out.split() == [f"{VENV}/lib/python3.11/site-packages/tiny.py", "1", "other==2", "tiny==1"]
    assert "reinstalling 2 packages of yours" in err and "reinstalled: 2 of 2 packages" in err
    assert "reinstalling" not in home.run("true")[1]


def test_nothing_is_made_anew_where_nothing_was_installed(home: Home) -> None:
    home.run("true", stack=0)
    out, err = home.run(f"ls -d {VENV}*")
    assert (out.split(), err) == ([VENV], "")


def test_without_an_index_the_environment_starts_and_says_how_to_do_it_later(home: Home) -> None:
    home.run("pip install -q tiny", stack=0)
    out, err = home.run("echo started", environment=NOTHING_ANSWERS)
    assert out == "started\n"
    assert "1 package of yours not reinstalled yet: no package index" in err and "next: gpu-launcher-restore" in err
    later = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels gpu-launcher-restore"
    script = f"{later} && python -c 'import tiny'; ls -d /home/user/.venvs/*"
    assert home.run(script, environment=NOTHING_ANSWERS)[0].split() == [VENV]


def test_what_no_longer_fits_is_named_and_the_old_environment_kept(home: Home) -> None:
    wheels = home.wheels
    write_wheel(wheels, "bound", "1", "torch==2.6")
    write_wheel(wheels, "moved", "1", "torch==2.6")
    write_wheel(wheels, "moved", "2")
    home.run("pip install -q --no-deps tiny bound moved==1", stack=0)
    out, err = home.run(
        f"python -c 'import tiny, moved; print(moved.version)'; ls {VENV}.old/lib/python3.11/site-packages"
    )
    assert out.split()[0] == "2" and "bound.py" in out.split()
    assert "moved==1 does not fit this stack: another version" in err
    assert "bound==1 was not reinstalled" in err and "next: pip install bound" in err
    assert "reinstalled: 2 of 3 packages" in err


def test_a_torch_of_the_users_own_is_not_carried_over(home: Home) -> None:
    write_wheel(home.wheels, "torch", "2.6.0")
    home.run("PIP_CONSTRAINT= pip install -q --no-deps torch==2.6.0", stack=0)
    out, err = home.run("python -c 'import torch; print(torch.__file__)'")
    assert out.startswith("/usr/local/lib/") and "torch==2.6.0 is not reinstalled: the image has its own" in err


def test_a_kill_in_the_middle_loses_nothing(home: Home) -> None:
    write_waiting_package(home.wheels)
    home.mark("go").touch()
    home.run("cp -r /wheels/waiting /home/user/source; pip install -q tiny /home/user/source", stack=0)
    for mark in ("go", "began"):
        home.mark(mark).unlink()
    killed = home.container(["true"])
    wait_until(home.mark("began").exists, "a package is being installed")
    killed.kill()
    killed.wait(timeout=DEADLINE_SECONDS)
    out, _ = home.run(f"ls {VENV}.old/lib/python3.11/site-packages", environment=NOTHING_ANSWERS)
    assert {"tiny.py", "waiting.py"} <= set(out.split())
    home.mark("go").touch()
    out, _ = home.run("python -c 'import tiny, waiting'; ls -d /home/user/.venvs/*")
    assert out.split() == [VENV]


# What a start in the other stack had done when it was killed.
LISTED = "echo tiny==1 > VENV.pending"
MOVED = f"{LISTED}; mv VENV VENV.old"
HALF_MADE = f"{MOVED}; mkdir -p VENV/bin; ln -s /usr/bin/python3 VENV/bin/python"


@pytest.mark.parametrize("done", [LISTED, MOVED, HALF_MADE], ids=["listed", "moved", "half made"])
def test_a_kill_before_the_first_package_loses_nothing(home: Home, done: str) -> None:
    home.run("pip install -q tiny", stack=0)
    home.run(done.replace("VENV", VENV), stack=0)
    out, err = home.run("python -c 'import tiny'; ls -d /home/user/.venvs/*")
    assert out.split() == [VENV] and "reinstalled: 1 of 1 package" in err


def test_two_changes_of_the_stack_without_an_index_lose_nothing(home: Home) -> None:
    home.run("pip install -q tiny", stack=0)
    home.run("PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels pip install -q other", stack=1, environment=NOTHING_ANSWERS)
    home.run("true", stack=2, environment=NOTHING_ANSWERS)
    out, _ = home.run("python -c 'import tiny, other'; ls -d /home/user/.venvs/*", stack=2)
    assert out.split() == [VENV]


def test_a_stack_of_another_name_gets_the_packages_and_the_other_venv_stays(home: Home) -> None:
    home.run("pip install -q tiny", stack=0)
    other = "/home/user/.venvs/py3.11-other"
    path = f"{other}/bin:/usr/local/bin:/usr/bin:/bin"
    out, _ = home.run(
        "python -c 'import tiny; print(tiny.__file__)'; ls -d /home/user/.venvs/*",
        environment=LOCAL | {"VIRTUAL_ENV": other, "PATH": path},
    )
    assert out.split() == [f"{other}/lib/python3.11/site-packages/tiny.py", VENV, other]


def test_a_service_answers_while_packages_are_still_being_installed(home: Home) -> None:
    write_waiting_package(home.wheels)
    home.mark("go").touch()
    home.run("cp -r /wheels/waiting /home/user/source; pip install -q /home/user/source", stack=0)
    home.mark("go").unlink()
    waits = {"LAUNCHER_WAIT_FOR_KEYS": "1"}
    service = home.container(["ssh"], environment=LOCAL | waits)
    wait_healthy(service)
    assert "reinstalled:" not in service.logs().decode()
    home.mark("go").touch()
    wait_until(lambda: "reinstalled: 1 of 1 package" in service.logs().decode(), "reinstalled")
    run_in(service, "python", "-c", "import waiting")
