"""One class folder of an ImageFolder tree with its noise: a wrong label is a place in another folder."""

import errno
import os
import shutil
from pathlib import Path

from nml.corpora.content import class_folders, images_in
from nml.errors import UserError
from nml.noise.overlay import Changes


def write_noisy_folder(source: Path, changes: Changes, out: Path) -> list[Path]:
    """Put each image of a class folder into the folder of its noisy class below `out`; return where they are.

    The images are hard links where the file system allows, so that they take no space; else copies.

    Parameters
    ----------
    source : a class folder
    changes : by sample key, `{"label": 3}`
    out : the tree that gets the class folders

    Raises
    ------
    UserError
        If a sample to be changed is not in the folder.
    """
    classes, written = class_folders(source.parent), []
    # Also those that get no image: a reader counts the folders.
    for name in classes:
        (out / name).mkdir(parents=True, exist_ok=True)
    for image in images_in(source):
        change = changes.pop(image.stem, None)
        target = out / (classes[change["label"]] if change else source.name) / image.name
        _place(image, target)
        written.append(target)
    if changes:
        raise UserError(f"the folder {source} has no image '{min(changes)}' that the noise changes. Index it again.")
    return written


def _place(image: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(image.resolve(), temporary)
    except OSError as error:
        # Another file system, one without links, or one that refuses links to the files of others.
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(image, temporary)
    os.replace(temporary, target)
    # Of two links to one file, a rename leaves both.
    temporary.unlink(missing_ok=True)
