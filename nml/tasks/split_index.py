"""The splits that no official list fixes, as committed tables: EuroSAT, RESISC45 and Caltech-101.

A table has one row a class: its folder, how many images it has, the pattern of their names, which count from 1, and the
numbers of those that are tested on. They are drawn by the hash of their names, so that anybody can draw them again:
`python -m nml.tasks.split_index` writes the tables from `images.yaml` beside them.
"""

import csv
import io
from pathlib import Path

import numpy as np
import yaml

from nml.artifacts import write_text
from nml.seeds import hash_keys

FOLDER = Path(__file__).parent / "splits"


def tables() -> dict[str, str]:
    """Return the text of each table by the name of its data set."""
    described = yaml.safe_load((FOLDER / "images.yaml").read_text(encoding="utf-8"))
    return {name: _table(name, entry) for name, entry in described.items()}


def _table(name: str, entry: dict) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", "images", "pattern", "test"])
    for folder, images in entry["images"].items():
        pattern = entry["pattern"].replace("<class>", folder)
        order = np.argsort(hash_keys((f"{folder}/{pattern.format(n)}" for n in range(1, images + 1)), salt=name)) + 1
        tested = order[_training_images(entry, images) :]
        writer.writerow([folder, images, pattern, " ".join(map(str, sorted(tested.tolist())))])
    return text.getvalue()


def _training_images(entry: dict, images: int) -> int:
    """Return how many images of a class are trained on: so many, or a share of them."""
    return entry["train"] if "train" in entry else round(entry["train_share"] * images)


if __name__ == "__main__":
    for name, text in tables().items():
        write_text(FOLDER / f"{name}.csv", text)
