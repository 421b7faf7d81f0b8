"""The whole study, small but real: what a run leaves behind."""

import json
import re

import pyarrow.parquet as pq
import pytest

from nml.cli import main
from nml.cli.jobs import jobs_of
from nml.config.load import load_config
from nml.reporting.labels import FIGURES, TABLES

pytestmark = pytest.mark.workflow
CONTRACT = [
    "corpus",
    "recipe",
    "noise_kind",
    "noise_percent",
    "pretrain_seed",
    "task",
    "group",
    "test_set",
    "method",
    "fraction",
    "seed",
    "metric",
    "value",
    "n",
]


def test_every_output_of_the_contract_is_there(finished):
    results = finished.path / "results"
    encoder, task = "emoji/resnet-smoke/symmetric-20/s0", "emoji-domains"
    for path in [
        "noise/emoji/symmetric-20/manifest.json",
        f"encoders/{encoder}/model.safetensors",
        f"encoders/{encoder}/meta.json",
        f"encoders/{encoder}/log.csv",
        f"features/{encoder}/{task}/features.safetensors",
        f"cells/{encoder}/{task}/nmtune.parquet",
        f"cells/{encoder}/{task}/nmtune.predictions.parquet",
        f"cells/{encoder}/{task}/nmtune.meta.json",
        f"spectra/{encoder}/{task}.parquet",
        "tables/averages.parquet",
        "tables/averages.md",
        "tables/averages.tex",
        "figures/noise_curves.png",
        "figures/noise_curves.pdf",
        "figures/spectrum_scatter.png",
        "figures/noise/emoji/swap-20.png",
        "figures/noise/emoji/symmetric-20.pdf",
        "figures/tasks/handwritten-digits.png",
        "report/index.html",
    ]:
        assert (results / path).stat().st_size > 0, path


def test_nothing_half_written_or_unfinished_is_left(finished):
    names = [path.name for path in (finished.path / "results").rglob("*")]
    assert not [name for name in names if ".tmp" in name]
    assert not list((finished.path / "results").glob("progress/**/*.safetensors"))


def test_cells_have_the_columns_of_the_contract(finished):
    cell = pq.read_table(finished.path / "results/cells/emoji/clip-smoke/swap-20/s0/emoji-domains/lp.parquet")
    assert cell.column_names == CONTRACT
    assert set(cell["group"].to_pylist()) == {"source", "ood"}
    assert set(cell["test_set"].to_pylist()) == {"test", "test-shaded", "test-3d", "test-sketch", "test-outline"}
    assert set(cell["metric"].to_pylist()) == {"accuracy", "mean_per_class_accuracy", "macro_f1"}
    assert set(cell["seed"].to_pylist()) == {0, 1}


def test_the_tables_hold_both_controls(finished):
    cells = pq.read_table(finished.path / "results/tables/cells.parquet").to_pandas()
    assert set(cells["method"]) == {"majority", "lp", "mlp", "nmtune"}
    assert set(cells["noise_kind"]) == {"clean", "symmetric", "swap", "untrained"}
    assert len(cells) == 6 * 4 * 2 * 3 * (1 + 5), "encoders x methods x seeds x metrics x test sets"


def test_predictions_give_the_cell_back(finished):
    folder = finished.path / "results/cells/emoji/resnet-smoke/clean/s0/handwritten-digits"
    predictions = pq.read_table(folder / "mlp.predictions.parquet").to_pandas()
    predictions = predictions[predictions["seed"] == 1]
    cell = pq.read_table(folder / "mlp.parquet").to_pandas()
    row = cell[(cell["metric"] == "accuracy") & (cell["seed"] == 1)].iloc[0]
    assert row["value"] == (predictions["label"] == predictions["prediction"]).mean()
    assert row["n"] == len(predictions)


def test_noise_is_exact_and_recorded(finished):
    for noise in ("symmetric-20", "swap-20"):
        manifest = json.loads((finished.path / f"results/noise/emoji/{noise}/manifest.json").read_text())
        assert abs(manifest["realised_percent"] - 20) < 0.1
        overlay = pq.read_table(finished.path / f"results/noise/emoji/{noise}/overlay")
        assert len(overlay) == manifest["changed"]


def test_each_job_has_a_log_and_a_benchmark(finished):
    results = finished.path / "results"
    logs = {path.relative_to(results / "logs").with_suffix("") for path in results.glob("logs/**/*.log")}
    benchmarks = {p.relative_to(results / "benchmarks").with_suffix("") for p in results.glob("benchmarks/**/*.jsonl")}
    assert logs == benchmarks
    assert len(logs) == 1 + 3 + 2 + 4 + 2 + 1 + 12 + 3


def test_snakemakes_own_report_holds_tables_and_figures_and_links_to_nothing_outside(rerun):
    rerun.snakemake("--report", "report.html")
    page = (rerun.path / "report.html").read_text()
    assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?!data:)', page)
    found = re.search(r"var results = (\{.*\});?$", page, re.MULTILINE)
    results = json.loads(found[1])
    shown = [*(f"results/figures/{name}.png" for name in FIGURES), *(f"results/tables/{name}.md" for name in TABLES)]
    shown += ["results/figures/noise/emoji/swap-20.png", "results/report/index.html"]
    assert set(shown) <= set(results)
    assert all(results[path]["caption"] for path in shown)


def test_the_command_line_counts_the_jobs_that_the_rules_run(finished, monkeypatch):
    monkeypatch.chdir(finished.path)
    jobs = jobs_of(load_config("presets/smoke.yaml"))
    assert all(job.is_done() for job in jobs)
    assert {str(job.log) for job in jobs} == {
        str(path.relative_to(finished.path)) for path in finished.path.glob("results/logs/**/*.log")
    }


def test_the_noisy_corpus_is_materialised_when_it_is_asked_for(rerun):
    rerun.snakemake("--", "results/materialised/emoji/symmetric-20/manifest.json")
    noisy = json.loads((rerun.path / "results/materialised/emoji/symmetric-20/manifest.json").read_text())
    clean = json.loads((rerun.path / "results/noise/emoji/symmetric-20/manifest.json").read_text())
    assert noisy["changed"] == clean["changed"] > 0
    assert all(noisy["shards"][shard] != facts["sha256"] for shard, facts in clean["shards"].items())
    names = {path.name for path in (rerun.path / "results/materialised/emoji/symmetric-20").iterdir()}
    assert names == {"manifest.json", "sizes.json", *noisy["shards"]}


def test_all_that_was_made_verifies(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished.path)
    main(["data", "verify"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "corpus emoji: as it was made"
    assert lines[1:] == [f"noise emoji/{noise}: as it was made" for noise in ("clean", "swap-20", "symmetric-20")]
