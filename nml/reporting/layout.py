"""Tables as readers see them: percent with intervals, tasks and noise side by side, both controls in sight."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from nml.grid import CLEAN, UNTRAINED
from nml.reporting.labels import (
    HEADLINE_GROUPS,
    HEADLINE_METRIC,
    MAJORITY,
    METRICS,
    OBJECTIVES,
    method_label,
    method_rank,
    noise_label,
    noise_rank,
    p_label,
)
from nml.reporting.matrix import encoder_of
from nml.reporting.series import noise_series, sort_rows
from nml.reporting.zoo import show_zoo

ABSENT = "-"
LOST = "missing"
DAGGER = "†"
"""Marks what is over fewer cells than the matrix has."""
FAILED_STATES = ("failed",)
_RANKS_SHOWN = [2**power for power in range(12)]


def show_averages(averages: pd.DataFrame) -> pd.DataFrame:
    """Pivot to one row per metric, recipe and noise, and one column per group and method, as `81.2 ± 0.6` in percent.

    The majority class uses no encoder, so it takes one row per recipe, under the first method of each group. A dagger
    marks an average over fewer tasks than another in its column's group, or one that lacks cells; one that lacks all of
    them is `missing`.
    """
    chosen = averages[averages["group"].isin(HEADLINE_GROUPS)]
    chosen = chosen[chosen["fraction"] == chosen["fraction"].max()]
    if chosen.empty:
        return pd.DataFrame(columns=["metric", "recipe", "noise"])
    chosen = chosen.assign(text=[_interval(*row) for row in _average_numbers(chosen)])
    rows = _majority_once(chosen)
    columns = sorted(
        set(zip(rows["group"], rows["method"], strict=True)),
        key=lambda pair: (HEADLINE_GROUPS.index(pair[0]), method_rank(pair[1])),
    )
    index = ["metric", "corpus", "recipe", "noise_kind", "noise_percent"]
    table = rows.pivot(index=index, columns=["group", "method"], values="text")[columns].fillna("")
    table.columns = [f"{group.upper()} {method_label(method)}" for group, method in columns]
    return _named_noise(table.reset_index())


def show_headline(averages: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `show_averages` for accuracy, without repeating a recipe from line to line."""
    table = show_averages(averages[averages["metric"] == HEADLINE_METRIC]).drop(columns="metric")
    return table.assign(recipe=table["recipe"].mask(table["recipe"] == table["recipe"].shift(), ""))


def show_claims(claims: pd.DataFrame) -> pd.DataFrame:
    """Write one row for each claim, part and family: differences in points, correlations as they are."""
    scale = claims["measure"].map({"difference": 100.0}).fillna(1.0)
    numbers = zip(*(claims[name] * scale for name in ("estimate", "low", "high")), claims["measure"], strict=True)
    return pd.DataFrame(
        {
            "claim": claims["claim"].where(claims["level"] == "claim", ""),
            "about": claims["part"].where(claims["level"] != "claim", claims["statement"]),
            "verdict": claims["verdict"],
            "estimate [95 %]": [_estimate(*row) for row in numbers],
            "measure": claims["measure"].replace({"difference": "points"}),
            "p": [_p_text(p) for p in claims["p_holm"]],
            "cells": claims["cells"],
            "seeds": claims["pretrain_seeds"],
            "missing": claims["missing"],
        }
    )


def _estimate(value: float, low: float, high: float, measure: str) -> str:
    if pd.isna(value):
        return ABSENT
    write = "{:+.2f}".format
    return write(value + 0.0) if pd.isna(low) else f"{write(value + 0.0)} [{write(low + 0.0)}, {write(high + 0.0)}]"


def show_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """Write the differences in accuracy, in points, to one row per comparison and ID beside OOD.

    `p` is the corrected one; `improved` counts the units that gained.
    """
    rows = differences[differences["metric"] == HEADLINE_METRIC]
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    index = ["comparison", "recipe", "corpus", "noise_kind", "noise_percent", "method", "baseline"]
    table = rows[index].drop_duplicates()
    for group in (group for group in HEADLINE_GROUPS if group in set(rows["group"])):
        texts = rows[rows["group"] == group][index].assign(**_difference_texts(rows[rows["group"] == group], group))
        table = table.merge(texts, on=index, how="left")
    table = sort_rows(table.fillna(ABSENT), _comparison_position)
    noise = [noise_label(*pair) for pair in zip(table["noise_kind"], table["noise_percent"], strict=True)]
    table = table.assign(noise=noise, method=table["method"].map(method_label))
    table["minus"] = table["baseline"].map(method_label)
    front = ["corpus", "recipe", "noise", "method", "minus"]
    rest = [name for name in table if name not in (*front, *index)]
    return _without_single_corpus(table[front + rest])


def show_ranks(ranks: pd.DataFrame) -> pd.DataFrame:
    """Write ranks and the critical difference with two decimals; a dagger marks ranks over a part of the encoders."""
    table = ranks.assign(
        group=ranks["group"].str.upper(),
        method=ranks["method"].map(method_label),
        rank=[_rank_text(*row) for row in zip(ranks["rank"], ranks["missing"], strict=True)],
        critical_difference=[ABSENT if pd.isna(cd) else f"{cd:.2f}" for cd in ranks["critical_difference"]],
        friedman_p=[_p_text(p) for p in ranks["friedman_p"]],
    )
    titles = {"rank": "average rank", "critical_difference": "critical difference", "friedman_p": "Friedman p"}
    return _without_single_corpus(table).rename(columns=titles)


def _rank_text(rank: float, missing: int) -> str:
    return ABSENT if pd.isna(rank) else f"{rank:.2f}" + DAGGER * (missing > 0)


def show_fractions(fractions: pd.DataFrame) -> pd.DataFrame:
    """Pivot to one row per recipe, noise, group and method, and one column per percent of the training data."""
    rows = fractions[fractions["method"] != MAJORITY]
    if rows.empty:
        return pd.DataFrame(columns=["recipe", "noise", "group", "method"])
    numbers = zip(rows["value"], rows["low"], rows["high"], rows["missing"] > 0, strict=True)
    rows = rows.assign(text=[_interval(*row) for row in numbers])
    index = ["corpus", "recipe", "noise_kind", "noise_percent", "group", "method"]
    table = rows.pivot(index=index, columns="fraction", values="text").fillna(ABSENT)
    table.columns = [f"{fraction} %" for fraction in table.columns]
    table = sort_rows(
        table.reset_index(), lambda row: (HEADLINE_GROUPS.index(row["group"]), method_rank(row["method"]))
    )
    table = table.assign(group=table["group"].str.upper(), method=table["method"].map(method_label))
    return _named_noise(table)


def show_ablations(ablations: pd.DataFrame) -> pd.DataFrame:
    """Write the accuracy of each variant, and what it gains on the method that it is compared with."""
    numbers = zip(ablations["difference"], ablations["low"], ablations["high"], strict=True)
    return _without_single_corpus(
        pd.DataFrame(
            {
                "corpus": ablations["corpus"],
                "recipe": ablations["recipe"],
                "group": ablations["group"].str.upper(),
                "variant": ablations["variant"],
                "minus": ablations["method"],
                "changed": ablations["changed"],
                "accuracy": [f"{100 * value:.1f}" for value in ablations["value"]],
                "difference": [_signed_interval(*row) for row in numbers],
                "p": [_p_text(p) for p in ablations["p_holm"]],
                "improved": [
                    f"{improved:.0f} of {units:.0f}"
                    for improved, units in zip(ablations["improved"], ablations["units"], strict=True)
                ],
            }
        )
    )


def show_per_task(per_task: pd.DataFrame) -> pd.DataFrame:
    """Pivot accuracy to one row per recipe, test set, method and noise kind, and one column per noise ratio."""
    rows = per_task[per_task["metric"] == HEADLINE_METRIC]
    rows = rows[rows["fraction"] == rows["fraction"].max()]
    rows = rows.assign(text=[_spread(*row) for row in zip(rows["value"], rows["std"], rows["missing"], strict=True)])
    majority = rows["method"] == MAJORITY
    once = rows[majority].drop_duplicates(["recipe", "task", "test_set"])
    rows = _by_ratio(rows[~majority])
    once = once.assign(corpus="", kind=ABSENT, column=_ratio_columns(rows)[0] if len(rows) else "0 %")
    return _pivot_ratios(pd.concat([rows, once]), "method")


def show_published(published: pd.DataFrame) -> pd.DataFrame:
    """Keep the published values that we have too, in percent, differences in points."""
    rows = published[published["ours"].notna()]
    noise = [noise_label(*pair) for pair in zip(rows["noise_kind"], rows["noise_percent"], strict=True)]
    intervals = zip(rows["ours"], rows["low"], rows["high"], strict=True)
    return pd.DataFrame(
        {
            "corpus": rows["corpus"],
            "recipe": rows["recipe"],
            "noise": noise,
            "group": rows["group"],
            "task": rows["task"],
            "method": rows["method"].map(method_label),
            "published": rows["published"].map(lambda value: f"{100 * value:.2f}"),
            "ours": [_between(*row) for row in intervals],
            "difference": rows["difference"].map(lambda value: f"{100 * value:+.2f}"),
            "within": rows["within"],
            "cells": rows["cells"],
            "source": rows["source"],
        }
    )


def _between(value: float, low: float, high: float) -> str:
    return f"{100 * value:.2f}" if pd.isna(low) else f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def show_spectra(spectra: pd.DataFrame) -> pd.DataFrame:
    """Pivot SVE and LSVR to one row per recipe, test set, quantity and noise kind, and one column per noise ratio."""
    key = [column for column in spectra if column not in ("pretrain_seed", "n", "dim", "sve", "lsvr", "dominant_ratio")]
    means = spectra.groupby(key)[["sve", "lsvr"]].mean().reset_index()
    long = means.melt(id_vars=key, var_name="quantity", value_name="value")
    long = long.assign(text=long["value"].map("{:.3f}".format), quantity=long["quantity"].str.upper())
    return _pivot_ratios(_by_ratio(long), "quantity")


def show_singular_values(singular_values: pd.DataFrame) -> pd.DataFrame:
    """Keep the ranks 1, 2, 4, ... as columns, in percent of the sum."""
    rows = singular_values[singular_values["rank"].isin(_RANKS_SHOWN)]
    rows = rows.assign(text=[f"{100 * share:.3g}" for share in rows["share"]])
    index = ["corpus", "recipe", "noise_kind", "noise_percent"]
    table = rows.pivot(index=index, columns="rank", values="text").fillna(ABSENT)
    table.columns = [f"rank {rank}" for rank in table.columns]
    return _named_noise(table.reset_index())


def show_associations(associations: pd.DataFrame) -> pd.DataFrame:
    """Write the correlations with two decimals and p with three, never as zero."""
    table = associations.assign(
        group=associations["group"].str.upper(),
        quantity=associations["quantity"].str.upper(),
        spearman=[_correlation(*row) for row in associations[["spearman", "low", "high"]].itertuples(index=False)],
        p=[_p_text(p) for p in associations["p"]],
    )
    return table.drop(columns=["low", "high"]).rename(
        columns={"spearman": "Spearman (within tasks)", "test_sets": "test sets"}
    )


def show_pretraining(pretraining: pd.DataFrame) -> pd.DataFrame:
    """Write accuracies and noise in percent, and name what is missing for the untrained control."""
    pretraining = sort_rows(pretraining, _encoder_position)
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
    encoder = ["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed"]
    table = learning.groupby(encoder).agg(
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
    return _named_noise(table.reset_index()).rename(columns={"pretrain_seed": "seed"} | titles)


def show_run_times(run_times: pd.DataFrame) -> pd.DataFrame:
    """Write seconds and hours with the digits that matter."""
    numbers = {"seconds": "{:.2f}", "hours": "{:.3f}", "gpu_hours": "{:.3f}", "peak_memory_gb": "{:.2f}"}
    texts = {
        name: [ABSENT if pd.isna(v) else form.format(v) for v in run_times[name]] for name, form in numbers.items()
    }
    table = sort_rows(run_times.assign(**texts), lambda row: (row["corpus"], row["recipe"], method_rank(row["method"])))
    titles = {"seconds": "seconds a cell", "hours": "hours in all", "gpu_hours": "GPU-hours"}
    titles |= {"peak_memory_gb": "peak memory, GB"}
    return _without_single_corpus(table.assign(method=table["method"].map(method_label))).rename(columns=titles)


def show_cost(cost: pd.DataFrame) -> pd.DataFrame:
    """Write hours, memory and energy with the digits that matter; the columns of what was not used are left out."""
    numbers = {"hours": "{:.3f}", "cpu_hours": "{:.3f}", "gpu_hours": "{:.3f}"}
    numbers |= {"peak_memory_gb": "{:.2f}", "peak_gpu_memory_gb": "{:.2f}", "energy_kwh": "{:.3f}"}
    texts = {name: [ABSENT if pd.isna(v) else form.format(v) for v in cost[name]] for name, form in numbers.items()}
    table = cost.assign(**texts, method=[method and method_label(method) for method in cost["method"]])
    if not cost["gpu_hours"].any():
        table = table.drop(columns=["gpu", "gpu_hours", "peak_gpu_memory_gb", "energy_kwh"])
    titles = {"gpu": "GPU", "cpu_hours": "core-hours", "gpu_hours": "GPU-hours", "peak_memory_gb": "peak memory, GB"}
    titles |= {"peak_gpu_memory_gb": "peak GPU memory, GB", "energy_kwh": "energy, kWh"}
    return table.rename(columns=titles)


def show_datasets(datasets: pd.DataFrame) -> pd.DataFrame:
    """Write counts without decimals, in the order of the groups."""
    groups = (*HEADLINE_GROUPS, "source")
    rows = sort_rows(
        datasets,
        lambda row: (
            groups.index(row["group"]) if row["group"] in groups else len(groups),
            row["task"],
            row["test_set"],
        ),
    )
    counts = ["classes", "training_samples", "validation_samples"]
    texts = {name: [ABSENT if pd.isna(value) else f"{value:.0f}" for value in rows[name]] for name in counts}
    return rows.assign(**texts).rename(columns=lambda name: name.replace("_", " "))


def show_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Count what was run: tasks, test sets, methods and seeds of each encoder."""
    encoder = ["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed"]
    cells = cells.assign(test_set=cells["task"] + "/" + cells["test_set"])
    counts = cells.groupby(encoder).agg(
        tasks=("task", "nunique"),
        test_sets=("test_set", "nunique"),
        methods=("method", lambda methods: ", ".join(map(method_label, sorted(set(methods), key=method_rank)))),
        seeds=("seed", "nunique"),
        rows=("value", "size"),
    )
    return _named_noise(counts.reset_index()).rename(columns={"test_sets": "test sets"})


def show_matrix(matrix: pd.DataFrame) -> pd.DataFrame:
    """Count the cells of each encoder by their state, and give each failed one a row with its reason and its log."""
    rows = matrix.assign(encoder=[str(encoder_of(row)) for row in matrix.to_dict("records")])
    rows = rows.assign(cell=rows["task"] + "/" + rows["method"])
    totals = rows.groupby("encoder")["cell"].transform("size")
    alone = rows["state"].isin(FAILED_STATES)
    counted = rows.assign(total=totals)[~alone].groupby(["encoder", "total", "state"]).size().reset_index(name="count")
    counted["cells"] = counted["count"].astype(str) + " of " + counted["total"].astype(str)
    table = pd.concat([rows[alone].rename(columns={"cell": "cells"}), counted])
    return table[["encoder", "state", "cells", "reason", "log"]].fillna("").reset_index(drop=True)


SHOW: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "claims": show_claims,
    "cells": show_cells,
    "averages": show_averages,
    "differences": show_differences,
    "ranks": show_ranks,
    "fractions": show_fractions,
    "ablations": show_ablations,
    "per_task": show_per_task,
    "published": show_published,
    "zoo": show_zoo,
    "spectra": show_spectra,
    "singular_values": show_singular_values,
    "associations": show_associations,
    "pretraining": show_pretraining,
    "learning": show_learning,
    "run_times": show_run_times,
    "cost": show_cost,
    "datasets": show_datasets,
    "matrix": show_matrix,
}


def _average_numbers(frame: pd.DataFrame) -> zip:
    most = frame.groupby(["group", "metric"])["tasks"].transform("max")
    partial = frame["tasks"] < most
    if "missing" in frame:
        partial |= frame["missing"] > 0
    return zip(frame["value"], frame["low"], frame["high"], partial, strict=True)


def _interval(value: float, low: float, high: float, partial: bool) -> str:
    if pd.isna(value):
        return LOST
    half = max(value - low, high - value)
    return f"{100 * value:.1f} ± {100 * half:.1f}" + DAGGER * bool(partial)


def _difference_texts(rows: pd.DataFrame, group: str) -> dict[str, list[str]]:
    numbers = zip(rows["difference"], rows["low"], rows["high"], rows["missing"], strict=True)
    return {
        f"{group.upper()} difference": [_signed_interval(*row) + DAGGER * (lacks > 0) for *row, lacks in numbers],
        f"{group.upper()} p": [_p_text(p) for p in rows["p_holm"]],
        f"{group.upper()} d": [ABSENT if pd.isna(d) else f"{d:+.1f}" for d in rows["effect"]],
        f"{group.upper()} improved": [
            f"{improved} of {units}" for improved, units in zip(rows["improved"], rows["units"], strict=True)
        ],
    }


def _signed_interval(value: float, low: float, high: float) -> str:
    # + 0.0 writes a small loss as +0.0, not as -0.0.
    value, low, high = (round(100 * number, 1) + 0.0 for number in (value, low, high))
    return f"{value:+.1f}" if pd.isna(low) else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _correlation(rho: float, low: float, high: float) -> str:
    if pd.isna(rho):
        return ABSENT
    return f"{rho:+.2f}" if pd.isna(low) else f"{rho:+.2f} [{low:+.2f}, {high:+.2f}]"


def _p_text(p: float) -> str:
    return ABSENT if pd.isna(p) else p_label(p).removeprefix("= ")


def _spread(value: float, std: float, missing: int) -> str:
    return f"{100 * value:.1f}" + ("" if pd.isna(std) else f" ± {100 * std:.1f}") + DAGGER * (missing > 0)


def _majority_once(rows: pd.DataFrame) -> pd.DataFrame:
    majority = rows["method"] == MAJORITY
    tuned = rows[~majority]
    first = min(tuned["method"], key=method_rank) if len(tuned) else MAJORITY
    once = rows[majority & rows["value"].notna()].drop_duplicates(["metric", "recipe", "group"])
    once = once.assign(corpus="", noise_kind=MAJORITY, noise_percent=0.0, method=first)
    return pd.concat([tuned, once])


def _by_ratio(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `kind` and `column` (the ratio); the untrained control stands in the rows of its recipe's noise kinds."""
    trained = noise_series(rows[rows["noise_kind"] != UNTRAINED])
    homes = trained[["corpus", "recipe", "kind"]].drop_duplicates()
    control = rows[rows["noise_kind"] == UNTRAINED].merge(homes, on=["corpus", "recipe"], how="left")
    control = control.fillna({"kind": ABSENT})
    rows = pd.concat([trained, control], ignore_index=True)
    labels = [
        f"{percent:g} %" if percent > 0 or kind == CLEAN else kind
        for kind, percent in zip(rows["noise_kind"], rows["noise_percent"], strict=True)
    ]
    return rows.assign(column=labels)


def _ratio_columns(rows: pd.DataFrame) -> list[str]:
    ratios = rows[["noise_kind", "noise_percent", "column"]].drop_duplicates("column")
    return list(
        sort_rows(ratios, lambda row: (noise_rank(row["noise_kind"], 0)[0] > 1, row["noise_percent"]))["column"]
    )


def _pivot_ratios(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    index = ["recipe", "group", "task", "test_set", what, "corpus", "kind"]
    table = rows.pivot(index=index, columns="column", values="text")[_ratio_columns(rows)].fillna("").reset_index()
    table = sort_rows(table, lambda row: _task_position(row, what))
    if what == "method":
        table["method"] = table["method"].map(method_label)
    return _without_single_corpus(table).rename(columns={"test_set": "test set", "kind": "noise"})


def _task_position(row: dict[str, Any], what: str) -> tuple:
    groups = (*HEADLINE_GROUPS, "source")
    group = groups.index(row["group"]) if row["group"] in groups else len(groups)
    subject = method_rank(row[what]) if what == "method" else row[what]
    return row["recipe"], group, row["group"], row["task"], row["test_set"], subject, row["corpus"], row["kind"]


def _comparison_position(row: dict[str, Any]) -> tuple:
    noise = noise_rank(row["noise_kind"], row["noise_percent"])
    pair = method_rank(row["baseline"]), method_rank(row["method"])
    subject = (*pair, noise) if row["comparison"] == "method" else (method_rank(row["method"]), noise)
    return row["comparison"] != "noise", row["recipe"], row["corpus"], *subject


def _encoder_position(row: dict[str, Any]) -> tuple:
    """Metrics in their order; in each recipe the corpora one after the other, then the controls."""
    metrics = list(METRICS)
    metric = row.get("metric")
    position = noise_rank(row["noise_kind"], row["noise_percent"])
    return (
        metrics.index(metric) if metric in metrics else len(metrics),
        row["recipe"],
        row["noise_kind"] in (UNTRAINED, MAJORITY),
        row["corpus"],
        position,
        row.get("pretrain_seed", 0),
    )


def _named_noise(table: pd.DataFrame) -> pd.DataFrame:
    """Sort, and fold kind and percent into one column `noise`."""
    table = sort_rows(table, _encoder_position)
    noise = [noise_label(*pair) for pair in zip(table["noise_kind"], table["noise_percent"], strict=True)]
    table = _without_single_corpus(table.assign(noise=noise))
    if "metric" in table:
        table["metric"] = table["metric"].replace(METRICS)
    front = [name for name in ("metric", "corpus", "recipe", "noise") if name in table]
    rest = [name for name in table if name not in (*front, "noise_kind", "noise_percent")]
    return table[front + rest].rename(columns={"pretrain_seed": "pre-training seed"})


def _without_single_corpus(table: pd.DataFrame) -> pd.DataFrame:
    corpora = set(table["corpus"]) - {""}
    return table.drop(columns="corpus") if len(corpora) <= 1 else table
