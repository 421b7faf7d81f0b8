"""A run is named by all that shapes its weights, and what they are validated on."""

from dataclasses import replace

import pytest

from nml.pretraining import run as module
from nml.pretraining.world import ALONE


@pytest.mark.parametrize("library", ["timm", "open_clip_torch", "pillow"])
def test_another_version_of_a_library_is_another_run(run, library, monkeypatch):
    job, real = run(), module.version
    before = job.fingerprint(ALONE)
    monkeypatch.setattr(module, "version", lambda name: "0.0" if name == library else real(name))
    assert job.fingerprint(ALONE) != before


OTHER_DATA = [
    {"listed": {"val-0.tar.gz": "another SHA-256"}},
    {"class_names": ["red", "green", "sky"]},
    {"shards": {"train": [], "validation": []}},
]


@pytest.mark.parametrize("changes", OTHER_DATA, ids=lambda changes: next(iter(changes)))
def test_other_validation_data_are_another_run(run, changes):
    job = run()
    assert replace(job, validate_on=job.corpus).fingerprint(ALONE) == job.fingerprint(ALONE)
    assert replace(job, validate_on=replace(job.corpus, **changes)).fingerprint(ALONE) != job.fingerprint(ALONE)


@pytest.mark.parametrize(("objective", "matter"), [("contrastive", True), ("supervised", False)])
def test_other_prompts_are_another_run_where_captions_are_learned(run, objective, matter):
    job = run(objective)
    other = replace(job, validate_on=replace(job.corpus, templates=["{}"]))
    assert (other.fingerprint(ALONE) != job.fingerprint(ALONE)) == matter
