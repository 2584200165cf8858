"""What is asked of Podman to make a container, and what becomes of its refusals (simulated: the engine's answers)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest
import requests

from launcher.docker_creation import create_container
from launcher.engine import ContainerPlan, EngineInfo
from launcher.errors import ConflictError
from tests.unit.test_podman_spec import PLAN

PODMAN = EngineInfo("4.3.1", podman=True)


@dataclass
class Podman:
    """Answers by the last part of the path; writes down what it is asked."""

    answers: dict[str, tuple[int, dict[str, str]]]
    base_url: str = "http+docker://localhost"
    timeout: int = 1
    asked: list[str] = field(default_factory=list)

    def post(self, url: str, json: dict[str, Any] | None, timeout: int) -> requests.Response:
        self.asked.append(url.removeprefix(self.base_url))
        return answer(*self.answers[url.rpartition("/")[2]])


def answer(code: int, body: dict[str, str]) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = code, json.dumps(body).encode()
    return made


def create(podman: Podman, plan: ContainerPlan = PLAN) -> str:
    return create_container(podman, plan, PODMAN)  # type: ignore[arg-type]


def test_a_container_is_made_by_podmans_own_call() -> None:
    podman = Podman({"create": (201, {"Id": "1"})})
    assert create(podman) == "1"
    assert podman.asked == ["/v4.0.0/libpod/containers/create"]


def test_what_podman_says_is_passed_on() -> None:
    with pytest.raises(docker.errors.APIError, match="setting rlimit"):
        create(Podman({"create": (500, {"message": "setting rlimit: not permitted"})}))


@pytest.mark.parametrize("code", [409, 500])
def test_a_name_that_is_taken_is_a_conflict_in_podmans_words(code: int) -> None:
    said = 'creating container storage: the container name "gl-1234-work" is already in use by 1.'
    with pytest.raises(ConflictError, match="gl-1234-work exists") as caught:
        create(Podman({"create": (code, {"message": said})}))
    assert caught.value.next_step.endswith("podman ps -a --filter name=gl-1234-work")
