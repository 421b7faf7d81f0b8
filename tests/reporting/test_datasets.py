import numpy as np

from nml.reporting.datasets import datasets_table

from .frames import cell_rows


def test_sizes_come_from_the_cells_and_the_rest_from_the_data_set():
    table = datasets_table(cell_rows([{"task": "fashion", "n": 7}, {"task": "unheard-of"}])).set_index("task")
    assert table.loc["fashion", ["test_samples", "classes", "licence"]].tolist() == [7, 10, "MIT"]
    assert table.loc["fashion", "training_samples"] > 0
    assert np.isnan(table.loc["unheard-of", "classes"]) and table.loc["unheard-of", "licence"] == ""


def test_real_data_sets_and_noisy_tasks_are_described_too():
    table = datasets_table(cell_rows([{"task": "dtd"}, {"task": "fashion+symmetric-20"}])).set_index("task")
    assert table["classes"].to_dict() == {"dtd": 47, "fashion+symmetric-20": 10}
    assert table.loc["fashion+symmetric-20", "training_samples"] > 0
    assert np.isnan(table.loc["dtd", "training_samples"]) and table.loc["dtd", "licence"]
