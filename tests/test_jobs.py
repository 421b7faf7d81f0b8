"""A job has a log of its own; a user's error ends it with the message alone, another error with its traceback."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from nml.errors import UserError
from nml.jobs import job

logger = logging.getLogger("nml")


@pytest.fixture
def snakemake(tmp_path: Path) -> Iterator[SimpleNamespace]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logger.level
    root.handlers = []
    yield SimpleNamespace(rule="pretrain", log=[str(tmp_path / "job.log")])
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
