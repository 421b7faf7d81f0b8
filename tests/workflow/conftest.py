"""Real runs of Snakemake on the smoke preset, each in its own copy of the project."""

import os
import shutil
import sys
from compileall import compile_dir
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from tests.conftest import made_once
from tests.small_corpus import EMOJI, keep_shards
from tests.workflow import preloaded

ROOT = Path(__file__).parents[2]
SOURCES = [
    "Snakefile",
    "config.yaml",
    "data",
    "envs",
    "nml",
    "presets",
    "profiles",
    "report",
    "rules",
    "workflow_scripts",
]


# They are in the environment of every run, and must be nowhere else.
SECRETS = {
    name: f"secret-word-of-{name}" for name in ("HF_TOKEN", "WANDB_API_KEY", "KAGGLE_KEY", "AWS_SECRET_ACCESS_KEY")
}


@dataclass(frozen=True)
class Project:
    """A folder with the project's sources and, once run, its results."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        # The copy's own package, not the installed one.
        # On a full disk, Python 3.11 may keep a part of a compiled module, and fail to read it from then on.
        own = {"PYTHONPATH": str(self.path), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return os.environ | SECRETS | own

    def command(self, *arguments: str) -> list[str]:
        snakemake = Path(sys.executable).with_name("snakemake")
        return [str(snakemake), "--cores", "2", "--configfile", "presets/smoke.yaml", *arguments]

    def snakemake(self, *arguments: str, fails: bool = False) -> str:
        """Run Snakemake and return what it printed; assert that it succeeds, or fails."""
        code, output = preloaded.run(self.command(*arguments), self.path, self.environment)
        assert (code != 0) == fails, output[-5000:]
        return output

    def jobs(self, *targets: str) -> dict[str, int]:
        """Return how many jobs of each rule a dry run announces."""
        lines = self.snakemake("--dry-run", "--quiet", "rules", "--", *targets).splitlines()
        stats = {}
        for line in lines[next((i for i, line in enumerate(lines) if line.startswith("---")), len(lines)) + 1 :]:
            words = line.split()
            if len(words) != 2 or not words[1].isdigit():
                break
            stats[words[0]] = int(words[1])
        return {rule: count for rule, count in stats.items() if rule not in ("total", "all")}

    def cells(self) -> dict[str, bytes]:
        """Return the bytes of all cells and predictions by path."""
        found = sorted((self.path / "results/cells").rglob("*.parquet"))
        return {str(path.relative_to(self.path)): path.read_bytes() for path in found}


def copy_sources(target: Path) -> Project:
    """Copy the sources as a clone would: with modification times of now."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, target / name, ignore=ignored, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, target / name)
    return Project(target)


@pytest.fixture
def project(tmp_path) -> Project:
    """The sources alone."""
    return copy_sources(tmp_path)


@pytest.fixture
def small_project(project) -> Project:
    """The sources alone, with a sixth of the corpus that is trained on: for what is not compared with `finished`."""
    keep_shards(project.path / EMOJI, 2)
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A project whose smoke run is done, one for all of pytest's processes. Do not change it: `rerun` is a copy."""

    def finish(folder: Path) -> None:
        project = copy_sources(folder)
        # By hash, since tests edit copies of what is compiled.
        compile_dir(folder / "nml", quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        project.snakemake()

    return Project(made_once(tmp_path_factory, "finished", finish))


@pytest.fixture
def rerun(finished, tmp_path) -> Project:
    """A copy of the finished project, with its results and Snakemake's records."""
    shutil.copytree(finished.path, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)
