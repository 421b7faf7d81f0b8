"""A run is named by all that shapes its weights."""

import pytest

from nml.pretraining import run as module
from nml.pretraining.world import ALONE


@pytest.mark.parametrize("library", ["timm", "open_clip_torch", "pillow"])
def test_another_version_of_a_library_is_another_run(run, library, monkeypatch):
    job, real = run(), module.version
    before = job.fingerprint(ALONE)
    monkeypatch.setattr(module, "version", lambda name: "0.0" if name == library else real(name))
    assert job.fingerprint(ALONE) != before
