"""What a data set is before it is written: samples with keys, grouped into splits; hashed, order-free choices."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class Sample:
    """One image with its label.

    `key` has no dot. What stands before `__` is the unit that a split never breaks (a drawing family, a superfamily of
    fonts, a concept); for emoji it begins with the concept's code points, up to the first `_`.
    """

    key: str
    label: int
    image: Image.Image
    caption: str | None = None


@dataclass
class Task:
    """A downstream data set with its splits and what a reader must know about it."""

    name: str
    classes: list[str]
    splits: dict[str, list[Sample]]
    sources: list[str]
    licence: str
    stands_in_for: str
    split_unit: str
    notes: str = ""
    group: str = field(default="id")


def unit(key: str) -> str:
    """Return the part of a key that must not straddle two splits."""
    return key.split("__", 1)[0]


def share(text: str) -> float:
    """Return a number in [0, 1) that depends on `text` alone (SHA-256)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def shuffled(items: Iterable[str], salt: str) -> list[str]:
    """Return distinct items ordered by their hash with `salt`."""
    return sorted(set(items), key=lambda item: (share(f"{salt}/{item}"), item))


def partition(items: Iterable[str], salt: str, val: float, test: float) -> dict[str, str]:
    """Assign each item to train, val or test in the given shares, at least one each when there are three items."""
    ordered = shuffled(items, salt)
    n_test = max(1, round(test * len(ordered)))
    n_val = max(1, round(val * len(ordered)))
    names = ["test"] * n_test + ["val"] * n_val + ["train"] * len(ordered)
    return dict(zip(ordered, names, strict=False))
