"""A folder of class folders: DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE, or DIR/CLASS/IMAGE alone."""

import os
import time
from itertools import chain
from pathlib import Path

import numpy as np

from cifar10.data import BadDataError, Bytes, Split, Splits, readable
from cifar10.report import Display, clock
from cifar10.settings import CLASSES

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
NUMBERS = tuple("0123456789")
SIZE = (32, 32)

Labelled = list[tuple[str, int]]  # each image file's path and label


def is_image_folder(root: Path) -> bool:
    """Whether `root` holds train or test, a class's folder, or folders with images, whatever those are called."""
    named = any((root / name).is_dir() for name in ("train", "test", *CLASSES, *NUMBERS))
    return named or any(file.suffix.lower() in SUFFIXES for file in root.glob("[!.]*/*"))


def list_images(root: Path, display: Display) -> tuple[Labelled, Labelled]:
    """The files to train on and to test with. BadDataError, OSError: a folder is no class or lacks images."""
    if (root / "train").is_dir() or (root / "test").is_dir():
        train, test = _list_classes(root / "train"), _list_classes(root / "test")
    else:
        display.say(f"{root} has no folders train and test: every sixth image of a class is kept to test with")
        train = _list_classes(root)
        test = [images[5::6] for images in train]
        for images in train:
            del images[5::6]
    if not any(test):
        raise BadDataError(root, "has no class of six images or more", "add images, or make folders train and test")
    return list(chain(*train)), list(chain(*test))


def read_images(train: Labelled, test: Labelled, display: Display) -> Splits:
    """Load these images, reduced to 32x32. Raises BadDataError naming the file that cannot be."""
    files, count, begun = train + test, len(train), time.monotonic()
    images = np.empty((len(files), *SIZE, 3), np.uint8)
    labels = np.array([label for _, label in files], np.uint8)
    with display.bar("reading images", len(files)) as bar:
        for place, (file, _) in enumerate(files):
            images[place] = read_image(Path(file))
            rate = (place + 1) / (time.monotonic() - begun)
            bar.update(place + 1, f"{rate:,.0f} images/s  {clock((len(files) - place) / rate)} left")
    return Split(images[:count], labels[:count]), Split(images[count:], labels[count:])


def read_image(path: Path) -> Bytes:
    """The middle square of an image file, reduced to uint8 (32, 32, 3). Raises BadDataError naming the file."""
    from PIL import Image, ImageOps

    with readable(path, "image", "give PNG, JPEG or other images"), Image.open(path) as image:
        if image.mode[0] in "IF":  # Pillow would cut each value off at 255
            raise ValueError("it has more than 8 bits a channel")
        return np.asarray(ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), SIZE, Image.Resampling.BOX))


def _list_classes(directory: Path) -> list[Labelled]:
    """The image files of each class, sorted by name."""
    found = {entry.name for entry in os.scandir(directory) if entry.is_dir() and entry.name[0] != "."}
    names, classes = NUMBERS if found.intersection(NUMBERS) else CLASSES, []
    if strange := found.difference(names):
        raise BadDataError(directory / min(strange), f"is none of the classes {', '.join(names)}")
    for label, name in enumerate(names):
        entries = sorted(os.scandir(directory / name), key=lambda entry: entry.name)
        images = [entry for entry in entries if entry.name.lower().endswith(SUFFIXES) and entry.name[0] != "."]
        classes.append([(image.path, label) for image in images if image.is_file()])
        if not classes[-1]:
            raise BadDataError(directory / name, f"has no images ({', '.join(SUFFIXES)})")
    return classes
