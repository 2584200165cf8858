"""Folders of class folders: each image gets its folder's label, and what is no such folder is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")
import numpy as np
from cifar10.errors import TrainerError
from cifar10.folder import NUMBERS, read_image
from cifar10.settings import CLASSES
from PIL import Image

from tests.torch.cifar10.loading import assert_same, load, save_images

if TYPE_CHECKING:
    from cifar10.data import Bytes


@pytest.fixture
def divided(arrays: dict[str, Any], tmp_path: Path) -> Path:
    """A folder of train with 40 images and test with 20."""
    save_images(tmp_path / "photos" / "train", arrays["x_train"][:40], np.arange(40) % 10)
    save_images(tmp_path / "photos" / "test", arrays["x_test"][:20], np.arange(20) % 10)
    return tmp_path / "photos"


def in_class_order(images: Bytes) -> dict[str, Any]:
    order = np.argsort(np.arange(len(images)) % 10, kind="stable")
    return {"x": images[order], "y": (np.arange(len(images)) % 10)[order]}


@pytest.mark.parametrize("names", [CLASSES, NUMBERS], ids=["names", "numbers"])
def test_divided_folder_is_read_exactly(names: tuple[str, ...], divided: Path, arrays: dict[str, Any]) -> None:
    for part in ("train", "test"):
        for old, new in zip(CLASSES, names, strict=True):
            (divided / part / old).rename(divided / part / new)
    (divided / "train" / names[0] / "000.png").rename(divided / "train" / names[0] / "000.PNG")
    (divided / "train" / names[3] / ".hidden.png").write_text("no image")
    (divided / "train" / names[3] / "notes.txt").write_text("no image")
    (divided / "train" / ".cache").mkdir()
    train, test = in_class_order(arrays["x_train"][:40]), in_class_order(arrays["x_test"][:20])
    expected = {"x_train": train["x"], "y_train": train["y"], "x_test": test["x"], "y_test": test["y"]}
    assert_same(load(divided), expected)


def test_every_sixth_image_of_an_undivided_folder_is_for_the_test(arrays: dict[str, Any], tmp_path: Path) -> None:
    images, said = arrays["x_train"][:130], []  # thirteen of each class
    save_images(tmp_path / "photos", images, np.arange(130) % 10)
    data = load(tmp_path / "photos", said=said)
    assert "every sixth image" in said[0]
    np.testing.assert_array_equal(data.test.labels, np.repeat(np.arange(10), 2))
    np.testing.assert_array_equal(data.test.images[:2], images[[50, 110]])  # the airplanes 5 and 11, counted from 0
    found = np.concatenate([data.train.images, data.test.images]).reshape(130, -1)
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(images.reshape(130, -1), axis=0))


PICTURE = Image.effect_noise((32, 32), 90).convert("RGB")
WIDE = Image.new("RGB", (96, 32), "white")
WIDE.paste(PICTURE, (32, 0))
TURNED = PICTURE.transpose(Image.Transpose.ROTATE_90)
EXIF = Image.Exif()
EXIF[0x0112] = 6  # Orientation: to be shown turned by 90 degrees clockwise

# File name: the image, how it is saved, what must be read.
FORMATS = {
    "plain.png": (PICTURE, {}, PICTURE),
    "plain.BMP": (PICTURE, {}, PICTURE),
    "plain.tiff": (PICTURE, {}, PICTURE),
    "plain.ppm": (PICTURE, {}, PICTURE),
    "enlarged.png": (PICTURE.resize((256, 256), Image.Resampling.NEAREST), {}, PICTURE),
    "wide.png": (WIDE, {}, PICTURE),
    "grey.png": (PICTURE.convert("L"), {}, PICTURE.convert("L").convert("RGB")),
    "palette.png": (PICTURE.quantize(16), {}, PICTURE.quantize(16).convert("RGB")),
    "transparent.png": (PICTURE.convert("RGBA"), {}, PICTURE),
    "black-and-white.png": (PICTURE.convert("1"), {}, PICTURE.convert("1").convert("RGB")),
    "turned.png": (TURNED, {"exif": EXIF}, PICTURE),
}


@pytest.mark.parametrize("name", FORMATS)
def test_image_file_becomes_its_middle_square(name: str) -> None:
    image, options, expected = FORMATS[name]
    image.save(name, **options)
    np.testing.assert_array_equal(read_image(Path(name)), np.asarray(expected))


@pytest.mark.parametrize(
    "image", [Image.new("I;16", (32, 32), 40_000), Image.new("F", (32, 32))], ids=["16 bits", "floats"]
)
def test_image_that_would_be_cut_off_at_255_is_refused(image: Image.Image) -> None:
    image.save("deep.tiff")
    with pytest.raises(TrainerError, match=r"deep\.tiff: .*more than 8 bits"):
        read_image(Path("deep.tiff"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def empty(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()


def undivided(root: Path, count: int) -> None:
    """The class folders of train directly below the root, with `count` images each."""
    for directory in (root / "train").iterdir():
        directory.rename(root / directory.name)
        for file in sorted((root / directory.name).iterdir())[count:]:
            file.unlink()
    (root / "train").rmdir()
    (root / "test").rename(root.with_name("elsewhere"))


BAD = {
    "class nobody knows": (lambda root: (root / "train" / "cats").mkdir(), "train/cats", "airplane, automobile"),
    "number nobody knows": (lambda root: (root / "test" / "0").mkdir(), "test/airplane", "0, 1, 2"),
    "missing class": (lambda root: (root / "test" / "dog").rename("dog"), "test/dog", "No such file"),
    "empty class": (lambda root: empty(root / "train" / "frog"), "train/frog", "has no images"),
    "no test": (lambda root: (root / "test").rename("elsewhere"), "photos/test", "No such file"),
    "no train": (lambda root: (root / "train").rename("elsewhere"), "photos/train", "No such file"),
    "no images at all": (lambda root: undivided(root, 0), "photos/airplane", "has no images"),
    "too few to divide": (lambda root: undivided(root, 4), "photos", "six images"),
    "cut image": (lambda root: cut(root / "train" / "cat" / "003.png"), "cat/003.png", "not a readable image"),
    "text": (lambda root: (root / "train" / "cat" / "a.jpg").write_text("hello"), "cat/a.jpg", "not a readable image"),
    "empty image": (lambda root: (root / "test" / "cat" / "a.png").touch(), "cat/a.png", "not a readable image"),
    "forbidden image": (lambda root: (root / "train" / "cat" / "003.png").chmod(0), "cat/003.png", "Permission denied"),
    "forbidden class": (lambda root: (root / "train" / "cat").chmod(0), "train/cat", "Permission denied"),
    "forbidden root": (lambda root: root.chmod(0), "photos", "Permission denied"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_folder_is_refused_by_name(case: str, divided: Path, cli: Callable) -> None:
    change, place, word = BAD[case]
    change(divided)
    try:
        outcome = cli("train", "--data", divided, "--device", "cpu", "--mirror", "http://127.0.0.1:9", "--out", "run")
    finally:
        for directory in (divided, divided / "train" / "cat"):
            directory.chmod(0o700) if directory.exists() else None
    outcome.assert_failed(1, place, word)
    assert not Path("run").exists()
    assert not list(Path("caches").rglob("*"))


def test_folders_of_images_under_other_names_are_not_taken_for_an_empty_directory(divided: Path, cli: Callable) -> None:
    """They must not make the trainer download, and train on, what was not asked for."""
    (divided / "train" / "cat").rename("tabby")
    shutil.rmtree(divided)
    divided.mkdir()
    Path("tabby").rename(divided / "tabby")
    outcome = cli("train", "--data", divided, "--device", "cpu", "--mirror", "http://127.0.0.1:9")
    outcome.assert_failed(1, "photos/tabby", "is none of the classes airplane")
