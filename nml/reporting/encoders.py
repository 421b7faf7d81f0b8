"""The table of pre-training, from the encoders' metadata."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nml.artifacts import read_json
from nml.errors import UserError
from nml.grid import Encoder
from nml.reporting.reading import ENCODER

FIELDS = {
    "objective": "str",
    "realised_noise_percent": "float64",
    "validation_accuracy": "float64",
    "epochs": "float64",
    "samples_per_second": "float64",
    "wall_seconds": "float64",
}


def pretraining_table(metas: Sequence[str | Path]) -> pd.DataFrame:
    """Return one row per encoder: its address and how its pre-training went.

    Parameters
    ----------
    metas
        `results/encoders/<address>/meta.json`, one for each encoder.

    Returns
    -------
    DataFrame with `corpus, recipe, noise_kind, noise_percent, pretrain_seed, address` and `FIELDS`; sorted.
    `validation_accuracy` is a fraction on clean validation data. The untrained control may lack any field.

    Raises
    ------
    UserError
        No files, a missing or unreadable file, a missing field, or an address that is none.
    """
    if not metas:
        raise UserError("There are no encoders to report on: the list of meta.json files is empty.")
    frame = pd.DataFrame([_row(path) for path in sorted(map(str, metas))])
    frame = frame.astype({**FIELDS, "noise_percent": "float64", "pretrain_seed": "int64"})
    return frame.sort_values(ENCODER, ignore_index=True)


def _row(path: str) -> dict[str, object]:
    try:
        meta = read_json(path)
        encoder = Encoder.parse(meta["address"])
    except (OSError, ValueError, KeyError, TypeError, UserError) as error:
        raise UserError(
            f"{path} does not describe an encoder ({type(error).__name__}: {error}). Delete its folder and rerun."
        ) from error
    missing = [field for field in FIELDS if field not in meta]
    if missing and encoder.is_trained:
        raise UserError(f"{path} lacks {', '.join(missing)}. Delete the encoder's folder and rerun.")
    return encoder.identity() | {"address": str(encoder)} | {field: meta.get(field) for field in FIELDS}
