"""The profile that Snakemake loads by itself takes all cores, but not of the login node of a cluster."""

import sys

import pytest
import yte

from tests.workflow.conftest import ROOT

SLURM = "profiles/slurm"


@pytest.mark.parametrize(
    ("arguments", "variable", "cores"),
    [
        (["-n"], None, "all"),
        (["-n"], "", "all"),
        (["-n"], SLURM, None),
        (["--profile", SLURM], None, None),
        ([f"--profile={SLURM}"], None, None),
    ],
)
def test_cores_are_those_of_this_machine_unless_a_profile_is_named(
    arguments: list[str], variable: str | None, cores: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["snakemake", *arguments])
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    if variable is not None:
        monkeypatch.setenv("SNAKEMAKE_PROFILE", variable)
    profile = yte.process_yaml((ROOT / "profiles/default/config.yaml").read_text(), require_use_yte=True)
    assert profile.get("cores") == cores
