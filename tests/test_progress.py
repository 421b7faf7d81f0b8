"""Progress comes as whole lines, not too many, with the rate and the time left."""

import logging

import pytest

from nml import progress
from nml.progress import Progress, clock


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level(logging.INFO, logger="nml")
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_a_line_has_the_rate_and_the_time_left(time: Clock, caplog: pytest.LogCaptureFixture) -> None:
    bar = Progress("train", total=100)
    time.now += 10
    bar.advance(20)
    assert caplog.messages == ["train  ━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 20/100 steps, 2.0 a second, 0:40 left"]


def test_lines_come_at_most_every_interval_and_at_the_end(time: Clock, caplog: pytest.LogCaptureFixture) -> None:
    bar = Progress("train", total=100, interval=5)
    for _ in range(100):
        time.now += 0.2
        bar.advance()
    assert len(caplog.messages) == 4
    assert "100/100 steps" in caplog.messages[-1]
    assert caplog.messages[-1].endswith("0:00 left")


def test_what_was_done_before_does_not_count_for_the_rate(time: Clock, caplog: pytest.LogCaptureFixture) -> None:
    bar = Progress("train", total=100, done=50)
    time.now += 10
    bar.advance(10)
    assert "60/100 steps, 1.0 a second, 0:40 left" in caplog.messages[0]


def test_a_step_that_takes_no_time_is_no_error(time: Clock, caplog: pytest.LogCaptureFixture) -> None:
    Progress("tiny", total=1, unit="files").advance()
    assert "1/1 files" in caplog.messages[0]


def test_what_more_there_is_to_say_is_asked_for_only_when_a_line_is_due(
    time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    bar, asked = Progress("train", total=100), []
    for _ in range(60):
        time.now += 0.1
        bar.advance(facts=lambda: asked.append(1) or "loss 0.500")
    assert len(asked) == 1
    assert caplog.messages[0].endswith("left, loss 0.500")


def test_on_a_terminal_the_bar_is_drawn_every_second_and_passes(
    time: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    bar = Progress("train", total=60, interval=3)
    for _ in range(60):
        time.now += 0.125
        bar.advance()
    assert [record.bar for record in caplog.records] == ["passes", "passes", "is due"] * 2 + ["passes", "ends"]


KNOWN = [(0, "0:00"), (59.4, "0:59"), (61, "1:01"), (3600, "1:00:00"), (90061, "25:01:01")]


@pytest.mark.parametrize(("seconds", "text"), KNOWN)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
