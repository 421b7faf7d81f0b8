"""Encoders: what pre-training came to, and how it went."""

from collections.abc import Callable

import pandas as pd

from nml.reporting.labels import OBJECTIVES
from nml.reporting.layout.noise_column import encoder_position, named_noise
from nml.reporting.layout.texts import ABSENT
from nml.reporting.schema import ENCODER
from nml.reporting.series import sort_rows


def show_pretraining(pretraining: pd.DataFrame) -> pd.DataFrame:
    """Write accuracies and noise in percent, and name what is missing for the untrained control."""
    pretraining = sort_rows(pretraining, encoder_position)
    table = pretraining[["address", "objective"]].replace(OBJECTIVES)
    formats: dict[str, tuple[str, Callable[[float], str]]] = {
        "realised_noise_percent": ("realised noise %", "{:.2f}".format),
        "validation_accuracy": ("clean validation accuracy %", lambda value: f"{100 * value:.1f}"),
        "epochs": ("epochs", "{:g}".format),
        "samples_per_second": ("samples / s", "{:.0f}".format),
        "wall_seconds": ("seconds", "{:.0f}".format),
    }
    table = table.assign(objective=table["objective"].where(pretraining["objective"].notna(), ABSENT))
    for column, (title, write) in formats.items():
        table[title] = [ABSENT if pd.isna(value) else write(value) for value in pretraining[column]]
    return table


def show_learning(learning: pd.DataFrame) -> pd.DataFrame:
    """Keep the first and the last epoch of each encoder, and its mean speed."""
    table = learning.groupby(ENCODER).agg(
        epochs=("epoch", "max"),
        first_loss=("loss", "first"),
        last_loss=("loss", "last"),
        first_accuracy=("validation_accuracy", "first"),
        last_accuracy=("validation_accuracy", "last"),
        speed=("images_per_second", "mean"),
        waiting=("data_share", "mean"),
    )
    formats: dict[str, tuple[str, Callable[[float], str]]] = {
        "first_loss": ("loss, first epoch", "{:.3f}".format),
        "last_loss": ("loss, last", "{:.3f}".format),
        "first_accuracy": ("clean validation accuracy %, first", lambda value: f"{100 * value:.1f}"),
        "last_accuracy": ("clean validation accuracy %, last", lambda value: f"{100 * value:.1f}"),
        "speed": ("images / s", "{:.0f}".format),
        "waiting": ("waiting for data %", lambda value: f"{100 * value:.0f}"),
    }
    for column, (_, write) in formats.items():
        table[column] = table[column].map(write)
    titles = {column: title for column, (title, _) in formats.items()}
    return named_noise(table.reset_index()).rename(columns={"pretrain_seed": "seed"} | titles)
