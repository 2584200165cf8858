"""Invented machines with a fault of the cards themselves, of what is told to CUDA about them, or of their age."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Extension, FabricManager
from tests.unit.envcheck.faults import BUSY, Fault, numbered, variables
from tests.unit.envcheck.healthy import ADA, card, hgx
from tests.unit.envcheck.healthy import health as with_health
from tests.unit.envcheck.machines import change, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import logged, xid

DEVICE: dict[str, Fault] = {
    "Fabric Manager is down": (
        replace(
            numbered(802, with_health(hgx("NVIDIA H100 80GB HBM3", 18), fabric_state=2)),
            fabric=FabricManager(4, "inactive", "580.95.05"),
        ),
        "cuda-fabric-manager",
        "sudo apt install nvidia-fabricmanager-580",
    ),
    "802, nothing else told": (numbered(802), "cuda-fabric-manager", "sudo systemctl enable --now"),
    "999 after suspend": (
        numbered(999, warning="CUDA unknown error - this may be due to an incorrectly set up environment"),
        "cuda-unknown-init",
        "sudo nvidia-modprobe",
    ),
    "999, uvm was not passed in": (
        inside(change(numbered(999), "driver", device_nodes=("/dev/nvidia0", "/dev/nvidiactl")), "gpu"),
        "cuda-unknown-init",
        "docker run --gpus all",
    ),
    "masked by an empty variable": (
        variables(numbered(100), CUDA_VISIBLE_DEVICES=""),
        "cuda-devices-masked",
        "unset CUDA_",
    ),
    "masked by -1": (variables(numbered(100), CUDA_VISIBLE_DEVICES="-1"), "cuda-devices-masked", "unset CUDA_"),
    "an index that is not there": (
        variables(numbered(101), CUDA_VISIBLE_DEVICES="7"),
        "cuda-devices-masked",
        "unset CUDA_",
    ),
    "no device, and the mask is right": (
        variables(numbered(100), CUDA_VISIBLE_DEVICES="0"),
        "cuda-devices-masked",
        "ls -l /dev/nvidia*",
    ),
    "no device, and the mask is right by its UUID": (
        variables(numbered(100), CUDA_VISIBLE_DEVICES="GPU-1111,3"),
        "cuda-devices-masked",
        "ls -l /dev/nvidia*",
    ),
    "an index one too high": (
        variables(numbered(100), CUDA_VISIBLE_DEVICES="1,0"),
        "cuda-devices-masked",
        "unset CUDA_",
    ),
    "a UUID of another machine": (
        variables(numbered(100), CUDA_VISIBLE_DEVICES="GPU-2222"),
        "cuda-devices-masked",
        "unset CUDA_",
    ),
    "masked, and another card is somebody else's": (
        variables(change(numbered(100), "nvml", device_codes=(4,)), CUDA_VISIBLE_DEVICES=""),
        "cuda-devices-masked",
        "unset CUDA_",
    ),
    "no device, and nothing masks it": (numbered(100), "cuda-devices-masked", "ls -l /dev/nvidia*"),
    "a card that refuses work": (
        numbered(46, with_health(ADA, compute_mode=2)),
        "cuda-device-busy",
        "sudo nvidia-smi -i 0 -c 0",
    ),
    "a card that another program has": (
        numbered(46, with_health(ADA, compute_mode=3)),
        "cuda-device-busy",
        "nvidia-smi",
    ),
    "MPS without its daemon": (
        variables(numbered(805), CUDA_MPS_PIPE_DIRECTORY="/tmp/mps"),
        "cuda-device-busy",
        "unset CUDA_MPS_PIPE_DIRECTORY",
    ),
    "faulty memory": (
        numbered(214, with_health(logged(xid(48)), ecc_uncorrected=1, remap_pending=True)),
        "gpu-memory-ecc",
        "sudo nvidia-smi --gpu-reset",
    ),
    "fallen off the bus": (
        numbered(999, change(logged(xid(79), facts=ADA), "nvml", devices=(), device_codes=(15,))),
        "gpu-fallen-off-bus",
        "sudo dmesg",
    ),
    "MIG without an instance": (
        numbered(100, with_health(card("NVIDIA A100-SXM4-80GB"), mig=True)),
        "cuda-devices-masked",
        "sudo nvidia-smi mig -i 0 -cgi 0 -C",
    ),
    "a card older than the wheel": (
        gpu_host(
            capability="6.0",
            name="Tesla P100-PCIE-16GB",
            torch=torch(all_reduces=(replace(BUSY, error="no kernel image"),)),
        ),
        "arch-unsupported",
        "pip install --force-reinstall torch torchvision --index-url",
    ),
    "a card older than the image": (
        inside(gpu_host(capability="6.1", name="NVIDIA GeForce GTX 1080", torch=None), "gpu"),
        "arch-unsupported",
        "bin/launcher build --stack cu126",
    ),
    "a card between those that the wheel has code for": (
        gpu_host(capability="9.0", torch=torch(architectures=("sm_120", "sm_70"))),
        "arch-unsupported",
        "pip install --upgrade torch",
    ),
    "a card newer than the wheel": (gpu_host(capability="13.0"), "arch-unsupported", "pip install --upgrade torch"),
    "an extension for another card": (
        replace(ADA, torch=torch(extensions=(Extension("flash_attn", "/s/f.so", ("sm_80a",)),))),
        "arch-unsupported",
        "pip install --upgrade flash_attn",
    ),
}
