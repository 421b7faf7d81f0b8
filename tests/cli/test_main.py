"""The command line explains itself, and ends a user's error with its message and status 2."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nml
from nml.cli import main

ROOT = Path(__file__).parents[2]
COMMANDS = ["plan", "status", "query", "show", "compare", "merge", "data"]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"examples:\n  nml {command}" in capsys.readouterr().out


def test_every_configuration_that_a_help_names_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ""
    for arguments in ([], *([command] for command in COMMANDS)):
        with pytest.raises(SystemExit):
            main([*arguments, "--help"])
        shown += capsys.readouterr().out
    named = set(re.findall(r"[\w/.-]+\.yaml", shown))
    assert "config.yaml" in named
    assert all((ROOT / name).is_file() for name in named)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"nml {nml.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["plann"], ["plan", "--confg", "x"], ["query"]])
def test_wrong_usage_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: nml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "status"])
def test_a_users_error_has_no_traceback(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text("name: x\ntask: []\n")
    with pytest.raises(SystemExit) as caught:
        main([command])
    shown = capsys.readouterr()
    assert (caught.value.code, shown.out) == (2, "")
    assert shown.err.startswith(f"nml {command}: ")
    assert "Did you mean 'tasks'?" in shown.err


def test_a_reader_that_stops_early_is_no_error() -> None:
    many = "\n".join(f"  - {{corpus: emoji, recipe: r{number}}}" for number in range(400))
    recipe = "{objective: supervised, architecture: resnet-mini, epochs: 2, batch_size: 8, learning_rate: 0.001}"
    recipes = "\n".join(f"  r{number}: {recipe}" for number in range(400))
    Path("config.yaml").write_text(
        f"name: many\npretraining:\n{many}\nrecipes:\n{recipes}\ntasks: [emoji-domains]\nmethods: {{majority: {{}}}}\n"
    )
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-c", "from nml.cli import main; main(['status', '--missing'])"]
    shown = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert shown.stderr == ""
