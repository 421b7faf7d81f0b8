"""GPUs are leased whole or in shares; nobody gets more than there is, everybody gets some, and the dead hold none."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest

from nml import leases
from nml.errors import UserError
from nml.leases import VISIBLE, Device, gpu_share, leased, visible_devices
from tests.gpus import gpus

__all__ = ["gpus"]

ZERO, ONE = Device("GPU-0", "NVIDIA H200"), Device("GPU-1", "NVIDIA H200")


def take(jobs: ExitStack, count: int, percent: int) -> list[Device]:
    """Lease devices as another job does, until all jobs end."""
    return leases._wait_for(visible_devices(), count, percent, jobs)


@pytest.fixture(autouse=True)
def _in(gpus: Path) -> None:
    """Every test has a machine of its own."""


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (None, [ZERO, ONE]),
        ("1", [ONE]),
        ("1,0", [ONE, ZERO]),
        ("GPU-1", [ONE]),
        ("GPU-1, GPU-0", [ONE, ZERO]),
        ("", []),
        ("-1", []),
        ("0,-1,1", [ZERO]),
        ("7", []),
        ("NoDevFiles", []),
    ],
)
def test_what_a_scheduler_or_the_user_chose_is_all_there_is(
    chosen: str | None, found: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    if chosen is not None:
        monkeypatch.setenv(VISIBLE, chosen)
    assert visible_devices() == found


# As `nvidia-smi -L` of an A100 in two parts beside a whole one prints it.
SPLIT = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa)
  MIG 3g.20gb     Device  0: (UUID: MIG-b0)
  MIG 3g.20gb     Device  1: (UUID: MIG-b1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-cc)
"""


def test_a_gpu_that_is_split_counts_by_its_parts(gpus: Path) -> None:
    (gpus / "devices").write_text(SPLIT)
    assert [device.uuid for device in visible_devices()] == ["MIG-b0", "MIG-b1", "GPU-cc"]
    assert {device.name for device in visible_devices()} == {"NVIDIA A100-SXM4-40GB"}


@pytest.mark.parametrize("shown", ["", "No devices found\n"])
def test_without_gpus_nothing_happens(shown: str, gpus: Path) -> None:
    (gpus / "devices").write_text(shown)
    with leased(3) as devices:
        assert devices == []
        assert VISIBLE not in os.environ
    assert not leases.ROOT.exists()


def test_without_a_driver_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it was asked"))
    with leased(1) as devices:
        assert devices == []


def fail_with(said: str, code: int, gpus: Path) -> None:
    (gpus / "nvidia-smi").write_text(f'#!/bin/sh\necho "{said}"; exit {code}\n')


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("No devices were found", 6),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9),
        ("Failed to initialize NVML: Driver Not Loaded", 9),
    ],
)
def test_a_driver_without_devices_is_none(said: str, code: int, gpus: Path) -> None:
    fail_with(said, code, gpus)
    with leased(1) as devices:
        assert devices == []


def test_a_driver_that_fails_with_devices_is_no_leave_to_share_them(
    gpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with("Failed to initialize NVML: Driver/library version mismatch", 18, gpus)
    with pytest.raises(UserError, match=r"exit code 18: .*version mismatch.*CUDA_VISIBLE_DEVICES= "), leased(1):
        pass
    with leased(0) as devices:
        assert devices == []
    monkeypatch.setenv(VISIBLE, "")
    with leased(1) as devices:
        assert devices == []


def test_a_job_sees_what_it_leased_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), ExitStack() as others:
        assert take(others, 1, 100) == [ZERO]
        with leased(1) as devices:
            assert devices == [ONE]
            assert os.environ[VISIBLE] == "GPU-1"
        assert VISIBLE not in os.environ
    assert caplog.messages[0] == "computes on NVIDIA H200 (GPU-0)"


def test_a_job_without_gpus_sees_none() -> None:
    with leased(0) as devices:
        assert devices == []
        assert os.environ[VISIBLE] == ""


def test_shares_are_spread_over_the_devices_until_they_are_full() -> None:
    with ExitStack() as jobs:
        assert [take(jobs, 1, percent) for percent in (50, 50, 30, 40)] == [[ZERO], [ONE], [ZERO], [ONE]]
        folders = {device: leases._folder(device) for device in (ZERO, ONE)}
        assert [leases._free(folders, percent) for percent in (10, 20, 21)] == [[ZERO, ONE], [ZERO], []]
    assert leases._free(folders, 100) == [ZERO, ONE]


def test_a_job_knows_its_share() -> None:
    with leased(1, 25):
        assert gpu_share() == 0.25
    assert gpu_share() == 1


def test_more_than_there_are_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "1")
    with pytest.raises(UserError, match=r"asks for 2 GPUs, and may use 1 here .*=1\).*<rule>:gpu=1"), leased(2):
        pass


def test_somebody_elses_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UserError, match="not a folder of your own"), leased(1):
        pass
    assert not list(leases.ROOT.iterdir())


def test_a_link_or_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    leases.ROOT.symlink_to(tmp_path)
    with pytest.raises(UserError, match="not a folder of your own"), leased(1):
        pass
    leases.ROOT.unlink()
    leases.ROOT.touch()
    with pytest.raises(UserError, match="not a folder of your own"), leased(1):
        pass


HOLDER = """
import logging, sys, time
from pathlib import Path
from nml import leases
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
leases.ROOT, leases._POLL = Path(sys.argv[1]), 0.01
with leases.leased(int(sys.argv[2]), int(sys.argv[3])) as devices:
    print("has", *(device.uuid for device in devices), flush=True)
    sys.stdin.readline()
"""


def holder(count: int, percent: int) -> subprocess.Popen[str]:
    """Start a process that leases devices until it gets a line."""
    command = [sys.executable, "-c", HOLDER, str(leases.ROOT), str(count), str(percent)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().rstrip("\n")


def test_a_killed_holder_gives_its_device_back_and_the_wait_is_said() -> None:
    first = holder(2, 100)
    assert line_of(first).startswith("computes on NVIDIA H200 (GPU-0), NVIDIA H200 (GPU-1)")
    assert line_of(first) == "has GPU-0 GPU-1"
    second = holder(1, 100)
    assert line_of(second) == "waiting for 1 of 2 GPUs: other jobs have them"
    first.send_signal(signal.SIGKILL)
    assert line_of(second).startswith("computes on NVIDIA H200 (GPU-0) after ")
    assert line_of(second) == "has GPU-0"
    second.communicate("\n", timeout=30)
    assert first.wait(30) == -signal.SIGKILL
    assert not [file for file in leases.ROOT.rglob("*") if file.is_file() and file.name != "queue"]


def test_a_child_that_lives_on_keeps_the_devices() -> None:
    program = "import sys; sys.stdin.readline()"
    with leased(1):
        arguments = [sys.executable, "-c", program]
        child = subprocess.Popen(arguments, stdin=subprocess.PIPE, text=True, pass_fds=leases.held())
        folder = leases._folder(ZERO)
        # What is left of a job that was killed: the file, and whoever still has it open.
        kept = {path.name: path.stat().st_ino for path in folder.iterdir()}
        os.link(folder / next(iter(kept)), folder / "100-left")
    assert leases._taken(folder) == 100
    child.communicate("\n", timeout=30)
    assert leases._taken(folder) == 0


# What each of many jobs asks for: devices, and percent of each.
WISHES = [(1, 100), (1, 25), (1, 25), (1, 50), (2, 100), (1, 25), (2, 40), (1, 75)]

WORKER = """
import json, os, sys, time
from pathlib import Path
from nml import leases
leases.ROOT, leases._POLL = Path(sys.argv[1]), 0.01
with leases.leased(int(sys.argv[2]), int(sys.argv[3])) as devices:
    got = time.monotonic()
    time.sleep(float(sys.argv[4]))
    held = [device.uuid for device in devices], int(sys.argv[3]), got, time.monotonic()
print(json.dumps([*held, os.environ.get("CUDA_VISIBLE_DEVICES")]))
"""


def test_of_many_processes_none_gets_more_than_there_is_and_all_get_some() -> None:
    rng = random.Random(0)
    workers = []
    for count, percent in WISHES:
        wish = (leases.ROOT, count, percent, rng.uniform(0.05, 0.3))
        command = [sys.executable, "-c", WORKER, *map(str, wish)]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    spans = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
    assert [len(devices) for devices, *_ in spans] == [count for count, _ in WISHES]
    changes = defaultdict(list)
    for devices, percent, got, gave, after in spans:
        assert after is None
        for device in devices:
            changes[device] += [(got, percent), (gave, -percent)]
    assert set(changes) == {"GPU-0", "GPU-1"}
    for moments in changes.values():
        load = 0
        for _, change in sorted(moments):
            load += change
            assert load <= 100


def test_a_job_that_needs_many_is_not_passed_by() -> None:
    with ExitStack() as jobs:
        take(jobs, 1, 100)
        large = holder(2, 100)
        assert line_of(large) == "waiting for 2 of 2 GPUs: other jobs have them"
        small = holder(1, 100)
        assert line_of(small) == "waiting for 1 of 2 GPUs: other jobs have them"
        time.sleep(0.1)
    assert line_of(large).startswith("computes on")
    assert line_of(large) == "has GPU-0 GPU-1"
    large.communicate("\n", timeout=30)
    assert line_of(small).startswith("computes on")
    small.communicate("\n", timeout=30)
