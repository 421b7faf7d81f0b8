"""The released encoders, a row each."""

from collections.abc import Callable

import pandas as pd

from nml.reporting.labels import HEADLINE_GROUPS, method_label, method_rank
from nml.reporting.layout.texts import ABSENT, DAGGER, interval, signed_interval
from nml.reporting.zoo import ABOUT, GAINS


def show_zoo(zoo: pd.DataFrame) -> pd.DataFrame:
    """Write accuracies and gains in percent with their intervals, spectra in nats; a dagger marks missing cells."""
    shown = zoo[ABOUT].replace("", ABSENT)
    for group in HEADLINE_GROUPS:
        own = zoo[[name for name in zoo if name.startswith(f"{group}_")]]
        own.columns = [name.removeprefix(f"{group}_") for name in own]
        shown = shown.join(_texts(own).add_prefix(f"{group.upper()} "))
    return shown


def _texts(own: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of one group as a reader meets them."""
    methods = sorted((name.removesuffix("_tasks") for name in own if name.endswith("_tasks")), key=method_rank)
    texts = {
        method_label(method): _column(own, method, ["value", "low", "high", "missing"], _score) for method in methods
    }
    if methods:
        texts["tasks"] = own[[f"{method}_tasks" for method in methods]].max(axis=1).map("{:.0f}".format)
    for name in (name for name in ("sve", "lsvr") if name in own):
        texts[name.upper()] = own[name].map("{:.3f}".format).replace("nan", ABSENT)
    for method, baseline in GAINS:
        if f"{method}-{baseline}_difference" in own:
            title = f"{method_label(method)} minus {method_label(baseline)}"
            texts[title] = _column(own, f"{method}-{baseline}", ["difference", "low", "high", "missing"], _gain)
    return pd.DataFrame(texts, index=own.index)


def _column(own: pd.DataFrame, name: str, values: list[str], write: Callable[..., str]) -> list[str]:
    columns = [own[f"{name}_{value}"] for value in values]
    return [write(*row) for row in zip(*columns, strict=True)]


def _score(value: float, low: float, high: float, missing: float) -> str:
    return ABSENT if pd.isna(value) and not missing > 0 else interval(value, low, high, missing > 0)


def _gain(value: float, low: float, high: float, missing: float) -> str:
    return ABSENT if pd.isna(value) else signed_interval(value, low, high) + DAGGER * (missing > 0)
