"""The feature cache: an encoder runs over a task once, and again only if what the features are made from changed.

It is keyed by content and not declared to Snakemake, for two reasons: extraction and tuning share one process, as half
of a short job is starting Python; and a cache as large as this may be deleted without making anything out of date.
"""

import logging
from pathlib import Path

import torch

from nml import encoders
from nml.artifacts import locked
from nml.features.store import TaskFeatures, load_features, save_features, stored_key
from nml.tasks.task import facts, open_task

logger = logging.getLogger("nml")


def cached_features(address: str, task_name: str, folder: Path, code: str, root: Path = Path()) -> TaskFeatures:
    """Return the features of a task under an encoder, from `folder` if they are still right, else extracted into it.

    Parameters
    ----------
    address : the encoder's address
    task_name : a name in the task catalogue
    folder : `results/features/<encoder>/<task>`
    code : hash of the code that extracts features
    root : the folder that `results/` lies in
    """
    task = open_task(task_name)
    key = encoders.identify(address, root) | facts(task) | {"code": code, "torch": torch.__version__}
    # The same task with noise in its labels has the same features: the first of their jobs extracts them.
    with locked(folder):
        if stored_key(folder) == key:
            logger.info("features of %s under %s are in the cache", task_name, address)
            return load_features(folder)
        from nml.features.extract import extract_features

        found = extract_features(encoders.load(address, root), task)
        save_features(found, key, folder)
        return found
