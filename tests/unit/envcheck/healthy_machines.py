"""The healthy machines by what is special about each; see healthy.py."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import (
    Card,
    FabricManager,
    Facts,
    Hardware,
    KernelLog,
    Network,
    Runtime,
    Torchvision,
    Xid,
)
from tests.unit.envcheck.healthy import (
    ADA,
    CARDS,
    CU118,
    CU126,
    CU128_211,
    CU130,
    DRIVERS,
    boxed,
    card,
    health,
    hgx,
    masked,
    mig,
    several,
    wheel,
    wsl,
)
from tests.unit.envcheck.machines import change, condition, cpu_host, inside, torch

INTEL = "/usr/lib/x86_64-linux-gnu"
SITE = "/opt/conda/lib/python3.12/site-packages"
GIVEN_AWAY = Card("0000:02:00.0", "0x2204", "0x030000", "vfio-pci")
NGC = "2.8.0a0+34c6371d24.nv25.08"
XIDS = tuple(Xid(number, "0000:01:00", 3, "Ch 00000010", 9.0) for number in (13, 31, 43))
NOTHING_SUPPORTED = {
    name: None
    for name in condition().__dataclass_fields__
    if name not in ("unread", "pci", "nvlinks_active", "nvlinks_inactive")
}

HOSTS: dict[str, Facts] = {
    **{
        f"{row[0]} under {driver}": card(row[0], driver)
        for row in CARDS
        for driver in DRIVERS
        if float(driver.split(".")[0]) >= float(row[3].split(".")[0])
        # The last drivers for Pascal and Volta are those of branch 580.
        and not (float(row[1]) < 7.5 and float(driver.split(".")[0]) >= 590)
    },
    "two different cards": several(ADA, card("NVIDIA GeForce RTX 3090")),
    "a data-center card beside a GeForce": several(card("NVIDIA A100-SXM4-80GB"), ADA),
    "a card with an older card given to a virtual machine": replace(
        ADA, hardware=Hardware(True, (*ADA.hardware.cards, GIVEN_AWAY), ("two cards",))
    ),
    "HGX H100": hgx("NVIDIA H100 80GB HBM3", 18),
    "HGX B200": hgx("NVIDIA B200", 18),
    "a machine whose NVLinks are cut down by its maker": health(
        hgx("NVIDIA H100 80GB HBM3", 8), nvlinks_inactive=tuple(range(8, 18))
    ),
    "HGX A100, which tells no fabric state": health(hgx("NVIDIA A100-SXM4-80GB", 12), fabric_state=0),
    "NVSwitch machine divided by MIG": health(
        hgx("NVIDIA H100 80GB HBM3", 18), fabric_state=1, mig=True, mig_uuids=("MIG-1",)
    ),
    "persistence off, ECC off": health(card("NVIDIA A100-SXM4-80GB"), persistence=False, ecc_enabled=False),
    "idle: low clocks, low PCIe generation": health(ADA, pcie_generation=1, clocks_event_reasons=0x1),
    "power limit reached": health(ADA, clocks_event_reasons=0x4),
    "an x8 card in an x16 slot": health(ADA, pcie_width=8, pcie_width_max=8),
    "an x16 card in a slot of eight lanes": replace(
        health(ADA, pcie_width=8),
        hardware=Hardware(True, (replace(ADA.hardware.cards[0], slot_width=8),), ("a card",)),
    ),
    "old Xid 13, 31 and 43": replace(ADA, kernel_log=KernelLog("/dev/kmsg", xids=XIDS)),
    "kernel log not readable": replace(ADA, kernel_log=KernelLog(error="/dev/kmsg: Operation not permitted")),
    "MIG": mig(),
    "MIG, named by its UUID": masked(mig(), "MIG-aaaa1111-0000-0000-0000-000000000000"),
    "MIG, named as older drivers did": masked(mig(), "MIG-GPU-11111111-2222-3333-4444-555555555555/1/0"),
    "MIG, whose instances NVML does not list": replace(mig(), nvml=health(mig(), mig_uuids=()).nvml),
    "vGPU": health(
        replace(ADA, nvml=replace(ADA.nvml, devices=(replace(ADA.nvml.devices[0], name="GRID A100-40C", brand=4),))),
        **NOTHING_SUPPORTED,
    ),
    "laptop on battery, Intel draws the screen": health(
        replace(ADA, hardware=Hardware(True, (Card("0000:01:00.0", "0x2820", "0x030200", "nvidia"),), ("a card",))),
        pcie_width=8,
        pcie_width_max=8,
        persistence=False,
    ),
    "no container engine": replace(ADA, runtime=Runtime()),
    "Docker with CDI only": replace(
        ADA,
        runtime=Runtime(
            "/usr/bin/docker", "/run/docker.sock", None, "/usr/bin/nvidia-ctk", None, False, ("/etc/cdi/nvidia.yaml",)
        ),
    ),
    "Docker whose toolkit's hook is enough": replace(
        ADA,
        runtime=Runtime(
            "/usr/bin/docker",
            "/run/docker.sock",
            toolkit="/usr/bin/nvidia-ctk",
            hook="/usr/bin/nvidia-container-runtime-hook",
        ),
    ),
    "Podman with CDI": replace(
        ADA,
        runtime=Runtime(
            podman="/usr/bin/podman", toolkit="/usr/bin/nvidia-ctk", cdi_specs=("/var/run/cdi/nvidia.yaml",)
        ),
    ),
    "CUDA_VISIBLE_DEVICES by index": masked(ADA, "0"),
    "CUDA_VISIBLE_DEVICES by UUID": masked(ADA, "GPU-11111111-2222-3333-4444-555555555555"),
    "CUDA_VISIBLE_DEVICES, the second of two": change(
        masked(several(ADA, ADA), "1"), "cuda", device_count=1, devices=ADA.cuda.devices
    ),
    "one card of two belongs to somebody else": change(
        several(ADA, ADA), "nvml", devices=ADA.nvml.devices, device_codes=(4,)
    ),
    "LD_LIBRARY_PATH without harm": replace(
        ADA,
        environment={"LD_LIBRARY_PATH": "/usr/local/cuda/lib64:"},
        shadowing=("/usr/local/cuda/lib64/libcudart.so.13", "/usr/local/cuda/lib64/libcublas.so.13"),
    ),
    "the driver's directory on LD_LIBRARY_PATH": replace(
        ADA, environment={"LD_LIBRARY_PATH": INTEL}, shadowing=(f"{INTEL}/libcuda.so.1",)
    ),
    "compat library on a data-center card": change(
        card("NVIDIA A100-SXM4-80GB", "535.261.03"),
        "cuda",
        path="/usr/local/cuda-12.8/compat/libcuda.so.570.26",
        driver_version=12080,
    ),
    "WSL": wsl(),
    "WSL, where libcuda loads Windows's own": wsl(
        "/usr/lib/wsl/drivers/nv_dispi.inf_amd64_1/libcuda.so.1.1", torch=torch(libcuda="/usr/lib/wsl/lib/libcuda.so.1")
    ),
    "CUDA works under a libcuda that PyTorch has loaded too": replace(ADA, torch=torch(libcuda=ADA.cuda.path)),
    "RoCE, nothing limits locked memory": replace(ADA, network=Network(("eth0", "lo"), ("mlx5_0",))),
}
WHEELS: dict[str, Facts] = {
    **{
        f"torch {version}+cu{cuda.replace('.', '')}": wheel(
            f"{version}+cu{cuda.replace('.', '')}", cuda, architectures=flags, cudnn=cudnn, python_version=python
        )
        for version, cuda, flags, cudnn, python in (
            ("2.6.0", "11.8", CU118, 90100, "3.10.14"),
            ("2.6.0", "12.4", CU126, 90100, "3.10.14"),
            ("2.7.1", "12.6", CU126, 90501, "3.11.9"),
            ("2.7.1", "12.8", CU130, 90701, "3.12.3"),
            ("2.8.0", "12.9", CU130, 91002, "3.13.5"),
            ("2.9.1", "12.8", CU130, 91002, "3.14.0"),
            ("2.9.1", "13.0", CU130, 91300, "3.14.0"),
            ("2.10.0", "12.8", CU130, 91600, "3.14.0"),
            ("2.11.0", "12.8", CU128_211, 91701, "3.14.2"),
            ("2.11.0", "13.0", CU130, 91900, "3.14.2"),
        )
    },
    "nightly": wheel("2.9.0.dev20250820+cu128", "12.8"),
    "from source": wheel("2.9.0a0+git123", "12.9", Torchvision("0.24.0a0+1e53952", None, "/s/_C.so", 12090, (0, 2))),
    "from source, torchvision pins another build": wheel(
        "2.9.0a0+git123", "12.9", Torchvision("0.24.0a0+1e53952", "2.9.0a0+git99", "/s/_C.so", 12090, (0, 2))
    ),
    "NVIDIA's image": wheel(NGC, "13.0", Torchvision("0.23.0a0+428a54c", None, "/s/_C.so", 13000, (0, 2))),
    "NVIDIA's image, torchvision pins the release": wheel(
        NGC, "13.0", Torchvision("0.23.0a0+428a54c", "2.8.0", "/s/_C.so", 13000, (0, 2))
    ),
    "conda-forge": wheel(
        "2.7.1.post303",
        "12.9",
        Torchvision("0.22.1", "2.7.1", f"{SITE}/torchvision/_C.so", 12090, (0, 2)),
        location=f"{SITE}/torch",
        cudnn_libraries=("/opt/conda/lib/libcudnn.so.9.10.2", "/opt/conda/lib/libcudnn_graph.so.9.10.2"),
    ),
    "without torchvision": replace(ADA, torch=torch(torchvision=None)),
    "without PyTorch": replace(ADA, torch=None),
    "without cuDNN and NCCL": replace(ADA, torch=torch(cudnn=None, nccl=None, all_reduces=())),
    "built for AMD, and an NVIDIA card beside": wheel("2.8.0+rocm6.4", None),
    "built for AMD from source": wheel("2.9.0a0+git123", None, hip="6.4.43482"),
}
CONTAINERS: dict[str, Facts] = {
    "the launcher's": inside(ADA, "gpu"),
    "Docker": boxed(ADA, "/.dockerenv exists", NVIDIA_VISIBLE_DEVICES="all"),
    "Docker with CDI, which heeds no capabilities": boxed(
        ADA, "/.dockerenv exists", NVIDIA_VISIBLE_DEVICES="void", NVIDIA_DRIVER_CAPABILITIES="graphics"
    ),
    "an image that requires more, and works": boxed(
        card("NVIDIA GeForce RTX 4090", "550.54.14"),
        "/.dockerenv exists",
        NVIDIA_REQUIRE_CUDA="cuda>=12.8 brand=tesla,driver>=550",
    ),
    "Podman": boxed(ADA, "/run/.containerenv exists"),
    "Kubernetes": boxed(
        ADA,
        "/run/secrets/kubernetes.io exists",
        NVIDIA_VISIBLE_DEVICES="GPU-1",
        LD_LIBRARY_PATH="/usr/local/nvidia/lib64",
    ),
    "Apptainer": boxed(ADA, "/.singularity.d exists", NVIDIA_DRIVER_CAPABILITIES="compute"),
    "one card of two": boxed(change(several(ADA, ADA), "nvml", devices=ADA.nvml.devices), "/.dockerenv exists"),
    "MIG": boxed(masked(mig(), ""), "/.dockerenv exists", NVIDIA_VISIBLE_DEVICES="MIG-aaaa1111"),
    "WSL": boxed(wsl("/usr/lib/x86_64-linux-gnu/libcuda.so.1"), "/.dockerenv exists"),
    "HGX": boxed(
        replace(hgx("NVIDIA H100 80GB HBM3", 18), fabric=FabricManager(4, error="no systemd here")),
        "/.dockerenv exists",
    ),
}
WITHOUT_A_CARD: dict[str, Facts] = {
    "a CUDA build of PyTorch": cpu_host(),
    "a CPU build": cpu_host(torch=torch(version="2.8.0+cpu", cuda=None, torchvision=None, nccl=None, cudnn=None)),
    "a build for AMD": cpu_host(torch=torch(version="2.8.0+rocm6.4", cuda=None, torchvision=None)),
    "a macOS-like build without a local version": cpu_host(torch=torch(version="2.8.0", cuda=None, torchvision=None)),
    "no PyTorch": cpu_host(torch=None),
    "the launcher's container for the CPU": inside(cpu_host(), "cpu"),
    "a card given to a virtual machine": cpu_host(hardware=Hardware(False, (GIVEN_AWAY,), ("a card",))),
}
