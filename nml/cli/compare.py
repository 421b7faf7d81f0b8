"""`nml compare`: two cells of a task, paired by test sample and seed."""

import argparse

import pandas as pd

from nml.cli.cells import Cell, parse_cell, read_cell
from nml.cli.console import console, table
from nml.errors import UserError
from nml.reporting.averages import add_unit
from nml.reporting.contrasts import against_cell, estimate
from nml.reporting.labels import HEADLINE_METRIC, p_label
from nml.reporting.sampling import sampling_of

_KEY = ["group", "test_set", "fraction"]


def run(options: argparse.Namespace) -> None:
    """Print both accuracies on each test set, over the seeds that both cells have, and the first minus the second."""
    first, second = map(parse_cell, options.cells)
    if first.task != second.task:
        raise UserError(f"'{first}' and '{second}' are cells of different tasks, which share no test samples.")
    if first == second:
        raise UserError(f"'{first}' is compared with itself.")
    rows = [_accuracy(cell) for cell in (first, second)]
    pairs = against_cell(*rows)
    if pairs.empty:
        raise UserError(f"'{first}' and '{second}' have no test set, fraction and tuning seed in common.")
    found = estimate(pairs, _KEY, sampling_of([first.path, second.path]).covariances)
    names = ("A %", "B %", "A minus B", "95 %", "p", "seeds")
    means = pairs.groupby(_KEY)[["value", "value_baseline"]].mean()
    made = table(*_KEY, *names, numbers=names)
    for place, row in zip(found.index, found.itertuples(), strict=True):
        accuracies = (f"{100 * value:.2f}" for value in means.loc[place])
        interval = f"{100 * row.low:+.2f} to {100 * row.high:+.2f}"
        p = p_label(row.p).removeprefix("= ")
        made.add_row(*map(str, place), *accuracies, f"{100 * row.difference:+.2f}", interval, p, str(row.tuning_seeds))
    out = console()
    out.print(f"A  {first}\nB  {second}\n")
    out.print(made)
    out.print("\nAccuracy in percent; intervals over test samples and tuning seeds of these two, without correction.")


def _accuracy(cell: Cell) -> pd.DataFrame:
    rows = read_cell(cell)
    return add_unit(rows[rows["metric"] == HEADLINE_METRIC])
