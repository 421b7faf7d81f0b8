"""Time, memory and energy."""

import pandas as pd

from nml.reporting.labels import method_label, method_rank
from nml.reporting.layout.noise_column import without_single_corpus
from nml.reporting.layout.texts import ABSENT
from nml.reporting.series import sort_rows


def show_run_times(run_times: pd.DataFrame) -> pd.DataFrame:
    """Write seconds and hours with the digits that matter."""
    numbers = {"seconds": "{:.2f}", "hours": "{:.3f}", "gpu_hours": "{:.3f}", "peak_memory_gb": "{:.2f}"}
    texts = {
        name: [ABSENT if pd.isna(v) else form.format(v) for v in run_times[name]] for name, form in numbers.items()
    }
    table = sort_rows(run_times.assign(**texts), lambda row: (row["corpus"], row["recipe"], method_rank(row["method"])))
    titles = {"seconds": "seconds a cell", "hours": "hours in all", "gpu_hours": "GPU-hours"}
    titles |= {"peak_memory_gb": "peak memory, GB"}
    return without_single_corpus(table.assign(method=table["method"].map(method_label))).rename(columns=titles)


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
