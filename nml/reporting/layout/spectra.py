"""Singular values, what is computed of them, and how they go with accuracy."""

import pandas as pd

from nml.reporting.labels import method_label, method_rank
from nml.reporting.layout.noise_column import named_noise, without_single_corpus
from nml.reporting.layout.ratios import by_ratio, pivot_ratios, ratio_columns
from nml.reporting.layout.texts import ABSENT, p_text
from nml.reporting.series import sort_rows
from nml.reporting.tuned_spectra import average_tuned_spectra

_RANKS_SHOWN = [2**power for power in range(12)]


def show_spectra(spectra: pd.DataFrame) -> pd.DataFrame:
    """Pivot SVE and LSVR to one row per recipe, test set, quantity and noise kind, and one column per noise ratio."""
    key = [column for column in spectra if column not in ("pretrain_seed", "n", "dim", "sve", "lsvr", "dominant_ratio")]
    means = spectra.groupby(key)[["sve", "lsvr"]].mean().reset_index()
    long = means.melt(id_vars=key, var_name="quantity", value_name="value")
    long = long.assign(text=long["value"].map("{:.3f}".format), quantity=long["quantity"].str.upper())
    return pivot_ratios(by_ratio(long), "quantity")


def show_tuned_spectra(table: pd.DataFrame) -> pd.DataFrame:
    """Average over test sets: a row per recipe, quantity, method and noise kind, and a column per noise ratio."""
    means = average_tuned_spectra(table)
    rows = by_ratio(means.assign(text=[_mean(*row) for row in means[["value", "low", "high"]].itertuples(index=False)]))
    index = ["recipe", "group", "quantity", "method", "corpus", "kind"]
    counts = [f"{found:g} of {of:g}" for found, of in zip(rows["test_sets"], rows["of"], strict=True)]
    rows = rows.assign(counts=counts, quantity=rows["quantity"].str.upper())
    shown = rows.pivot(index=[*index, "counts"], columns="column", values="text")[ratio_columns(rows)].fillna("")
    shown = sort_rows(shown.reset_index(), lambda row: (row["recipe"], row["group"], method_rank(row["method"])))
    named = shown.assign(group=shown["group"].str.upper(), method=shown["method"].map(method_label))
    return without_single_corpus(named).rename(columns={"kind": "noise", "counts": "test sets"})


def _mean(value: float, low: float, high: float) -> str:
    return f"{value:.3f}" if pd.isna(low) else f"{value:.3f} ± {high - value:.3f}"


def show_singular_values(singular_values: pd.DataFrame) -> pd.DataFrame:
    """Keep the ranks 1, 2, 4, ... as columns, in percent of the sum."""
    rows = singular_values[singular_values["rank"].isin(_RANKS_SHOWN)]
    rows = rows.assign(text=[f"{100 * share:.3g}" for share in rows["share"]])
    index = ["corpus", "recipe", "noise_kind", "noise_percent"]
    table = rows.pivot(index=index, columns="rank", values="text").fillna(ABSENT)
    table.columns = [f"rank {rank}" for rank in table.columns]
    return named_noise(table.reset_index())


def show_associations(associations: pd.DataFrame) -> pd.DataFrame:
    """Write the correlations with two decimals and p with three, never as zero."""
    table = associations.assign(
        group=associations["group"].str.upper(),
        quantity=associations["quantity"].str.upper(),
        spearman=[_correlation(*row) for row in associations[["spearman", "low", "high"]].itertuples(index=False)],
        p=[p_text(p) for p in associations["p"]],
    )
    return table.drop(columns=["low", "high"]).rename(
        columns={"spearman": "Spearman (within tasks)", "test_sets": "test sets"}
    )


def _correlation(rho: float, low: float, high: float) -> str:
    if pd.isna(rho):
        return ABSENT
    return f"{rho:+.2f}" if pd.isna(low) else f"{rho:+.2f} [{low:+.2f}, {high:+.2f}]"
