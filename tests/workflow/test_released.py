"""Released encoders in the workflow: the preset with the papers' models, without any weights or data."""

import pytest

from tests.workflow.conftest import Project

pytestmark = pytest.mark.workflow
TARGETS = [
    f"results/cells/zoo/{model}/released/s0/dtd/nmtune.parquet" for model in ("swin-large-in22k", "vit-large-laion2b")
]


def test_released_encoders_are_imported_and_tuned_on_and_nothing_is_trained(project: Project) -> None:
    lines = project.snakemake("--configfile", "presets/released.yaml", "--dry-run", "--quiet", "rules", "--", *TARGETS)
    jobs = dict(words for line in lines.splitlines() if len(words := line.split()) == 2 and words[1].isdigit())
    assert jobs == {"import_encoder": "2", "fetch_task": "1", "tune": "2", "total": "5"}
