"""`nml show`: one cell, its metadata, and the command to rerun it."""

import argparse
import json

from nml.cli.cells import parse_cell, read_cell
from nml.cli.console import console, table
from nml.cli.facts import read_facts
from nml.grid import encoder_dir


def run(options: argparse.Namespace) -> None:
    """Print `options.cell`."""
    cell = parse_cell(options.cell)
    rows = read_cell(cell)
    key = ["group", "test_set", "fraction", "metric"]
    means = rows.groupby(key, sort=True).agg(
        mean=("value", "mean"), low=("value", "min"), high=("value", "max"), seeds=("seed", "nunique"), n=("n", "min")
    )
    made = table(*key, "mean %", "lowest seed", "highest", "seeds", "n", numbers=("mean %", "lowest seed", "highest"))
    for place, row in zip(means.index, means.itertuples(), strict=True):
        values = (f"{100 * value:.2f}" for value in (row.mean, row.low, row.high))
        made.add_row(*map(str, place), *values, str(row.seeds), str(row.n))
    out = console()
    out.print(f"{cell}\n")
    out.print(made)
    meta = cell.path.with_suffix(".meta.json")
    if meta.is_file():
        out.print(f"\n{meta}\n{json.dumps(read_facts(meta), indent=2)}")
    out.print(f"\nencoder   {encoder_dir(cell.encoder)}/meta.json")
    out.print(f"log       {cell.log}{'' if cell.log.is_file() else ' (none)'}")
    out.print(f"rerun     snakemake --cores 1 --force {cell.path}")
