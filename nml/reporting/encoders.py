"""The tables of pre-training, from the encoders' metadata and the logs beside it."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nml.artifacts import read_json
from nml.errors import UserError
from nml.grid import RELEASED, UNTRAINED, Encoder
from nml.reporting.reading import no_rows
from nml.reporting.schema import ENCODER

FIELDS = {
    "objective": "str",
    "architecture": "str",
    "realised_noise_percent": "float64",
    "validation_accuracy": "float64",
    "epochs": "float64",
    "samples_per_second": "float64",
    "wall_seconds": "float64",
}
LOGGED = ("epoch", "loss", "accuracy", "validation_accuracy", "learning_rate", "images_per_second", "data_share")
"""What the log has of each epoch; `data_share` is the share of the time that was spent waiting for data."""


def pretraining_table(metas: Sequence[str | Path]) -> pd.DataFrame:
    """Return one row per encoder: its address and how its pre-training went.

    Parameters
    ----------
    metas
        `results/encoders/<address>/meta.json`, one for each encoder that is here: cells may come from another machine.

    Returns
    -------
    DataFrame with `corpus, recipe, noise_kind, noise_percent, pretrain_seed, address` and `FIELDS`; sorted.
    `validation_accuracy` is a fraction on clean validation data. The untrained control may lack any field. Those that
    others have released are left out.

    Raises
    ------
    UserError
        A missing or unreadable file, a missing field, or an address that is none.
    """
    rows = [_row(path) for path in sorted(map(str, metas))]
    rows = [row for row in rows if row["noise_kind"] != RELEASED]
    if not rows:
        return no_rows([*ENCODER, "address", *FIELDS]).astype({"address": "str", **FIELDS})
    frame = pd.DataFrame(rows)
    frame = frame.astype({**FIELDS, "noise_percent": "float64", "pretrain_seed": "int64"})
    return frame.sort_values(ENCODER, ignore_index=True)


def learning_table(metas: Sequence[str | Path]) -> pd.DataFrame:
    """Return one row per trained encoder and epoch, from the `log.csv` beside each `meta.json`.

    Returns
    -------
    DataFrame with `corpus, recipe, noise_kind, noise_percent, pretrain_seed` and `LOGGED`; sorted. Accuracies are
    fractions; `accuracy` counts against the noisy labels that were trained on, `validation_accuracy` is clean.

    Raises
    ------
    UserError
        A log is missing or lacks a column.
    """
    encoders = pretraining_table(metas)
    trained = encoders[~encoders["noise_kind"].isin([UNTRAINED, RELEASED])]
    folders = {read_json(path)["address"]: Path(path).parent for path in metas}
    logs = [_log(folders[row["address"]], row) for row in trained.to_dict("records")]
    frame = pd.concat(logs) if logs else no_rows([*ENCODER, *LOGGED])
    return frame.sort_values([*ENCODER, "epoch"], ignore_index=True)


def _log(folder: Path, encoder: dict[str, object]) -> pd.DataFrame:
    path = folder / "log.csv"
    try:
        log = pd.read_csv(path)[list(LOGGED)]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is no log of a training ({error}). Delete its folder and rerun.") from error
    return log.assign(**{name: encoder[name] for name in ENCODER})[[*ENCODER, *LOGGED]]


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
