"""What runs again, and what does not."""

import json
import os
import re
import shutil

import pytest

from tests.workflow.conftest import SOURCES, Project, copy_sources

pytestmark = pytest.mark.workflow
CELL = "results/cells/emoji/resnet-smoke/symmetric-20/s0/handwritten-digits/lp.parquet"
AGGREGATES = {"build_tables": 1, "draw_figures": 1, "write_report": 1}


def edit(project: Project, file: str, pattern: str, replacement: str) -> None:
    path = project.path / file
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    path.write_text(changed)


def test_a_finished_run_has_nothing_to_do(rerun):
    assert rerun.jobs() == {}


def test_touching_every_source_changes_nothing(rerun):
    for name in SOURCES:
        for path in [rerun.path / name, *(rerun.path / name).rglob("*")]:
            os.utime(path)
    assert rerun.jobs() == {}


def test_a_fresh_clone_beside_old_results_has_nothing_to_do(finished, tmp_path):
    clone = copy_sources(tmp_path)
    shutil.copytree(finished.path / "results", tmp_path / "results")
    assert clone.jobs() == {}


def test_a_docstring_changes_nothing_and_a_loss_only_what_it_shapes(rerun):
    edit(rerun, "nml/tuning/losses.py", '"""', '"""Words. ')
    assert rerun.jobs() == {}
    edit(rerun, "nml/tuning/methods/_regularised.py", r"return cross_entropy", "return 2 * cross_entropy")
    assert rerun.jobs() == {"tune": 12, **AGGREGATES}


def test_a_changed_loss_reuses_the_features(rerun):
    edit(rerun, "nml/tuning/methods/mlp.py", r"return cross_entropy", "return 2 * cross_entropy")
    features = (
        rerun.path / "results/features/emoji/resnet-smoke/symmetric-20/s0/handwritten-digits/features.safetensors"
    )
    before = features.stat().st_mtime_ns
    output = rerun.snakemake("--", CELL)
    assert "are in the cache" in output
    assert features.stat().st_mtime_ns == before


def test_a_noise_kind_reaches_only_its_own_encoders(rerun):
    edit(rerun, "nml/noise/kinds/swap.py", r"def swap\(", "SHIFT = 0\n\n\ndef swap(")
    assert rerun.jobs() == {"inject_noise": 1, "draw_noise": 1, "pretrain": 1, "tune": 2, **AGGREGATES}


def test_a_hyperparameter_reruns_what_it_shapes(rerun):
    edit(rerun, "presets/smoke.yaml", r"weight: 0\.01", "weight: 0.02")
    assert rerun.jobs() == {"tune": 12, **AGGREGATES}


def test_a_method_that_changes_the_encoder_runs_alone(rerun):
    before = rerun.cells()
    edit(rerun, "presets/smoke.yaml", r"  majority: \{\}", "  majority: {}\n  lora: {learning_rate: 0.001, epochs: 1}")
    assert rerun.jobs() == {"tune_encoder": 12, **AGGREGATES}
    cell = CELL.replace("lp.parquet", "lora.parquet")
    rerun.snakemake("--", cell)
    made = rerun.cells()
    assert made.keys() - before.keys() == {cell, cell.replace(".parquet", ".predictions.parquet")}
    assert {name: made[name] for name in before} == before
    assert not list((rerun.path / "results/progress/tuning").rglob("*.safetensors"))


def test_a_head_that_starts_from_a_linear_probe_depends_on_it(rerun):
    edit(
        rerun,
        "presets/smoke.yaml",
        r"  majority: \{\}",
        "  majority: {}\n  lora: {learning_rate: 0.001, epochs: 1, initial_head: linear-probe}",
    )
    cell = CELL.replace("lp.parquet", "lora.parquet")
    rerun.snakemake("--", cell)
    assert rerun.jobs(cell) == {}
    edit(rerun, "nml/tuning/methods/lp.py", r"return cross_entropy", "return 2 * cross_entropy")
    assert rerun.jobs(cell) == {"tune_encoder": 1}


def test_a_recipe_and_an_architecture_reach_only_their_encoders(rerun):
    edit(rerun, "presets/smoke.yaml", r"learning_rate: 0\.002", "learning_rate: 0.003")
    expected = {"initialise_encoder": 1, "pretrain": 2, "tune": 6, **AGGREGATES}
    assert rerun.jobs() == expected
    edit(rerun, "presets/smoke.yaml", r"learning_rate: 0\.003", "learning_rate: 0.002")
    assert rerun.jobs() == {}
    edit(rerun, "nml/pretraining/architectures/resnet_mini.py", r"stem_width=32", "stem_width=16")
    assert rerun.jobs() == expected


def test_a_catalogue_entry_reaches_what_it_describes(rerun):
    edit(rerun, "nml/tasks/catalogue.yaml", r"test-outline: ood", "test-outline: robustness")
    assert rerun.jobs() == {"tune": 6, "draw_tasks": 1, **AGGREGATES}


def test_what_the_tables_say_of_a_data_set_makes_them_again(rerun):
    """Also where no cell does: its bytes do not change with the words of an `info.json`."""
    edit(rerun, "data/embedded/tasks/handwritten-digits/info.json", r'"licence": "', '"licence": "Perhaps ')
    options = ("--dry-run", "--allowed-rules", "build_tables", "--", "results/tables/main.txt")
    assert re.search(r"^build_tables +1$", rerun.snakemake(*options), re.MULTILINE)


def test_prompts_reach_the_encoders_that_learn_captions(rerun):
    edit(rerun, "nml/corpora/catalogue.yaml", r"templates: \[", 'templates: ["one more {}", ')
    assert rerun.jobs() == {"pretrain": 2, "tune": 4, **AGGREGATES}


def test_words_for_users_change_nothing(rerun):
    edit(rerun, "nml/progress.py", "a second", "each second")
    edit(rerun, "nml/jobs.py", "waiting for", "still waiting for")
    assert rerun.jobs() == {}


def test_a_method_on_features_is_all_that_is_made_when_it_is_added(rerun):
    before, metas = rerun.cells(), metas_of(rerun)
    edit(
        rerun,
        "presets/smoke.yaml",
        r"  majority: \{\}",
        "  majority: {}\n  mlp-deep: {method: mlp, learning_rate: 0.001, epochs: 2, depth: 3}",
    )
    assert rerun.jobs() == {"tune": 12, **AGGREGATES}
    cell = CELL.replace("lp.parquet", "mlp-deep.parquet")
    assert "to make: mlp-deep; the others are as they were" in rerun.snakemake("--", cell)
    added = rerun.cells()
    assert {name: added[name] for name in before} == before
    assert {name: metas_of(rerun)[name] for name in metas} == metas
    assert rerun.jobs(cell) == {}
    # All of them anew are the same, bit by bit.
    shutil.rmtree(rerun.path / "results/kept")
    (rerun.path / cell).unlink()
    assert "to make: lp, majority, mlp, mlp-deep, nmtune;" in rerun.snakemake("--", cell)
    assert rerun.cells() == added


def test_a_changed_loss_trains_its_own_heads_alone(rerun):
    edit(rerun, "nml/tuning/methods/mlp.py", r"return cross_entropy", "return 2 * cross_entropy")
    assert "to make: mlp; the others are as they were" in rerun.snakemake("--", CELL)
    edit(rerun, "nml/tuning/methods/_nmtune_terms.py", r'"k": 1', '"k": 2')
    assert "to make: nmtune; the others are as they were" in rerun.snakemake("--", CELL)
    edit(rerun, "presets/smoke.yaml", r"seeds: 2", "seeds: 3")
    assert "to make: lp, majority, mlp, nmtune; the others" in rerun.snakemake("--", CELL)


def metas_of(project: Project) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (project.path / "results/cells").rglob("*.meta.json")}


def test_a_deleted_cell_is_made_again_byte_for_byte_with_the_aggregates_alone(rerun):
    before = rerun.cells()
    shutil.rmtree(rerun.path / "results/kept")
    (rerun.path / CELL).unlink()
    assert rerun.jobs() == {"tune": 1, **AGGREGATES}
    rerun.snakemake()
    assert rerun.cells() == before


@pytest.mark.parametrize("end", [".predictions.parquet", ".meta.json"])
def test_deleted_predictions_and_metadata_are_made_again(rerun, end):
    (rerun.path / CELL.replace(".parquet", end)).unlink()
    assert rerun.jobs() == {"tune": 1, **AGGREGATES}


def test_one_cell_needs_only_what_it_stands_on(project):
    assert project.jobs(CELL) == {"index_corpus": 1, "inject_noise": 1, "pretrain": 1, "tune": 1}


def test_an_untrained_cell_needs_no_noise(project):
    target = "results/cells/emoji/clip-smoke/untrained/s0/handwritten-digits/mlp.parquet"
    assert project.jobs(target) == {"index_corpus": 1, "initialise_encoder": 1, "tune": 1}


def test_a_noise_kind_may_begin_with_a_word_that_is_none(project):
    kinds = project.path / "nml/noise/kinds"
    shutil.copyfile(kinds / "swap.py", kinds / "released_swap.py")
    target = "results/encoders/emoji/clip-smoke/released-swap-20/s0/model.safetensors"
    assert project.jobs(target) == {"index_corpus": 1, "inject_noise": 1, "pretrain": 1}


def test_label_noise_is_recorded_alike_whether_the_encoder_changes_or_not(rerun):
    edit(rerun, "presets/smoke.yaml", r"  majority: \{\}", "  majority: {}\n  lora: {learning_rate: 0.001, epochs: 1}")
    noisy = CELL.replace("handwritten-digits", "handwritten-digits+symmetric-20")
    cells = [noisy, noisy.replace("lp.parquet", "lora.parquet")]
    rerun.snakemake("--", *cells)
    metas = [json.loads((rerun.path / cell.replace(".parquet", ".meta.json")).read_text()) for cell in cells]
    assert metas[0]["label_noise"] == metas[1]["label_noise"]
    assert metas[1]["label_noise"]["train"]["realised_percent"] > 0
