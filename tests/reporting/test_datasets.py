import numpy as np

from nml.reporting.datasets import datasets_table

from .frames import cell_rows


def test_sizes_come_from_the_cells_and_the_rest_from_the_data_set():
    table = datasets_table(cell_rows([{"task": "fashion", "n": 7}, {"task": "unheard-of"}])).set_index("task")
    assert table.loc["fashion", ["test_samples", "classes", "licence"]].tolist() == [7, 10, "MIT"]
    assert table.loc["fashion", "training_samples"] > 0
    assert np.isnan(table.loc["unheard-of", "classes"]) and table.loc["unheard-of", "licence"] == ""
