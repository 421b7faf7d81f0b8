"""Hostile checkpoints, features and tables run nothing, and are named in an error for users."""

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from nml import encoders
from nml.cli.cells import read_rows
from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.corpora.shards import read_samples
from nml.encoders.export import export
from nml.errors import UserError
from nml.evaluation.cells import CELL_SCHEMA
from nml.features.store import Split, TaskFeatures, load_features, save_features
from nml.grid import Encoder, Noise, encoder_dir
from nml.pretraining import architectures
from nml.pretraining.checkpoints import load_tensors
from nml.pretraining.encoder_files import write_encoder
from nml.reporting.reading import read_cells
from nml.tasks.readers.pcam import _stretches
from nml.tasks.tables import read_mat
from nml.tuning.whitebox.states import read_tensors as read_progress
from tests.security import hostile

RECIPE = Recipe(objective="supervised", architecture="resnet-mini", epochs=1, batch_size=8, learning_rate=0.1)
ENCODER = Encoder("emoji", "resnet-mini", Noise("untrained"), 0)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Return a path that must not be there at the end."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "something in the file was run"


def contents(canary: Path) -> dict[str, bytes]:
    """Return files by what they are; none is a safetensors file of nml."""
    scratch = canary.with_name("scratch")
    return {
        "a pickle": hostile.pickled(canary),
        "a torch zip": hostile.torch_zip(canary, scratch),
        "an array of objects": hostile.object_array(canary, scratch),
        "nothing": b"",
        "a header longer than the file": (1 << 62).to_bytes(8, "little") + b"{}",
        "no header of nml": hostile.safetensors_of({}),
        "a header that is a list": hostile.safetensors_of([1, 2]),
        "a pickle in the header": hostile.safetensors_of({"__metadata__": {"nml": hostile.pickled(canary).hex()}}),
        "another header": hostile.safetensors_of({"__metadata__": {"nml": "[]"}}),
    }


KINDS = [
    *("a pickle", "a torch zip", "an array of objects", "nothing", "a header longer than the file"),
    *("no header of nml", "a header that is a list", "a pickle in the header", "another header"),
]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the results of an untrained encoder."""
    root = tmp_path_factory.mktemp("written")
    model = architectures.of_recipe(RECIPE).build(3)
    write_encoder(model, str(ENCODER), RECIPE, 3, {}, root / encoder_dir(ENCODER))
    return root


def test_the_files_would_run_something_where_they_are_unpickled(tmp_path: Path) -> None:
    for name, read in [
        ("a pickle", lambda path: pickle.loads(path.read_bytes())),
        ("a torch zip", lambda path: torch.load(path, weights_only=False)),
        ("an array of objects", lambda path: np.load(path, allow_pickle=True)),
    ]:
        canary, file = tmp_path / f"canary of {name}", tmp_path / "file"
        file.write_bytes(contents(canary)[name])
        read(file)
        assert canary.exists()


def encoder_in(root: Path, content: bytes) -> Path:
    checkpoint = root / encoder_dir(ENCODER) / "model.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(content)
    return checkpoint


@pytest.mark.parametrize("use", [encoders.identify, encoders.load], ids=["identify", "load"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_checkpoint_is_named(tmp_path: Path, canary: Path, kind: str, use: Callable) -> None:
    checkpoint = encoder_in(tmp_path, contents(canary)[kind])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged, or is no checkpoint of nml") as refusal:
        use(str(ENCODER), tmp_path)
    assert str(checkpoint) in str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "../../evil"},
        {"architecture": "os"},
        {"architecture": "_timm"},
        {"architecture": "timm/hf-hub:somebody/something"},
        {"architecture": "timm/local-dir:/tmp/something"},
        {"architecture": "open_clip/hf-hub:somebody/something"},
        {"architecture": "open_clip/local-dir:/tmp/something"},
        {"architecture": ["resnet-mini"]},
        {"num_classes": "many"},
        {"num_classes": 5},
        {"preprocessing": "none"},
        {"preprocessing": {"mean": "x"}},
    ],
    ids=str,
)
def test_a_hostile_header_of_a_checkpoint_is_named(
    written: Path, tmp_path: Path, canary: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors, header = load_tensors(written / encoder_dir(ENCODER) / "model.safetensors")
    checkpoint = tmp_path / encoder_dir(ENCODER) / "model.safetensors"
    checkpoint.parent.mkdir(parents=True)
    save_file(tensors, checkpoint, metadata={"nml": json.dumps(header | changes)})
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    for use in (encoders.load, lambda address, root: export(address, tmp_path / "exported", root=root)):
        with pytest.raises(UserError, match=r"model\.safetensors"):
            use(str(ENCODER), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_state_in_the_progress_folder_is_passed_over(tmp_path: Path, canary: Path, kind: str) -> None:
    file = tmp_path / "progress" / "seed.safetensors"
    file.parent.mkdir()
    file.write_bytes(contents(canary)[kind])
    assert read_progress(file, "this very run") is None


def features() -> TaskFeatures:
    split = Split(np.ones((2, 3), np.float32), np.array([0, 1]), ["a", "b"])
    return TaskFeatures("tiny", 2, split, split, {"test": split}, {"test": "id"})


@pytest.mark.parametrize("file", ["features.safetensors", "meta.json", "samples.parquet"])
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_features_are_named(tmp_path: Path, canary: Path, file: str, kind: str) -> None:
    folder = tmp_path / "features"
    save_features(features(), {}, folder)
    (folder / file).write_bytes(contents(canary)[kind])
    with pytest.raises(UserError, match=r"/features are damaged or not those of nml"):
        load_features(folder)


@pytest.mark.parametrize(
    "entry",
    [{"shape": [1 << 40, 3], "data_offsets": [0, 8]}, {"shape": [-1], "data_offsets": [-99, 1]}, {"shape": "x"}],
)
def test_features_that_promise_more_than_there_is_are_named(tmp_path: Path, entry: dict[str, Any]) -> None:
    folder = tmp_path / "features"
    save_features(features(), {}, folder)
    (folder / "features.safetensors").write_bytes(hostile.safetensors_of({"train": entry, "val": entry}))
    with pytest.raises(UserError, match=r"/features are damaged or not those of nml"):
        load_features(folder)


def hostile_table(table: pa.Table, canary: Path) -> pa.Table:
    """Return a table whose metadata, and those of its columns, an old or careless reader would run."""
    fields = [field.with_metadata(hostile.hostile_metadata(canary)) for field in table.schema]
    schema = pa.schema(fields, metadata=hostile.pandas_metadata(table.column_names, canary))
    return pa.table(dict(zip(table.column_names, table.columns, strict=True)), schema=schema)


def rewrite(path: Path, canary: Path) -> None:
    pq.write_table(hostile_table(pq.ParquetFile(path).read(), canary), path)
    assert b"pandas" in pq.read_metadata(path).metadata


def test_features_with_a_hostile_footer_run_nothing(tmp_path: Path, canary: Path) -> None:
    folder = tmp_path / "features"
    save_features(features(), {}, folder)
    rewrite(folder / "samples.parquet", canary)
    assert load_features(folder).train.keys == ["a", "b"]


def a_cell(path: Path) -> Path:
    row = {"corpus": "emoji", "recipe": "r", "noise_kind": "clean", "noise_percent": 0.0, "pretrain_seed": 0}
    row |= {"task": "t", "group": "id", "test_set": "test", "method": "lp", "fraction": 100, "seed": 0}
    row |= {"metric": "accuracy", "value": 0.5, "n": 2}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: [value] for name, value in row.items()}, schema=CELL_SCHEMA), path)
    return path


@pytest.mark.parametrize("read", [read_rows, lambda path: read_cells([path])], ids=["one", "together"])
def test_a_cell_with_a_hostile_footer_runs_nothing(tmp_path: Path, canary: Path, read: Callable) -> None:
    cell = a_cell(tmp_path / "results/cells/emoji/r/clean/s0/t/lp.parquet")
    rewrite(cell, canary)
    assert read(cell)["value"].tolist() == [0.5]


@pytest.mark.parametrize("read", [read_rows, lambda path: read_cells([path])], ids=["one", "together"])
@pytest.mark.parametrize("kind", ["a pickle", "a torch zip", "nothing"])
def test_a_cell_that_is_no_parquet_is_named(tmp_path: Path, canary: Path, kind: str, read: Callable) -> None:
    cell = tmp_path / "lp.parquet"
    cell.write_bytes(contents(canary)[kind])
    with pytest.raises(UserError, match=r"lp\.parquet"):
        read(cell)


@pytest.mark.parametrize("kind", ["a pickle", "a torch zip", "an array of objects", "nothing"])
def test_a_hostile_mat_is_named(tmp_path: Path, canary: Path, kind: str) -> None:
    (tmp_path / "labels.mat").write_bytes(contents(canary)[kind])
    with pytest.raises(UserError, match=r"labels\.mat cannot be read"):
        read_mat(tmp_path / "labels.mat", "y")


def write_h5(path: Path, kind: str, canary: Path) -> None:
    with h5py.File(path, "w") as file:
        if kind == "pickles":
            file["y"] = np.array([np.void(hostile.pickled(canary))])
        elif kind == "objects":
            file.create_dataset("y", data=[hostile.pickled(canary).hex()], dtype=h5py.string_dtype())
        elif kind == "a link to nowhere":
            file["y"] = h5py.ExternalLink("/nowhere/else.h5", "/y")
        else:
            file.create_group("y")


@pytest.mark.parametrize("kind", ["pickles", "objects", "a link to nowhere", "a group"])
def test_a_hostile_hdf5_file_is_named(tmp_path: Path, canary: Path, kind: str) -> None:
    write_h5(tmp_path / "labels.h5", kind, canary)
    with pytest.raises(UserError, match=r"labels\.h5 cannot be read as HDF5 with the data set 'y'"):
        list(_stretches(tmp_path / "labels.h5", "y", None))


@pytest.mark.parametrize("suffix", ["pickle", "pkl", "pyd", "pth", "npy", "npz", "ten"])
def test_members_that_a_decoder_would_unpickle_are_bytes(
    tmp_path: Path, canary: Path, tiny_corpus: Path, write_shard: Callable, sample_files: Callable, suffix: str
) -> None:
    evil = [(f"train0{number}.{suffix}", hostile.pickled(canary)) for number in range(6)]
    samples = sample_files((f"train0{number}", number % 3, f"thing {number}") for number in range(6))
    members = sorted([*samples, *evil])
    shard = write_shard(tiny_corpus / "tiny-train-00.tar", members)
    assert all(isinstance(sample[suffix], bytes) for sample in read_samples([shard]))
    (tiny_corpus / "info.json").unlink()
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    assert pq.ParquetFile(tmp_path / "index/index.parquet").metadata.num_rows == 30
