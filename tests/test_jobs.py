"""A job has a log of its own; a user's error ends it with the message alone, another error with its traceback."""

import errno
import fcntl
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from nml.errors import UserError
from nml.jobs import job, shared_path

logger = logging.getLogger("nml")


@pytest.fixture
def snakemake(tmp_path: Path) -> Iterator[SimpleNamespace]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logger.level
    root.handlers = []
    yield SimpleNamespace(rule="pretrain", log=[str(tmp_path / "job.log")], resources={})
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level, logger.level = before


def text_of(snakemake: SimpleNamespace) -> str:
    return Path(snakemake.log[0]).read_text(encoding="utf-8")


def test_what_the_library_logs_goes_to_the_file_and_the_terminal(snakemake: SimpleNamespace, capsys: object) -> None:
    with job(snakemake):
        logger.info("epoch %d: ━━", 1)
        logging.getLogger("some_package").info("chatter")
    assert text_of(snakemake) == "epoch 1: ━━\n"
    assert capsys.readouterr().err == "epoch 1: ━━\n"


def bar(state: str) -> dict[str, dict[str, str]]:
    return {"extra": {"bar": state}}


def test_a_pipe_gets_no_passing_bars(snakemake: SimpleNamespace, capsys: object) -> None:
    with job(snakemake):
        logger.info("10 %", **bar("passes"))
        logger.info("50 %", **bar("is due"))
        logger.info("100 %", **bar("ends"))
    assert text_of(snakemake) == capsys.readouterr().err == "50 %\n100 %\n"


def test_a_terminal_gets_bars_in_place_and_lines_instead_of_them(
    snakemake: SimpleNamespace, capsys: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "20")
    with job(snakemake):
        logger.info("10 %% %s", "━" * 40, **bar("passes"))
        logger.info("epoch 1")
        logger.info("50 %", **bar("is due"))
        logger.info("100 %", **bar("ends"))
    clear = "\r\x1b[2K"
    assert capsys.readouterr().err == f"{clear}10 % {'━' * 14}{clear}epoch 1\n{clear}50 %{clear}100 %\n"
    assert text_of(snakemake) == "epoch 1\n50 %\n100 %\n"


def test_a_users_error_ends_the_job_with_its_message_and_no_traceback(
    snakemake: SimpleNamespace, capsys: object
) -> None:
    with pytest.raises(SystemExit) as caught, job(snakemake):
        raise UserError("the shard is damaged")
    assert caught.value.code == 1
    assert text_of(snakemake) == capsys.readouterr().err == "pretrain: the shard is damaged\n"


def test_another_error_goes_up_and_leaves_its_traceback_in_the_log(snakemake: SimpleNamespace) -> None:
    with pytest.raises(ZeroDivisionError), job(snakemake):
        _ = 1 / 0
    assert "pretrain failed\nTraceback" in text_of(snakemake)
    assert "ZeroDivisionError" in text_of(snakemake)


def test_a_new_try_starts_a_new_log(snakemake: SimpleNamespace) -> None:
    for text in ("first", "second"):
        with job(snakemake):
            logger.info(text)
    assert text_of(snakemake) == "second\n"


def test_what_other_processes_add_to_the_log_is_not_written_over(snakemake: SimpleNamespace) -> None:
    with pytest.raises(SystemExit), job(snakemake):
        logger.info("the job")
        with open(snakemake.log[0], "a", encoding="utf-8") as log:
            log.write("a process of its training\n")
        raise UserError("a process failed")
    assert text_of(snakemake) == "the job\na process of its training\npretrain: a process failed\n"


def test_a_file_system_without_locks_is_named(
    snakemake: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(SystemExit) as caught, job(snakemake):
        pytest.fail("it began")
    assert caught.value.code == 1
    message = caplog.messages[-1]
    assert message.startswith(f"pretrain: the file system of {tmp_path}/.snakemake/nml-locks has no locks")
    assert "option flock" in message


HOLD = """
import fcntl, sys, time
lock = open(sys.argv[1], "wb")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_job_waits_for_an_earlier_run_of_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake/nml-locks").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    lock = tmp_path / ".snakemake/nml-locks/results+a.log"
    arguments = [sys.executable, "-c", HOLD, str(lock)]
    earlier = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert earlier.stdout.readline() == "held\n"

    class Terminal(io.StringIO):
        def write(self, text: str) -> int:
            earlier.stdin.close()
            return super().write(text)

    # The earlier run ends only when the later one has said that it waits.
    monkeypatch.setattr(sys, "stderr", Terminal())
    with job(SimpleNamespace(rule="tune", log=["results/a.log"], resources={})):
        assert earlier.wait(timeout=60) == 0
    assert "waiting for an earlier run of this job to end (results/a.log)" in sys.stderr.getvalue()


def test_files_that_a_storage_plugin_has_for_a_job_are_found_where_other_jobs_see_them():
    for file in ("results/logs/tune/a.log", "results/cells/a/lp.parquet"):
        assert shared_path(f".snakemake/storage/fs/mnt/results/volume/{file}") == Path(file) == shared_path(file)
    assert shared_path("/elsewhere/results/a.log") == Path("/elsewhere/results/a.log")
