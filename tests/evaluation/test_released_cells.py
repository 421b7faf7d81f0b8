"""A released encoder goes the way of every other one: import, features, heads, spectra, and white-box tuning."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import timm
import torch
from safetensors.torch import save_file

from nml.config.zoo import ReleasedModel
from nml.costs import Try
from nml.encoders.released import import_released
from nml.evaluation.evaluate_encoder import evaluate_encoder
from nml.evaluation.task_cells import TaskCells, make_cells
from nml.grid import Encoder, TaskAddress, cell_path, encoder_dir, spectrum_path
from nml.tuning.whitebox.run import open_tuning

ENCODER = Encoder.released("own")
TRAINED = {"learning_rate": 0.01, "weight_decay": 0.0, "epochs": 2, "batch_size": 4}
METHODS = {"lp": TRAINED | {"views": 1}, "nmtune": TRAINED | {"views": 1, "weight": 0.01}}


@pytest.fixture
def here(tiny_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to run in, which has a released encoder."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=4).state_dict(), "own.safetensors")
    model = ReleasedModel(
        library="timm", architecture="test_resnet", weights="own.safetensors", preprocessing={"size": 32}
    )
    import_released("own", model, Path(encoder_dir(ENCODER)))


def test_its_cells_and_spectra_are_those_of_any_encoder(here: None) -> None:
    wanted = TaskCells(
        encoder=ENCODER,
        task=TaskAddress("tiny-domains"),
        methods=METHODS,
        method_code=dict.fromkeys(METHODS, "code"),
        seeds=2,
        fractions=[100],
        noise_seed=None,
        described="catalogue",
        code="code",
        features_code="features code",
        features=Path("results/features/own"),
    )
    cells = {name: Path(cell_path(ENCODER, "tiny-domains", name)) for name in METHODS}
    spectrum = Path(spectrum_path(ENCODER, "tiny-domains"))
    make_cells(wanted, cells, spectrum, Try())
    rows = pq.read_table(cells["nmtune"]).to_pandas()
    about = rows[["corpus", "recipe", "noise_kind", "noise_percent", "pretrain_seed"]].drop_duplicates()
    assert about.to_numpy().tolist() == [["zoo", "own", "released", 0.0, 0]]
    assert set(rows["test_set"]) == {"test", "test-far"} and set(rows["seed"]) == {0, 1}
    assert pq.read_table(spectrum)["sve"].to_pylist()[0] > 0


def test_the_encoder_itself_can_be_tuned(here: None, tmp_path: Path) -> None:
    run = open_tuning(str(ENCODER), "tiny-domains", "lora-nmtune", TRAINED, tmp_path / "progress", "code")
    result = evaluate_encoder(run, {0: 17}, ENCODER.identity())
    assert set(result.cells["noise_kind"]) == {"released"}
    assert result.metadata["trainable_parameters"] > 0
