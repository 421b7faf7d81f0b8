import numpy as np
import pytest

from nml.reporting.layout.comparisons import show_ranks
from nml.reporting.rank_figure import cliques, critical_difference
from nml.reporting.ranks import average_ranks

from .frames import cell_rows

NAMES = [("emoji", "resnet-mini", "symmetric"), ("emoji", "clip-mini", "swap")]


def ranked(values: np.ndarray, methods: str = "abc"):
    """Rank methods with accuracies of shape (tasks, methods)."""
    return average_ranks(
        cell_rows({"task": f"t{task}", "method": methods[method], "value": float(value)}
                  for (task, method), value in np.ndenumerate(values))
    )  # fmt: skip


def test_ranks_are_averaged_over_tasks_and_ties_share_theirs():
    table = ranked(np.array([[0.9, 0.8, 0.7], [0.9, 0.8, 0.8], [0.1, 0.2, 0.3]])).set_index("method")
    assert table["rank"].to_dict() == pytest.approx({"a": 5 / 3, "b": 6.5 / 3, "c": 6.5 / 3})


def test_friedman_sees_the_ties_that_the_ranks_see():
    values = np.random.default_rng(0).random((6, 3)).round(2)
    values[:, 1] = values[:, 0]
    nearly = values.copy()
    nearly[:, 1] = np.nextafter(values[:, 0], 1)
    assert ranked(nearly)["friedman_p"].iloc[0] == ranked(values)["friedman_p"].iloc[0]


def test_released_encoders_are_not_ranked():
    rows = [{"method": method, "value": value} for method, value in (("a", 0.9), ("b", 0.8))]
    released = {"corpus": "zoo", "recipe": "m", "noise_kind": "released", "value": 0.5}
    table = average_ranks(cell_rows([*rows, *(row | released for row in rows)]))
    assert table[["corpus", "method", "rank"]].to_numpy().tolist() == [["emoji", "a", 1.0], ["emoji", "b", 2.0]]


def test_the_critical_difference_is_that_of_demsar():
    """Demšar (2006), table 5: q = 2.343 for three methods, 2.569 for four."""
    found = ranked(np.random.default_rng(0).random((14, 3)))["critical_difference"].iloc[0]
    assert found == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 14)), rel=1e-3)
    four = ranked(np.random.default_rng(0).random((14, 4)), "abcd")["critical_difference"].iloc[0]
    assert four == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), rel=1e-3)


def test_tasks_that_lack_a_method_are_left_out():
    rows = [{"task": task, "method": method, "value": 0.5} for task in "ab" for method in "xy"]
    table = average_ranks(cell_rows(rows[:-1]))
    assert table["units"].tolist() == [1, 1] and table["critical_difference"].isna().all()


def unequal(drop):
    """Rows of two methods, of which `lp` is worse on each encoder; noise costs both. Without those of `drop`."""
    rows = [
        {"task": task, "method": method, "noise_kind": kind, "noise_percent": percent, "pretrain_seed": 0,
         "value": 0.9 - 0.1 * (method == "lp") - percent / 50}
        for task in "abc" for method in ("lp", "mlp") for kind, percent in (("clean", 0.0), ("symmetric", 20.0))
    ]  # fmt: skip
    return cell_rows(row for row in rows if not drop(row))


def test_a_method_does_not_gain_by_running_on_easy_encoders_alone():
    table = average_ranks(unequal(lambda row: row["method"] == "lp" and row["noise_percent"] > 0))
    assert table.set_index("method")["rank"].to_dict() == {"mlp": 1.0, "lp": 2.0}
    assert table["units"].tolist() == [3, 3]


def test_methods_that_share_no_encoder_have_no_ranks():
    table = average_ranks(unequal(lambda row: (row["method"] == "lp") == (row["noise_percent"] > 0)))
    assert table["rank"].isna().all() and table["units"].tolist() == [0, 0]
    shown = show_ranks(table.assign(missing=6))
    assert shown["average rank"].tolist() == ["-", "-"]
    assert not critical_difference(table, NAMES).axes[0].texts


def test_ranks_over_a_part_of_the_encoders_are_marked():
    table = average_ranks(unequal(lambda row: row["task"] == "a" and row["noise_percent"] > 0))
    assert show_ranks(table.assign(missing=2))["average rank"].tolist() == ["1.00†", "2.00†"]
    assert show_ranks(table.assign(missing=0))["average rank"].tolist() == ["1.00", "2.00"]


def test_bars_join_what_does_not_differ():
    assert cliques([1.0, 1.5, 2.5, 4.0], 1.2) == [(0, 1), (1, 2)]
    assert cliques([1.0, 1.5, 1.8, 4.0], 1.2) == [(0, 2)]
    assert cliques([1.0, 3.0], 1.2) == []


def test_the_diagram_has_a_panel_for_each_recipe_and_group_in_the_order_of_the_others(tables_dir):
    from nml.reporting.tables import read_table

    figure = critical_difference(read_table(tables_dir, "ranks"), NAMES)
    titles = [axes.get_title(loc="left").partition("\n")[0] for axes in figure.axes]
    assert titles == ["resnet-mini, ID", "resnet-mini, OOD", "clip-mini, ID", "clip-mini, OOD"]


def test_no_stem_runs_through_the_label_of_a_better_method():
    (panel,) = critical_difference(ranked(np.random.default_rng(0).random((14, 4)), "abcd"), NAMES).axes
    stems = [line.get_xydata() for line in panel.lines if len(set(line.get_xdata())) == 1 < len(line.get_xdata())]
    assert len(stems) == len(panel.texts) == 4
    assert all(end[1] < label.xy[1] for label in panel.texts for _, end in stems if end[0] > label.xy[0])
