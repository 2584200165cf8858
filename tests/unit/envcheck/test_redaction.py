"""What a recording gives away: no identity in any field, and nothing else is touched. Machines are invented."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from envcheck.codec import encode
from envcheck.facts import AllReduce, Crash, Facts, Network, NvmlDevice, Request
from envcheck.judge import judge
from envcheck.redact import redact
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import health

HOME = Path("/data/people/alice")
GPU = "GPU-11111111-2222-3333-4444-555555555555"
MIG = "MIG-aaaaaaaa-2222-3333-4444-555555555555"
NCCL = "node17:4242:4300 [0] NCCL WARN connect to 192.168.1.17<4000> failed, fe80:0:0:0:1:2:3:4, host 10.0.0.1."


def secretive() -> Facts:
    """Everything a recording must not tell, in the fields that can hold it."""
    card = NvmlDevice(0, GPU, "A100", mig=True, mig_uuids=(MIG,))
    facts = inside(
        gpu_host(), "gpu", NVIDIA_VISIBLE_DEVICES=GPU, CUDA_VISIBLE_DEVICES=MIG[:12], LD_LIBRARY_PATH=f"{HOME}/lib"
    )
    return replace(
        facts,
        nvml=replace(facts.nvml, devices=(card,), path=f"{HOME}/libnvidia-ml.so.1", error=f"cannot open {HOME}/x"),
        container=replace(facts.container, request=Request("gpu", (GPU,), f"--gpus {GPU}")),
        runtime=replace(facts.runtime, cdi_devices=(f"nvidia.com/gpu={GPU}",), docker_client=f"{HOME}/bin/docker"),
        hardware=replace(facts.hardware, evidence=(f"{HOME}/libcuda.so.1 loads",)),
        network=Network(("enx001122334455", "eth0")),
        shadowing=(f"{HOME}/lib/libcudnn.so.9", "/home/bob/libcublas.so.12"),
        torch=torch(
            python="/home/bob/venv/bin/python",
            location=f"{HOME}/venv/lib/python3.11/site-packages/torch",
            cudnn_libraries=(f"{HOME}/venv/lib/libcudnn.so.9",),
            crashes=(Crash("cudnn", stderr=f"cannot load {HOME}/x.so"),),
            all_reduces=(AllReduce("nccl", 2, error=NCCL),),
        ),
    )


def test_no_identity_is_left_in_any_field() -> None:
    text = json.dumps(encode(redact(secretive(), HOME)))
    for secret in ("11111111", "aaaaaaaa", "alice", "bob", "001122334455", "node17", "192.168", "10.0.0.1", "fe80"):
        assert secret not in text, secret


def test_one_identity_is_one_placeholder_everywhere() -> None:
    facts = redact(secretive(), HOME)
    assert facts.nvml.devices[0].uuid == "GPU-redacted-0"
    assert facts.environment["NVIDIA_VISIBLE_DEVICES"] == "GPU-redacted-0"
    assert facts.environment["CUDA_VISIBLE_DEVICES"] == facts.nvml.devices[0].mig_uuids[0] == "MIG-redacted-0-0"
    assert facts.container.request is not None and facts.container.request.reason == "--gpus GPU-redacted-0"
    assert facts.runtime.cdi_devices == ("nvidia.com/gpu=GPU-redacted-0",)
    assert facts.environment["LD_LIBRARY_PATH"] == "~/lib" and facts.shadowing[0] == "~/lib/libcudnn.so.9"
    assert facts.torch is not None and facts.torch.python is not None
    assert facts.torch.python.split("/venv")[0] == facts.shadowing[1].split("/libcublas")[0] != "~"


def test_an_identity_that_is_on_no_list_is_hidden_too() -> None:
    facts = replace(gpu_host(), environment={"CUDA_VISIBLE_DEVICES": "GPU-99999999-1, MIG-GPU-99999999-1/1/0,3"})
    value = redact(facts, HOME).environment["CUDA_VISIBLE_DEVICES"]
    assert "9999" not in value and value.endswith(",3")


@pytest.mark.parametrize(
    "value",
    [
        "/data/people/alicelike/lib",
        "/mnt/data/people/alice/lib",
        "/data/people/alice.old/lib",
        "/usr/lib/root/cause",
        "9.10.2.21",
    ],
)
def test_what_only_looks_like_an_identity_stays(value: str) -> None:
    facts = replace(gpu_host(), environment={"LD_LIBRARY_PATH": value})
    assert redact(facts, HOME).environment["LD_LIBRARY_PATH"] == value


def test_a_version_in_a_message_stays_and_an_address_does_not() -> None:
    facts = change(gpu_host(), "nvml", error="driver 570.124.06 of 00000000:01:00.0 at 12:30:45 refused 172.16.0.9:22")
    assert redact(facts, HOME).nvml.error == ("driver 570.124.06 of 00000000:01:00.0 at 12:30:45 refused <address>:22")


def test_without_a_home_no_path_is_one() -> None:
    facts = replace(gpu_host(), environment={"LD_LIBRARY_PATH": "/lib"})
    assert redact(facts, Path("/")).environment["LD_LIBRARY_PATH"] == "/lib"


def test_every_string_of_the_facts_passes_through() -> None:
    """A field that is added later is redacted without anybody remembering to."""

    def strings(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        if isinstance(value, (tuple, dict)):
            return [text for item in (value.values() if isinstance(value, dict) else value) for text in strings(item)]
        if is_dataclass(value):
            return [text for field in fields(value) for text in strings(getattr(value, field.name))]
        return []

    def planted(value: object) -> object:
        if isinstance(value, str):
            return f"{HOME}/{GPU}"
        if isinstance(value, tuple):
            return tuple(planted(item) for item in value)
        if isinstance(value, dict):
            return {key: planted(item) for key, item in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: planted(getattr(value, field.name)) for field in fields(value)})
        return value

    facts = planted(secretive())
    assert isinstance(facts, Facts)
    left = [text for text in strings(redact(facts, HOME)) if "alice" in text or "11111111" in text]
    assert (len(strings(facts)) > 50, left) == (True, [])


@pytest.mark.parametrize(
    "facts",
    [gpu_host(), change(gpu_host(driver="470.1"), "nvml", devices=()), cpu_host(), health(mig=True, mig_uuids=(MIG,))],
)
def test_a_redacted_recording_is_judged_the_same(facts: Facts) -> None:
    facts = replace(facts, environment={"CUDA_VISIBLE_DEVICES": MIG[:20]})
    before, after = judge(facts), judge(redact(facts, Path("/usr")))
    assert (before.verdict, before.root_cause) == (after.verdict, after.root_cause)
    told = [(item.check, item.status, item.cause) for item in before.findings]
    assert [(item.check, item.status, item.cause) for item in after.findings] == told
