"""Tables as readers see them: percent with intervals, tasks and noise side by side, both controls in sight."""

from collections.abc import Callable

import pandas as pd

from nml.reporting.layout.averages import show_averages, show_fractions
from nml.reporting.layout.claims import show_claims
from nml.reporting.layout.comparisons import show_ablations, show_differences, show_published, show_ranks
from nml.reporting.layout.costs import show_cost, show_run_times
from nml.reporting.layout.encoders import show_learning, show_pretraining
from nml.reporting.layout.per_task import show_per_task
from nml.reporting.layout.spectra import show_associations, show_singular_values, show_spectra, show_tuned_spectra
from nml.reporting.layout.study import show_cells, show_datasets, show_matrix
from nml.reporting.layout.zoo import show_zoo

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
    "tuned_spectra": show_tuned_spectra,
    "singular_values": show_singular_values,
    "associations": show_associations,
    "pretraining": show_pretraining,
    "learning": show_learning,
    "run_times": show_run_times,
    "cost": show_cost,
    "datasets": show_datasets,
    "matrix": show_matrix,
}
