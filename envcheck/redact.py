"""What may leave the machine in a recording: by field, never by searching the whole text for a name."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from envcheck.facts import Container, Crash, Facts, Nvml, Torch


def redact(facts: Facts, home: Path) -> Facts:
    """GPU identities become numbered placeholders, and the home directory becomes ~ in the fields that hold paths."""
    return replace(
        facts,
        container=_container(facts.container),
        nvml=_nvml(facts.nvml, home),
        cuda=replace(
            facts.cuda,
            path=_path(facts.cuda.path, home),
            error=_path(facts.cuda.error, home),
            crash=_crash(facts.cuda.crash, home),
        ),
        torch=_torch(facts.torch, home) if facts.torch is not None else None,
        environment={name: _path(value, home) or "" for name, value in _masked(facts.environment).items()},
    )


def _path(text: str | None, home: Path) -> str | None:
    """The home directory as ~, only where it is a whole path prefix."""
    if text is None or home == Path("/"):
        return text
    return re.sub(rf"(?<![\w/]){re.escape(str(home))}(?![\w.-])", "~", text)


def _masked(environment: dict[str, str]) -> dict[str, str]:
    masks = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
    return {name: _uuids(value) if name in masks else value for name, value in environment.items()}


def _uuids(value: str) -> str:
    return re.sub(r"\b(GPU|MIG)-[0-9a-fA-F-]{8,}", r"\1-redacted", value)


def _container(container: Container) -> Container:
    if container.request is None:
        return container
    gpus = tuple(_uuids(gpu) for gpu in container.request.gpus)
    return replace(container, request=replace(container.request, gpus=gpus))


def _nvml(nvml: Nvml, home: Path) -> Nvml:
    devices = tuple(
        replace(
            device,
            uuid=f"GPU-redacted-{device.index}",
            mig_uuids=tuple(f"MIG-redacted-{device.index}-{number}" for number in range(len(device.mig_uuids))),
        )
        for device in nvml.devices
    )
    return replace(nvml, devices=devices, path=_path(nvml.path, home), crash=_crash(nvml.crash, home))


def _crash(crash: Crash | None, home: Path) -> Crash | None:
    return replace(crash, stderr=_path(crash.stderr, home) or "") if crash is not None else None


def _torch(torch: Torch, home: Path) -> Torch:
    vision = torch.torchvision
    crashes = tuple(crash for crash in (_crash(item, home) for item in torch.crashes) if crash is not None)
    return replace(
        torch,
        searched=tuple(_path(path, home) or "" for path in torch.searched),
        python=_path(torch.python, home),
        location=_path(torch.location, home),
        libcuda=_path(torch.libcuda, home),
        error=_path(torch.error, home),
        cudnn_error=_path(torch.cudnn_error, home),
        cudnn_libraries=tuple(_path(path, home) or "" for path in torch.cudnn_libraries),
        cuda_warning=_path(torch.cuda_warning, home),
        crashes=crashes,
        torchvision=replace(vision, extension=_path(vision.extension, home), error=_path(vision.error, home))
        if vision is not None
        else None,
    )
