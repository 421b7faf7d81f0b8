"""Each try of a job leaves what it cost beside its log, with the GPU's part where there is one."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from nml import costs, jobs
from nml.artifacts import write_text
from nml.costs import JobCost, _since_start, cost_of, job_costs
from nml.errors import UserError
from nml.jobs import job
from nml.preemption import Preempted
from tests.gpus import gpus

__all__ = ["gpus"]


LOG = "results/logs/tune/a/b-2.5.log"


@pytest.fixture(autouse=True)
def _in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results/logs/tune/a").mkdir(parents=True)


def run(ends_with: BaseException | None = None, **resources: int) -> None:
    """Run a job that ends well, or with an exception."""
    with job(SimpleNamespace(rule="tune", log=["results/logs/tune/a/b-2.5.log"], resources=resources)):
        sum(range(10**6))
        if ends_with:
            raise ends_with


def entries() -> list[dict]:
    return [json.loads(line) for line in Path("results/logs/tune/a/b-2.5.cost.jsonl").read_text().splitlines()]


def test_a_job_on_the_cpu_leaves_time_and_memory() -> None:
    run()
    (entry,) = entries()
    assert entry["outcome"] == "done"
    assert entry["seconds"] > 0
    assert entry["cpu_seconds"] > 0
    assert 10**6 < entry["peak_memory_bytes"] < 10**11
    assert (entry["gpu"], entry["gpus"], entry["gpu_seconds"]) == ("", 0, 0)
    assert entry["peak_gpu_memory_bytes"] is entry["energy_joules"] is None


def test_all_tries_that_led_to_the_outputs_count_and_none_before() -> None:
    run()
    with pytest.raises(Preempted):
        run(Preempted())
    with pytest.raises(SystemExit):
        run(UserError("a broken file"))
    run()
    assert [entry["outcome"] for entry in entries()] == ["preempted", "failed", "done"]
    cost = cost_of("tune", "a/b-2.5")
    assert (cost.tries, cost.outcome) == (3, "done")
    assert cost.seconds == pytest.approx(sum(entry["seconds"] for entry in entries()))


def test_what_made_the_outputs_that_are_put_back_still_counts_but_not_in_means() -> None:
    run()
    whole = cost_of("tune", "a/b-2.5")
    for ending in (None, SystemExit(1)):
        with suppress(SystemExit), job(SimpleNamespace(rule="tune", log=[LOG], resources={})) as cost:
            cost.put_back = 2
            if ending:
                raise ending
    assert [entry["outcome"] for entry in entries()] == ["done", "partly", "failed"]
    assert cost_of("tune", "a/b-2.5").tries == 3
    assert list(job_costs(whole=True)) == [whole]
    run()
    assert [entry["outcome"] for entry in entries()] == ["done", "partly", "failed", "done"]
    run()
    assert [entry["outcome"] for entry in entries()] == ["done"]


def work_until_the_meter_shows_something(gpus: Path) -> None:
    while not (gpus / "asked").exists():
        time.sleep(0.01)
    time.sleep(0.2)


def test_a_job_with_a_share_of_a_gpu_leaves_its_part(gpus: Path) -> None:
    resources = {"gpu": 2, "gpu_percent": 50}
    with job(SimpleNamespace(rule="tune", log=["results/logs/tune/a/b-2.5.log"], resources=resources)):
        work_until_the_meter_shows_something(gpus)
    (entry,) = entries()
    assert (entry["gpu"], entry["gpus"]) == ("NVIDIA H200", 0.5)
    assert entry["gpu_seconds"] > 0.1
    assert entry["peak_gpu_memory_bytes"] == 2048 * 2**20
    # 100.5 W on each of two devices, of which the job has a quarter.
    assert entry["energy_joules"] == pytest.approx(100.5 * entry["gpu_seconds"])
    assert "--id=GPU-0,GPU-1" in (gpus / "asked").read_text()


def test_a_job_on_several_machines_counts_the_gpus_of_all(gpus: Path) -> None:
    run(gpu=16, nodes=2)
    (entry,) = entries()
    assert (entry["gpu"], entry["gpus"], entry["energy_joules"]) == ("NVIDIA H200", 16, None)
    assert entry["gpu_seconds"] > 0
    (gpus / "devices").write_text("")
    run(gpu=16, nodes=2)
    (entry,) = entries()
    assert (entry["gpu"], entry["gpus"], entry["gpu_seconds"]) == ("", 0, 0)


def test_waiting_for_an_earlier_run_and_for_devices_is_no_cost(gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_hold", lambda log, hold=jobs._hold: (time.sleep(0.3), hold(log))[1])
    monkeypatch.setattr(jobs, "leased", lambda *given, lease=jobs.leased: (time.sleep(0.2), lease(*given))[1])
    before = _since_start()
    run(gpu=1)
    (entry,) = entries()
    assert entry["waited_seconds"] >= 0.5
    # The kernel tells when a process started by the hundredth of a second.
    assert entry["seconds"] + entry["waited_seconds"] <= _since_start() + 0.02
    assert entry["gpu_seconds"] <= entry["seconds"] - before + 0.02


def test_a_job_that_is_stopped_while_it_ends_leaves_its_gpus_part(gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sum_up = costs._sum_up
    monkeypatch.setattr(costs, "_sum_up", lambda *given: (os.kill(os.getpid(), signal.SIGTERM), sum_up(*given)))
    (gpus / "samples").write_text("100, 2048\n")

    with job(SimpleNamespace(rule="tune", log=["results/logs/tune/a/b-2.5.log"], resources={"gpu": 1})):
        work_until_the_meter_shows_something(gpus)
    (entry,) = entries()
    assert entry["outcome"] == "done"
    assert entry["energy_joules"] == pytest.approx(100 * entry["gpu_seconds"])


def test_a_driver_that_tells_nothing_is_no_trouble(gpus: Path) -> None:
    (gpus / "samples").write_text("[N/A], [N/A]\nnonsense\n")
    run(gpu=1)
    (entry,) = entries()
    assert entry["gpus"] == 1
    assert entry["peak_gpu_memory_bytes"] is entry["energy_joules"] is None


def test_where_there_is_no_record_snakemakes_counts() -> None:
    line = '{"s": 12.5, "cpu_time": 11.1, "max_rss": 800.0, "h:m:s": "0:00:12"}\n'
    write_text("results/benchmarks/pretrain/a.jsonl", line)
    write_text("results/benchmarks/build_tables.jsonl", '{"s": 2, "max_rss": "NA"}\n')
    write_text("results/benchmarks/tune/broken.jsonl", "{")
    run()
    found = {(cost.rule, cost.name): cost for cost in job_costs()}
    assert set(found) == {("pretrain", "a"), ("build_tables", ""), ("tune", "a/b-2.5")}
    expected = JobCost("pretrain", "a", "done", 1, 12.5, 11.1, 0, 0, "", 800 * 2**20, None, None)
    assert found["pretrain", "a"] == expected
    assert found["build_tables", ""].peak_memory_bytes is None


def test_a_log_in_the_folder_of_a_storage_plugin_has_its_costs_and_lock_where_other_jobs_see_them() -> None:
    log = Path(".snakemake/storage/fs/volume/results/logs/tune/a/b-2.5.log")
    log.parent.mkdir(parents=True)
    with job(SimpleNamespace(rule="tune", log=[str(log)], resources={})):
        pass
    assert log.is_file()
    assert len(entries()) == 1
    assert [path.name for path in Path(".snakemake/nml-locks").iterdir()] == ["results+logs+tune+a+b-2.5.log"]


def test_a_record_of_another_kind_is_passed_over() -> None:
    write_text("results/logs/tune/a/b-2.5.cost.jsonl", "[1]\n")
    assert cost_of("tune", "a/b-2.5") is None
    run()
    assert len(entries()) == 1
