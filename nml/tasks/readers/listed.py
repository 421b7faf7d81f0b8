"""Images that a text file lists, one a line: Food-101, DTD, Oxford-IIIT Pet, FGVC Aircraft, DomainNet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nml.errors import UserError
from nml.tasks.images import read_files
from nml.tasks.samples import Classes, Samples
from nml.tasks.tables import AGAIN, read_lines

OPTIONS = {"listing": None, "image": None, "label": None, "first": 0, "names": ""}
LABELS = ("folder", "name", "number")


def open_samples(
    place: Path, classes: Classes, listing: str, image: str, label: str, first: int, names: str
) -> Samples:
    """Open one part.

    Parameters
    ----------
    listing : the text file; a line is an image, a space, and what else is known of it
    image : where an image lies, `{}` for what the line says
    label : what tells the class: the `folder` that the line begins with, the class's `name` after the space, or the
        `number` after the space
    first : the number of the first class
    names : a file of the data set that names the classes, in the catalogue's order; it is compared
    """
    if names and read_lines(place / names) != classes.names:
        raise UserError(f"{place / names} does not name the {len(classes.names)} classes of the catalogue. {AGAIN}")
    lines = [line.partition(" ") for line in read_lines(place / listing)]
    find = _finder(label, classes, first)
    labels = [find(image_name, rest) for image_name, _, rest in lines]
    if None in labels:
        line = "".join(lines[labels.index(None)])
        raise UserError(f"{place / listing} has the line '{line}', which names no class by {label}. {AGAIN}")
    paths = [f"{place}/{image.format(name)}" for name, _, _ in lines]
    return Samples([name for name, _, _ in lines], np.asarray(labels, dtype=np.int64), read_files(paths))


def _finder(label: str, classes: Classes, first: int) -> Callable[[str, str], int | None]:
    """Return the function from the two halves of a line to the label, or None."""
    if label == "folder":
        places = {folder: place for place, folder in enumerate(classes.folders)}
        return lambda image, _: places.get(image.partition("/")[0])
    if label == "name":
        places = {name: place for place, name in enumerate(classes.names)}
        return lambda _, rest: places.get(rest.strip())
    if label == "number":
        return lambda _, rest: _number(rest, first)
    raise UserError(f"the option 'label' of the reader 'listed' is '{label}'; allowed: {', '.join(LABELS)}.")


def _number(rest: str, first: int) -> int | None:
    word = rest.partition(" ")[0].strip()
    return int(word) - first if word.isdecimal() else None
