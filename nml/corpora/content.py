"""What a shard is on disk: a tar, or the folder of one class in an ImageFolder tree."""

import hashlib
import os
from pathlib import Path

from nml.artifacts import sha256_file

IMAGE_SUFFIXES = ("webp", "png", "jpg", "jpeg")


def images_in(folder: Path) -> list[Path]:
    """Return the images that lie in a class folder, in the order of their names; other files are passed over."""
    return sorted(file for file in folder.iterdir() if file.suffix[1:].lower() in IMAGE_SUFFIXES)


def class_folders(root: Path) -> list[str]:
    """Return the names of the class folders of an ImageFolder tree by label, as `torchvision` counts them."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def stamp_of(shard: Path) -> tuple[int, int]:
    """Return a shard's size in bytes and when it was last modified, in nanoseconds; of a folder, its images together.

    Raises
    ------
    FileNotFoundError
        If there is no such shard.
    """
    if not shard.is_dir():
        facts = shard.stat()
        return facts.st_size, facts.st_mtime_ns
    facts = [image.stat() for image in images_in(shard)]
    # The folder itself tells when an image was renamed or taken away.
    return sum(f.st_size for f in facts), max(f.st_mtime_ns for f in [shard.stat(), *facts])


def sha256_of(shard: Path) -> str:
    """Return a shard's SHA-256 in hexadecimal; of a folder, that of the list of its images' names and SHA-256.

    Raises
    ------
    FileNotFoundError
        If there is no such shard.
    """
    if not shard.is_dir():
        return sha256_file(shard)
    listing = hashlib.sha256()
    for image in images_in(shard):
        listing.update(f"{image.name}\0{sha256_file(image)}\n".encode())
    return listing.hexdigest()
