"""What a target or a configuration says never reaches a shell, and secrets never reach a file."""

import json
import subprocess
import sys

import pytest

from tests.workflow.conftest import SECRETS, Project

pytestmark = pytest.mark.workflow
WILDCARDS = {
    "corpus": "emoji",
    "recipe": "clip-smoke",
    "noise": "swap-20",
    "seed": "0",
    "encoder": "emoji/clip-smoke/swap-20/s0",
    "task": "handwritten-digits",
    "method": "ft",
    "model": "mine",
}
BEHIND = ["; touch canary", "$(touch canary)", "`touch canary`", "'", '"', "\n", "\ntouch canary", " a", "|a", "&", "*"]
BEFORE = ["-", "--", ".", "..", "../", "/", "~", "$(touch canary)"]
# Which rules would make a target of which one wildcard is hostile; each of them once with values that are right.
MAKERS = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.io import apply_wildcards, get_wildcard_names
from snakemake.settings.types import ConfigSettings, ResourceSettings

right, behind, before = json.loads(sys.argv[1])
right_ones, wrong_ones = 0, []
with SnakemakeApi() as api:
    settings = ConfigSettings(configfiles=[Path("own.yaml")])
    rules = api.workflow(ResourceSettings(cores=1), settings, snakefile=Path("Snakefile"))._workflow.rules
    for product in [product for rule in rules for product in (*rule.output, *rule.log)]:
        for name in get_wildcard_names(product):
            right_ones += bool(product.match(str(product.apply_wildcards(right))))
            for value in [right[name] + text for text in behind] + [text + right[name] for text in before]:
                target = apply_wildcards(str(product), right | {name: value})
                if product.match(target):
                    wrong_ones.append(target)
print(json.dumps([right_ones, wrong_ones]))
"""


def test_no_rule_makes_a_target_that_a_shell_would_act_on(project: Project) -> None:
    smoke = (project.path / "presets/smoke.yaml").read_text()
    (project.path / "own.yaml").write_text(smoke.replace("majority: {}", "ft: {learning_rate: 0.001}"))
    command = [sys.executable, "-c", MAKERS, json.dumps([WILDCARDS, BEHIND, BEFORE])]
    done = subprocess.run(
        command, cwd=project.path, env=project.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    right, wrong = json.loads(done.stdout)
    assert right > 20, "targets with names that are right have a rule"
    assert wrong == []
    assert not (project.path / "canary").exists()


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ('name: "x; touch canary $(touch canary)"', "name: "),
        ("name: !!python/object/apply:os.system ['touch canary']", "not valid JSON or YAML"),
    ],
)
def test_a_hostile_configuration_is_refused_and_runs_nothing(project: Project, line: str, refusal: str) -> None:
    path = project.path / "presets/smoke.yaml"
    path.write_text(path.read_text().replace("name: smoke", line))
    output = project.snakemake("--", "results/corpora/emoji/manifest.json", fails=True)
    assert refusal in output
    assert not (project.path / "canary").exists() and not (project.path / "results/logs").exists()


def test_secrets_of_the_environment_reach_no_file(finished: Project) -> None:
    files = [path for path in finished.path.rglob("*") if path.is_file() and "data" not in path.parts]
    words = [secret.encode() for secret in SECRETS.values()]
    assert len(files) > 300
    assert [str(path) for path in files if any(word in path.read_bytes() for word in words)] == []
