"""What a part of a claim lacks."""

import pandas as pd

from nml.reporting.schema import CELL_NAME


def lack_of_methods(rows: pd.DataFrame, methods: set[str], group: str) -> str:
    """Name the methods that a comparison lacks, or say that both have no cells in common."""
    absent = sorted(methods - set(rows["method"]))
    where = "" if absent else f" on the same {group.upper()} tasks and noisy encoders"
    return f"cells of {' and '.join(absent or sorted(methods))}{where}"


def absent_cells(rows: pd.DataFrame, lost: pd.DataFrame) -> str:
    """Say how many cells the matrix lacks; where less is known of it, the product of encoders, tasks and methods.

    Of the rows that are there and of the lost cells the same were chosen, of one group.
    """
    there = rows.drop_duplicates(CELL_NAME)
    product_of_all = len(there.drop_duplicates(CELL_NAME[:5])) * there["task"].nunique() * there["method"].nunique()
    absent = max(product_of_all - len(there), len(lost.drop_duplicates(CELL_NAME)))
    return f"{absent} of {absent + len(there)} cells" if absent else ""
