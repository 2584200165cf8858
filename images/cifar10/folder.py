"""A folder of class folders: DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE, or DIR/CLASS/IMAGE alone."""

import os
from itertools import chain
from pathlib import Path

import numpy as np

from cifar10.data import BadDataError, Bytes, Split, Splits, readable
from cifar10.report import Bar, say
from cifar10.settings import CLASSES

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
NUMBERS = tuple("0123456789")

Labelled = list[tuple[str, int]]  # each image file's path and label


def is_image_folder(root: Path) -> bool:
    """Whether `root` holds train or test, a class's folder, or folders with images, whatever those are called."""
    named = any((root / name).is_dir() for name in ("train", "test", *CLASSES, *NUMBERS))
    return named or any(file.suffix.lower() in SUFFIXES for file in root.glob("[!.]*/*"))


def list_images(root: Path) -> tuple[Labelled, Labelled]:
    """The files to train on and to test with. BadDataError, OSError: a folder is no class or lacks images."""
    if (root / "train").is_dir() or (root / "test").is_dir():
        train, test = _list_classes(root / "train"), _list_classes(root / "test")
    else:
        say(f"{root} has no folders train and test: every sixth image of a class is kept to test with")
        classes = _list_classes(root)
        test = [images[5::6] for images in classes]
        train = [[image for place, image in enumerate(images) if place % 6 != 5] for images in classes]
    if not any(test):
        raise BadDataError(root, "has no class of six images or more to keep some to test with")
    return list(chain(*train)), list(chain(*test))


def read_images(train: Labelled, test: Labelled) -> Splits:
    """Load these images, reduced to 32x32. Raises BadDataError naming the file that cannot be."""
    files, count = train + test, len(train)
    images, labels = np.empty((len(files), 32, 32, 3), np.uint8), np.array([label for _, label in files], np.uint8)
    for place, (file, _) in enumerate(Bar(iterable=files, desc="reading", unit=" images")):
        images[place] = read_image(Path(file))
    return Split(images[:count], labels[:count]), Split(images[count:], labels[count:])


def read_image(path: Path) -> Bytes:
    """The middle square of an image file, reduced to uint8 (32, 32, 3). Raises BadDataError naming the file."""
    from PIL import Image, ImageOps

    with readable(path, "image"), Image.open(path) as image:
        if image.mode[0] in "IF":  # Pillow would cut each value off at 255
            raise ValueError("it has more than 8 bits a channel")
        return np.asarray(ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (32, 32), Image.Resampling.BOX))


def _list_classes(directory: Path) -> list[Labelled]:
    """The image files of each class, sorted by name."""
    found = {entry.name for entry in os.scandir(directory) if entry.is_dir() and entry.name[0] != "."}
    names, classes = NUMBERS if found.intersection(NUMBERS) else CLASSES, []
    if strange := found.difference(names):
        raise BadDataError(directory / min(strange), f"is none of the classes {', '.join(names)}")
    for label, name in enumerate(names):
        files = sorted((entry for entry in os.scandir(directory / name) if entry.is_file()), key=lambda file: file.name)
        classes.append([(f.path, label) for f in files if f.name.lower().endswith(SUFFIXES) and f.name[0] != "."])
        if not classes[-1]:
            raise BadDataError(directory / name, f"has no images ({', '.join(SUFFIXES)})")
    return classes
