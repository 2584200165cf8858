"""The requirement language of images, and what the toolkit would refuse before it starts one. Cards are invented."""

from __future__ import annotations

import pytest

from envcheck.compat import brand_name, toolkit_driver
from envcheck.facts import Nvml, NvmlDevice
from envcheck.requirement import Properties, RequirementError, requirements, satisfied, unmet

# As nvidia/cuda:12.8.1 carries it: no GeForce among the brands, unlike in the 12.0 images.
BRANDS = ("unknown", "grid", "tesla", "nvidia", "quadro", "quadrortx", "nvidiartx", "vapps", "vpc", "vcs", "vws")
IMAGE_12_8 = "cuda>=12.8 " + " ".join(
    f"brand={brand},driver>={branch},driver<{branch + 1}" for branch in (470, 535, 550, 560, 565) for brand in BRANDS
)
ADA = Properties("12.4", "550.54.15", "geforce", "8.9")
L4 = Properties("12.4", "550.54.15", "tesla", "8.9")


def machine(*brands: int, driver: str = "550.54.15", cuda: int | None = 12040) -> Nvml:
    devices = tuple(NvmlDevice(i, f"GPU-{i}", "card", brand=brand) for i, brand in enumerate(brands))
    return Nvml(True, None, None, 0, driver, cuda, devices)


@pytest.mark.parametrize(
    ("expression", "offered", "met"),
    [
        (IMAGE_12_8, ADA, False),
        (IMAGE_12_8, L4, True),
        (IMAGE_12_8, Properties("12.8", "570.26", "geforce"), True),
        (IMAGE_12_8, Properties("12.7", "566.07", "tesla"), False),
        (IMAGE_12_8, Properties("12.2", "535.183.06", "TESLA"), True),
        ("cuda>=12.4", ADA, True),
        ("cuda>12.4", ADA, False),
        ("cuda>12.3", ADA, True),
        ("cuda<=12.4", ADA, True),
        ("cuda<=12.3", ADA, False),
        ("cuda<12.4", ADA, False),
        ("cuda<12.5", ADA, True),
        ("cuda=12.4", ADA, True),
        ("cuda=12.4.0", ADA, True),
        ("cuda=12", ADA, False),
        ("cuda!=12.4", ADA, False),
        ("cuda!=12.5", ADA, True),
        ("cuda>=12.10", ADA, False),
        ("driver>=550,driver<551", ADA, True),
        ("driver>=535,driver<536", ADA, False),
        ("driver>=550.54.15", ADA, True),
        ("driver>=550.54.16", ADA, False),
        ("brand=GeForce", ADA, True),
        ("brand!=tesla", ADA, True),
        ("brand!=geforce", ADA, False),
        ("arch>=8.0", ADA, True),
        ("arch>=9.0", ADA, False),
        ("arch>=9.0 brand=geforce", ADA, True),
        ("arch>=9.0,brand=geforce", ADA, False),
        ("  cuda>=12.4 ,, ", ADA, True),
        ("", ADA, True),
        ("weather=fine", ADA, True),
        ("cuda>=99 driver>=99 brand=x arch>=99", Properties(), True),
    ],
)
def test_alternatives_and_conditions(expression: str, offered: Properties, met: bool) -> None:
    assert satisfied(expression, offered) is met


@pytest.mark.parametrize("expression", ["cuda", "cuda>=", ">=12", "cuda>=twelve", "cuda>=12.4 driver", "brand>=tesla"])
def test_what_is_not_the_language_is_told_by_its_text(expression: str) -> None:
    with pytest.raises(RequirementError, match="'"):
        satisfied(expression, ADA)


def test_every_gpu_must_meet_it_and_the_first_alternative_is_named() -> None:
    image = {"NVIDIA_REQUIRE_CUDA": IMAGE_12_8}
    assert unmet(image, machine(2, 2)) is None
    assert unmet(image, machine(2, 5)) == "cuda>=12.8"


def test_where_no_card_is_listed_only_the_driver_is_judged() -> None:
    assert unmet({"NVIDIA_REQUIRE_CUDA": "driver>=560"}, machine()) == "driver>=560"
    assert unmet({"NVIDIA_REQUIRE_CUDA": "brand=tesla,driver>=550"}, machine()) is None
    assert unmet({"NVIDIA_REQUIRE_CUDA": "cuda>=99"}, machine(cuda=None)) is None


@pytest.mark.parametrize(
    ("environment", "expressions"),
    [
        ({}, ()),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.8"}, ("cuda>=12.8",)),
        ({"NVIDIA_REQUIRE_ARCH": "arch>=7.0", "NVIDIA_REQUIRE_CUDA": "cuda>=12"}, ("arch>=7.0", "cuda>=12")),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.8", "NVIDIA_DISABLE_REQUIRE": "true"}, ()),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.8", "NVIDIA_DISABLE_REQUIRE": "1"}, ()),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.8", "NVIDIA_DISABLE_REQUIRE": "0"}, ("cuda>=12.8",)),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.8", "NVIDIA_DISABLE_REQUIRE": "yes"}, ("cuda>=12.8",)),
        ({"NVIDIA_REQUIRE_CUDA": " "}, ()),
        ({"NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS": "base-only"}, ()),
        ({"CUDA_VERSION": "9.0.176"}, ("cuda>=9.0",)),
        ({"CUDA_VERSION": "12.8.1", "NVIDIA_REQUIRE_CUDA": "cuda>=12.8 x=1"}, ("cuda>=12.8 x=1",)),
        ({"CUDA_VERSION": "newest"}, ()),
    ],
)
def test_which_variables_count(environment: dict[str, str], expressions: tuple[str, ...]) -> None:
    assert requirements(environment) == expressions


def test_brands_are_nvmls_numbers() -> None:
    assert [brand_name(number) for number in (0, 2, 5, 12, 14, 16)] == [
        "unknown", "tesla", "geforce", "quadrortx", "nvidia", "titanrtx",
    ]  # fmt: skip
    assert [brand_name(number) for number in (None, -1, 17)] == [None, None, None]


def test_the_driver_that_knows_all_of_a_cuda() -> None:
    assert [toolkit_driver(version) for version in ("12.0", "12.8", "12.7", "99.0")] == [
        "525.60.13", "570.26", None, None,
    ]  # fmt: skip
