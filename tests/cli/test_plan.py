"""The plan counts what is asked for, done and missing, and says how long the rest takes by what was timed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nml.artifacts import write_text
from nml.cli import main
from nml.cli.jobs import STAGES, jobs_of
from nml.config.load import load_config

ROOT = Path(__file__).parents[2]


def plan(capsys: pytest.CaptureFixture[str]) -> str:
    main(["plan"])
    return capsys.readouterr().out


def row(shown: str, rule: str) -> list[str]:
    lines = (line.rpartition(f" {rule} ") for line in shown.splitlines())
    return next(after.split() for _, found, after in lines if found)


def test_it_says_what_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys)
    assert "2 trained, 1 untrained controls" in shown
    assert "emoji/small: clean; symmetric 20 %; 1 seed" in shown
    assert "2: emoji-domains, handwritten-digits" in shown
    assert "12 = 3 encoders × 2 tasks × 2 methods, each with 3 seeds" in shown


def test_it_counts_the_jobs_of_each_rule(capsys: pytest.CaptureFixture[str]) -> None:
    shown = plan(capsys)
    counts = {"index_corpus": 1, "inject_noise": 2, "draw_noise": 1, "pretrain": 2, "initialise_encoder": 1, "tune": 6}
    counts |= {"draw_tasks": 1, "build_tables": 1, "draw_figures": 1, "write_report": 1}
    assert {rule: row(shown, rule)[:3] for rule in counts} == {
        rule: [str(count), "0", str(count)] for rule, count in counts.items()
    }
    assert "17 of 17 jobs are missing." in shown
    assert "no estimate" in shown


def test_a_job_is_done_when_all_its_outputs_are_there(
    make_cell: Callable, make_encoder: Callable, make_spectrum: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    make_encoder("emoji/small/clean/s0", 0.6)
    make_spectrum("emoji/small/clean/s0", "emoji-domains")
    make_cell("emoji/small/clean/s0", "emoji-domains", "lp")
    shown = plan(capsys)
    assert row(shown, "pretrain")[:3] == ["2", "1", "1"]
    assert row(shown, "tune")[:3] == ["6", "0", "6"]
    make_cell("emoji/small/clean/s0", "emoji-domains", "majority")
    assert row(plan(capsys), "tune")[:3] == ["6", "1", "5"]


def test_a_released_encoder_is_imported_and_not_trained(capsys: pytest.CaptureFixture[str]) -> None:
    zoo = "zoo:\n  own: {library: timm, architecture: resnet18, weights: own.safetensors}\n"
    write_text("config.yaml", Path("config.yaml").read_text() + zoo)
    shown = plan(capsys)
    assert "2 trained, 1 untrained controls, 1 released" in shown
    counts = {"import_encoder": "1", "pretrain": "2", "initialise_encoder": "1", "inject_noise": "2", "tune": "8"}
    assert {rule: row(shown, rule)[0] for rule in counts} == counts
    write_text("results/logs/import_encoder/own.log", "import_encoder: own.safetensors is not there")
    main(["status"])
    assert "results/logs/import_encoder/own.log" in capsys.readouterr().out


def test_each_method_that_changes_the_encoder_has_a_job_of_its_own() -> None:
    config = load_config("config.yaml")
    more = config.model_copy(update={"methods": config.methods | {"lora": config.methods["lp"]}})
    jobs = [job for job in jobs_of(more) if job.rule == "tune_encoder"]
    assert len(jobs) == 6
    assert jobs[0].name.endswith("/lora")
    assert all(output.rpartition("/")[2].startswith("lora.") for output in jobs[0].outputs)
    others = [job for job in jobs_of(more) if job.rule != "tune_encoder"]
    assert others == jobs_of(config)


def test_the_time_left_is_the_mean_of_the_timed_jobs_last_tries(capsys: pytest.CaptureFixture[str]) -> None:
    write_text("results/benchmarks/tune/a/x.jsonl", '{"s": 10.0}\n{"s": 20.0}\n')
    write_text("results/benchmarks/tune/b/c/y.jsonl", '{"s": 30.0, "h:m:s": "0:00:30"}\n')
    write_text("results/benchmarks/write_report.jsonl", '{"s": 5}\n')
    shown = plan(capsys)
    assert row(shown, "tune") == ["6", "0", "6", "25.0", "2:30"]
    assert row(shown, "write_report") == ["1", "0", "1", "5.0", "0:05"]
    assert row(shown, "pretrain")[3:] == ["?", "?"]
    assert "About 2:35 one after another" in shown
    assert "never timed: index_corpus, inject_noise, draw_noise, pretrain," in shown


def test_when_all_is_there_nothing_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    for job in jobs_of(load_config("config.yaml")):
        for output in job.outputs:
            write_text(output, '{"splits": {"train": {}}}')
    assert "0 of 17 jobs are missing. Whether all is up to date" in plan(capsys)


def test_the_rules_are_those_of_the_workflow() -> None:
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = [line.removeprefix("rule ").rstrip(":") for line in text.splitlines() if line.startswith("rule ")]
    only_when_asked_for = ["materialise"]
    assert sorted(rules) == sorted([*(rule for stage in STAGES.values() for rule in stage), *only_when_asked_for])


def test_another_configuration_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    values = yaml.safe_load(Path("config.yaml").read_text()) | {"name": "other"}
    Path("other.yaml").write_text(yaml.safe_dump(values))
    main(["plan", "--config", "other.yaml"])
    assert capsys.readouterr().out.startswith("other (other.yaml)")


def test_what_jobs_cost_with_all_their_tries_counts_before_snakemakes_times(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_text("results/benchmarks/tune/a/x.jsonl", '{"s": 10.0}\n')
    entry = '{{"outcome": "{}", "seconds": 20, "gpu_seconds": 1800, "gpu": "a GPU"}}\n'
    write_text("results/logs/tune/a/x.cost.jsonl", entry.format("preempted") + entry.format("done"))
    shown = plan(capsys)
    assert row(shown, "tune") == ["6", "0", "6", "40.0", "4:00"]
    assert "About 4:00 one after another, by what such jobs took here." in shown
    assert "About 6 GPU-hours of it on GPUs like those." in shown


def test_jobs_with_snakemakes_record_alone_count_beside_others_and_unfinished_ones_do_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = '{{"outcome": "{}", "seconds": {}, "gpu_seconds": {}, "gpu": "a GPU"}}\n'
    write_text("results/benchmarks/tune/a/x.jsonl", '{"s": 10.0}\n')
    write_text("results/logs/tune/a/y.cost.jsonl", entry.format("done", 20, 3600))
    write_text("results/logs/tune/a/z.cost.jsonl", entry.format("failed", 1000, 3600) + entry.format("preempted", 1, 1))
    shown = plan(capsys)
    assert row(shown, "tune") == ["6", "0", "6", "15.0", "1:30"]
    assert "About 3 GPU-hours of it" in shown
