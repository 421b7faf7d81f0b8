"""The feature cache: an encoder runs over a task once, and again only if what the features are made from changed.

It is keyed by content and not declared to Snakemake, for two reasons: extraction and tuning share one process, as half
of a short job is starting Python; and a cache as large as this may be deleted without making anything out of date.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nml import encoders
from nml.artifacts import locked, read_json
from nml.devices import choose_device
from nml.encoders.load import checkpoint_path
from nml.features.parts import Parts
from nml.features.store import TaskFeatures, load_features, save_features, stored_key
from nml.features.views import SMALLEST_AREA
from nml.tasks.task import facts, open_task

logger = logging.getLogger("nml")

LIBRARIES = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "pillow")
"""What decodes images, computes features, and trains heads: another version may give other bits."""


def features_key(address: str, task_name: str, described: str, code: str, root: Path = Path()) -> dict[str, Any]:
    """Return what names all that the features of the plain images are made from.

    Parameters
    ----------
    address : the encoder's address
    task_name : a name in the task catalogue
    described : hash of what the catalogue says of the task
    code : hash of the code that extracts features
    root : the folder that `results/` lies in
    """
    libraries = {name: version(name) for name in LIBRARIES}
    own = {"described": described, "code": code, "libraries": libraries, "device": choose_device().type}
    return encoders.identify(address, root) | facts(open_task(task_name)) | own


def cached_features(
    address: str, task_name: str, folder: Path, key: Mapping[str, Any], views: int = 1, root: Path = Path()
) -> TaskFeatures:
    """Return the features of a task under an encoder, from `folder` if they are still right, else extracted into it.

    Parameters
    ----------
    address, task_name, root : as of `features_key`
    folder : `results/features/<encoder>/<task>`
    key : what `features_key` returned
    views : how many views of each training image to have, the image itself included
    """
    key = dict(key) | ({"views": views, "smallest_area": _smallest_area(address, root)} if views > 1 else {})
    # The same task with noise in its labels has the same features: the first of their jobs extracts them.
    with locked(folder):
        if _serves(stored_key(folder), key):
            logger.info("features of %s under %s are in the cache", task_name, address)
        else:
            _extract(address, task_name, folder, key, root)
        # Mapped from the disk, new ones too: the memory of all views is free again.
        return _first_views(load_features(folder), views)


def _extract(address: str, task_name: str, folder: Path, key: dict[str, Any], root: Path) -> None:
    from nml.features.extract import extract_features

    parts, task = Parts(folder / "parts", key), open_task(task_name)
    how = key.get("views", 1), key.get("smallest_area", 1.0)
    save_features(extract_features(encoders.load(address, root), task, *how, parts), key, folder)
    parts.remove()


def _first_views(found: TaskFeatures, views: int) -> TaskFeatures:
    """Return features as if no more views had been extracted."""
    if found.views is None:
        return found
    return replace(found, views=found.views[:views] if views > 1 else None)


def _serves(stored: dict[str, Any] | None, key: dict[str, Any]) -> bool:
    """Tell whether stored features are those that are asked for, perhaps with more views than that."""
    views = key.get("views", 1)
    if stored is None or stored.get("views", 1) < views:
        return False
    own = {"views"} if views > 1 else {"views", "smallest_area"}
    found, wanted = ({name: fact for name, fact in one.items() if name not in own} for one in (stored, key))
    return found == wanted


def _smallest_area(address: str, root: Path) -> float:
    """Return how much of an image a view keeps at least, as in the training of encoders of this kind."""
    meta = checkpoint_path(address, root).with_name("meta.json")
    return SMALLEST_AREA[read_json(meta).get("objective", "supervised")]
