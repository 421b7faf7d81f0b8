"""Wrong input stops with a message that says what to do, before time is lost."""

import re

import pytest

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize(
    ("pattern", "replacement", "expected"),
    [
        (
            r"batch_size: 256\n",
            "batchsize: 256\n",
            "Did you mean 'batch_size'",
        ),
        (r"symmetric: \[20\]", "symmetric: [120]", r"pretraining.0.noise.symmetric.0: 120 was given"),
        (r"handwritten-digits", "handwriten-digits", r"Did you mean 'handwritten-digits'"),
        (r"lp: \{learning_rate: 0.1, ", "lp: {", r"methods.lp.learning_rate: is missing"),
    ],
)
def test_a_wrong_configuration_is_refused_before_the_first_job(project, pattern, replacement, expected):
    path = project.path / "presets/smoke.yaml"
    changed = re.sub(pattern, replacement, path.read_text(), count=1)
    assert changed != path.read_text()
    path.write_text(changed)
    output = project.snakemake(fails=True)
    assert re.search(expected, output)
    assert "Allowed" in output
    assert not (project.path / "results/logs").exists()


def test_a_truncated_shard_is_named(project):
    shard = project.path / "data/embedded/corpora/emoji/emoji-train-03.tar.gz"
    shard.write_bytes(shard.read_bytes()[:-1000])
    output = project.snakemake("--", "results/corpora/emoji/manifest.json", fails=True)
    assert "emoji-train-03.tar.gz cannot be read to its end" in output
    assert "Traceback" not in output.split("emoji-train-03.tar.gz cannot be read")[0]


def test_an_unknown_recipe_in_a_target_is_named(project):
    target = "results/encoders/emoji/resnet-maxi/clean/s0/model.safetensors"
    output = project.snakemake("--dry-run", "--", target, fails=True)
    assert "there is no recipe in the configuration 'resnet-maxi'" in output
