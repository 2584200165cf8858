"""envcheck in the real image: a package that was installed in front of the stack is named, and its fix works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.images.containers import StartContainer, run_in
from tests.images.wheels import write_wheel
from tests.waiting import wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container


def finding(container: Container) -> dict[str, object]:
    command = ["envcheck", "--json", "--only", "torch"]
    stdout, _ = container.exec_run(command, demux=True).output
    findings = json.loads(stdout)["findings"]
    return next(item for item in findings if item["check"] == "stack-shadowed")


def test_a_torchvision_in_front_is_named_and_the_printed_command_takes_it_away(
    start_container: StartContainer, ssh_image: str, tmp_path: Path
) -> None:
    """pip itself refuses it; --no-deps with an empty PIP_CONSTRAINT does not."""
    write_wheel(tmp_path, "torchvision", "0.21.0")
    tmp_path.chmod(0o755)
    wheels = {str(tmp_path): {"bind": "/wheels", "mode": "ro"}}
    container = start_container(ssh_image, ["bash", "-c", "touch /tmp/prepared; sleep infinity"], volumes=wheels)
    wait_until(lambda: container.exec_run(["test", "-e", "/tmp/prepared"]).exit_code == 0, "prepared")
    assert finding(container)["status"] == "ok"
    install = "pip install -q --no-index --no-deps --find-links /wheels torchvision==0.21.0"
    assert container.exec_run(["bash", "-c", install]).exit_code != 0
    run_in(container, "bash", "-c", f"PIP_CONSTRAINT= {install}")
    broken = finding(container)
    assert (broken["status"], broken["cause"]) == ("fail", "torchvision-mismatch")
    assert broken["fix"] == ["pip uninstall -y torchvision"]
    run_in(container, "bash", "-c", "pip uninstall -y torchvision")
    assert finding(container)["status"] == "ok"
