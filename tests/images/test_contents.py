"""What an image is: its description against what runs in it, and what must not be in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from launcher.setup.source import source_digest
from launcher.stacks import default_stack
from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    import docker

REALITY = """
import importlib.metadata as m, json, platform, torch, torchvision
print(json.dumps({"python": platform.python_version(), "torch": torch.__version__, "torch_cuda": torch.version.cuda,
  "torchvision": torchvision.__version__.split("+")[0], "torchaudio": m.version("torchaudio"),
  "triton": m.version("triton"), "cudnn": torch.backends.cudnn.version(),
  "nccl": ".".join(map(str, torch.cuda.nccl.version())), "file": torch.__file__,
  "packages": [bool(__import__(n)) for n in ("envcheck", "cifar10", "numpy", "pandas", "matplotlib", "sklearn",
    "tensorboard", "safetensors", "tqdm", "joblib", "psutil", "pynvml", "nvitop", "ipywidgets", "ipykernel",
    "setuptools")]}))
"""


@pytest.fixture(params=["jupyter", "ssh"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(target: str, jupyter_image: str, ssh_image: str) -> str:
    return jupyter_image if target == "jupyter" else ssh_image


def run(client: docker.DockerClient, image: str, *command: str, **options: Any) -> str:
    """Output of a command; `containers.run(remove=True)` would leave the anonymous volumes of the image behind."""
    container = client.containers.create(image, list(command), **options)
    try:
        container.start()
        assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0, container.logs().decode()
        return str(container.logs(stderr=False).decode())
    finally:
        container.remove(force=True, v=True)


def as_root(client: docker.DockerClient, image: str, script: str) -> str:
    """Look at the image's own files, without the start program and its volumes' content."""
    return run(client, image, "-c", script, entrypoint="bash", user="0:0")


def test_the_image_describes_what_runs_in_it(docker_client: docker.DockerClient, image: str, target: str) -> None:
    described = json.loads(run(docker_client, image, "cat", "/etc/gpu-launcher/image.json"))
    found = json.loads(run(docker_client, image, "python", "-c", REALITY))
    assert found.pop("file").startswith("/usr/local/lib/python3")
    assert all(found.pop("packages"))
    assert {key: described[key] for key in found} == found
    stack = default_stack()
    assert described["torch"].split("+")[0] == stack.torch
    assert described["cuda"] == stack.cuda
    assert tuple(described["compute_capabilities"]) == stack.compute_capabilities
    assert (described["stack"], described["target"]) == (stack.name, target)
    assert described["source"] == source_digest(stack, target)


def test_labels_match_the_stack_and_the_checkout(docker_client: docker.DockerClient, image: str, target: str) -> None:
    stack = default_stack()
    labels = docker_client.images.get(image).labels
    wanted = {
        "source": source_digest(stack, target),
        "stack": stack.name,
        "target": target,
        "torch": stack.torch,
        "cuda": stack.cuda,
        "python": stack.python,
    }
    assert {name: labels.get(f"gpu-launcher.{name}") for name in wanted} == wanted


def test_the_image_runs_as_an_ordinary_user_and_asks_for_no_gpu_by_itself(
    docker_client: docker.DockerClient, image: str
) -> None:
    config = docker_client.images.get(image).attrs["Config"]
    environment = dict(entry.split("=", 1) for entry in config["Env"])
    assert config["User"] == "1000:1000"
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert not {"NVIDIA_REQUIRE_CUDA", "LD_PRELOAD", "LD_LIBRARY_PATH"} & set(environment)
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_a_dead_service_is_called_unhealthy_within_half_a_minute(
    docker_client: docker.DockerClient, image: str
) -> None:
    check = docker_client.images.get(image).attrs["Config"]["Healthcheck"]
    assert check["Retries"] * (check["Interval"] + check["Timeout"]) / 1e9 <= 30


def test_nothing_in_the_image_raises_privileges_and_no_key_is_baked_in(
    docker_client: docker.DockerClient, image: str
) -> None:
    assert as_root(docker_client, image, "find / -xdev -perm /6000") == ""
    assert as_root(docker_client, image, "ls -A /etc/ssh | grep ssh_host_ || true") == ""
    secrets = "find /run/secrets /root/.ssh -type f 2>/dev/null; find / -xdev -name 'id_*' -path '*ssh*'"
    assert as_root(docker_client, image, secrets) == ""


def test_only_the_declared_directories_can_be_written_by_everybody(
    docker_client: docker.DockerClient, image: str
) -> None:
    found = as_root(
        docker_client,
        image,
        "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune "
        "-o ! -type l -perm -0002 -printf '%m %p\\n'; "
        "stat -c '%a %n' /home/user /run/gpu-launcher /tmp",
    )
    assert set(found.splitlines()) <= {
        f"1777 {path}"
        for path in (
            "/home/user",
            "/cache",
            "/data",
            "/workspace",
            "/run/gpu-launcher",
            "/tmp",
            "/var/tmp",
            "/run/lock",
        )
    }
    assert {"1777 /home/user", "1777 /cache", "1777 /data", "1777 /run/gpu-launcher"} <= set(found.splitlines())


def test_no_mirror_proxy_or_secret_of_the_building_machine_stays(
    docker_client: docker.DockerClient, image: str
) -> None:
    history = " ".join(str(layer["CreatedBy"]) for layer in docker_client.images.get(image).history())
    assert not re.search(r"https?_proxy=|index-url|BEGIN ", history, re.IGNORECASE)
    left = as_root(
        docker_client,
        image,
        "grep -rlE 'Proxy|CAInfo' /etc/apt || true; ls /etc/pip.conf /etc/uv 2>/dev/null || true; "
        "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -o 'https\\?://[^ ]*' | sort -u | "
        "while read -r uri; do grep -qF $uri /usr/share/doc/apt/examples/sources.list || echo $uri; done",
    )
    assert left == ""


def test_every_file_is_compiled_so_that_a_read_only_container_starts_fast(
    docker_client: docker.DockerClient, image: str
) -> None:
    script = (
        "cd /usr/local/lib/python3.11/dist-packages; "
        "for package in torch numpy IPython tqdm; do ls $package/__pycache__/__init__.cpython-311.pyc; done; "
        "ls /opt/gpu-launcher/*/__pycache__/__init__.*.pyc"
    )
    assert len(as_root(docker_client, image, script).splitlines()) == 6
