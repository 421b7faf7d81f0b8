"""The status shows what is there for each encoder and task, what is missing, and what did not finish."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nml.artifacts import write_text
from nml.cli import main

NOISY = "emoji/small/symmetric-20/s0"


def status(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    main(["status", *options])
    return capsys.readouterr().out


def row(shown: str, encoder: str) -> str:
    return " ".join(next(line for line in shown.splitlines() if line.startswith(encoder)).split()[1:])


def test_a_fresh_folder_has_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown = status(capsys)
    for encoder in ("emoji/small/clean/s0", NOISY, "emoji/small/untrained/s0"):
        assert row(shown, encoder) == "missing · ·"
    assert "0 of 12 cells are there." in shown
    assert "1  emoji-domains" in shown
    assert "Not as it should be" not in shown


def test_the_matrix_counts_the_cells_of_each_pair(
    make_cell: Callable, make_encoder: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    make_encoder(NOISY, 0.5)
    for method in ("lp", "majority"):
        make_cell(NOISY, "emoji-domains", method)
    make_cell(NOISY, "handwritten-digits", "lp")
    shown = status(capsys)
    assert row(shown, NOISY) == "done ● 1/2"
    assert "3 of 12 cells are there." in shown


def test_training_that_can_resume_is_in_progress(capsys: pytest.CaptureFixture[str]) -> None:
    write_text(f"results/progress/{NOISY}/00001-00000000.safetensors", "")
    assert row(status(capsys), NOISY) == "in progress · ·"


def test_missing_cells_are_listed_as_targets(make_cell: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    make_cell(NOISY, "emoji-domains", "lp")
    lines = status(capsys, "--missing").splitlines()
    assert len(lines) == 11
    assert f"results/cells/{NOISY}/emoji-domains/majority.parquet" in lines
    assert f"results/cells/{NOISY}/emoji-domains/lp.parquet" not in lines


def test_nothing_missing_prints_nothing(make_cell: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    for cell in status(capsys, "--missing").splitlines():
        encoder, task, method = cell.removeprefix("results/cells/").removesuffix(".parquet").rsplit("/", 2)
        make_cell(encoder, task, method)
    assert status(capsys, "--missing") == ""
    assert "12 of 12 cells are there." in status(capsys)


def test_jobs_that_started_and_left_no_output_point_to_their_logs(
    make_encoder: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    make_encoder("emoji/small/clean/s0", 0.5)
    write_text("results/logs/pretrain/emoji/small/clean/s0.log", "all went well\n")
    write_text(f"results/logs/pretrain/{NOISY}.log", "epoch 1\npretrain: the loss became nan [epoch 2]\n\n")
    write_text(f"results/logs/tune/{NOISY}/emoji-domains.log", "")
    write_text("results/logs/initialise_encoder/emoji/small/s0.log", "stopped")
    write_text("results/logs/write_report.log", "no tables")
    shown = status(capsys)
    assert f"failed  results/encoders/{NOISY}/model.safetensors" in shown
    assert f"results/logs/pretrain/{NOISY}.log  pretrain: the loss became nan [epoch 2]" in shown
    assert f"results/logs/tune/{NOISY}/emoji-domains.log  (empty)" in shown
    assert "results/logs/initialise_encoder/emoji/small/s0.log  stopped" in shown
    assert "results/logs/write_report.log  no tables" in shown
    assert "all went well" not in shown


def test_nothing_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["status"], ["status", "--missing"], ["plan"], ["data"]):
        main(command)
    assert [path.name for path in project.iterdir()] == ["config.yaml"]


def cell_rows(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    found = json.loads(status(capsys, "--json"))
    assert found["schema"] == 1 and sum(found["cells"].values()) == len(found["rows"]) == 12
    return {
        row["path"].removeprefix("results/cells/emoji/small/"): (row["state"], row["reason"]) for row in found["rows"]
    }


def test_a_failed_cell_is_a_row_with_its_error(make_cell: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    make_cell(NOISY, "emoji-domains", "lp")
    write_text(f"results/logs/tune/{NOISY}/handwritten-digits.log", "Traceback\ntune: training diverged\n")
    rows = cell_rows(capsys)
    assert rows["symmetric-20/s0/handwritten-digits/lp.parquet"] == ("failed", "tune: training diverged")
    assert rows["symmetric-20/s0/emoji-domains/lp.parquet"] == ("done", "")
    assert rows["clean/s0/emoji-domains/lp.parquet"] == ("missing", "")
    assert "Cells: 1 done, 9 missing, 0 running, 2 failed, 0 stale" in status(capsys)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        (["failed", "done"], ("missing", "")),
        (["done", "preempted"], ("missing", "asked to stop")),
        (["preempted", "failed"], ("failed", "tune: the last line")),
        ([], ("failed", "tune: the last line")),
    ],
)
def test_only_a_job_that_failed_makes_a_cell_failed(
    outcomes: list[str], state: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    log = Path(f"results/logs/tune/{NOISY}/handwritten-digits.log")
    write_text(log, "tune: the last line\n")
    write_text(log.with_suffix(".cost.jsonl"), "".join(json.dumps({"outcome": end}) + "\n" for end in outcomes))
    assert cell_rows(capsys)["symmetric-20/s0/handwritten-digits/lp.parquet"] == state
    assert ("asked to stop" in status(capsys)) == (state[1] == "asked to stop")


def test_a_job_that_was_killed_after_it_had_been_asked_to_stop_once_failed(capsys: pytest.CaptureFixture[str]) -> None:
    log = Path(f"results/logs/tune/{NOISY}/handwritten-digits.log")
    record = log.with_suffix(".cost.jsonl")
    write_text(record, json.dumps({"outcome": "preempted"}) + "\n")
    os.utime(record, (1, 1))
    write_text(log, "epoch 3\n")
    assert cell_rows(capsys)["symmetric-20/s0/handwritten-digits/lp.parquet"] == ("failed", "epoch 3")


def test_a_truncated_cell_is_failed_and_one_older_than_its_encoder_stale(
    make_cell: Callable, make_encoder: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    for method in ("lp", "majority"):
        make_cell(NOISY, "emoji-domains", method)
    path = Path(f"results/cells/{NOISY}/emoji-domains/lp.parquet")
    path.write_bytes(path.read_bytes()[:-3])
    make_encoder(NOISY, 0.5)
    os.utime(path.with_name("majority.parquet"), (1, 1))
    rows = cell_rows(capsys)
    assert rows["symmetric-20/s0/emoji-domains/lp.parquet"][0] == "failed"
    assert "truncated" in rows["symmetric-20/s0/emoji-domains/lp.parquet"][1]
    assert rows["symmetric-20/s0/emoji-domains/majority.parquet"][0] == "stale"


def test_a_job_that_holds_its_lock_is_running(capsys: pytest.CaptureFixture[str]) -> None:
    log = f"results/logs/tune/{NOISY}/emoji-domains.log"
    write_text(log, "epoch 1")
    lock = Path(".snakemake/nml-locks", log.replace("/", "+"))
    write_text(lock, "")
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert cell_rows(capsys)["symmetric-20/s0/emoji-domains/lp.parquet"][0] == "running"
    assert cell_rows(capsys)["symmetric-20/s0/emoji-domains/lp.parquet"] == ("failed", "epoch 1")
