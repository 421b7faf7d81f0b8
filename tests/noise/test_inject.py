"""An overlay holds what the noise changed and nothing else; its manifest says what was done; damage is refused."""

import errno
import math
import re
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nml.noise.kinds
from nml import plugins
from nml.artifacts import read_json, sha256_file
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.errors import UserError
from nml.grid import Noise
from nml.noise import inject
from nml.noise.inject import inject_noise
from tests.conftest import overlay_of

ROOT = Path(__file__).parents[2]
SHARDS = ["tiny-train-00.tar", "tiny-train-01.tar.gz", "tiny-train-02.tar", "tiny-train-03.tar.gz"]


@pytest.fixture
def index(tiny_corpus: Path, tmp_path: Path) -> Path:
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    return tmp_path / "index"


def rows(index: Path) -> dict[str, dict]:
    return {row["key"]: row for row in pq.read_table(index / "index.parquet").to_pylist()}


def overlay(folder: Path) -> dict[str, dict]:
    return {key: change for shard in SHARDS for key, change in overlay_of(folder, shard).items()}


def test_label_noise_changes_the_asked_share_of_each_class(index: Path, tmp_path: Path) -> None:
    manifest = inject_noise(index, Noise("symmetric", 25), 0, tmp_path / "noise")
    clean, changed = rows(index), overlay(tmp_path / "noise")
    assert len(changed) == 6
    for label in range(3):
        assert sum(clean[key]["label"] == label for key in changed) == 2
    assert all(
        set(change) == {"offset", "label"} and change["label"] != clean[key]["label"] for key, change in changed.items()
    )
    assert all(clean[key]["split"] == "train" for key in changed)
    assert manifest["realised_percent"] == 25.0
    assert manifest["realised_percent_per_class"] == [25.0, 25.0, 25.0]


def test_the_realised_percent_is_what_rounding_gives(index: Path, tmp_path: Path) -> None:
    manifest = inject_noise(index, Noise("symmetric", 10), 0, tmp_path / "noise")
    expected = 3 * math.floor(0.1 * 8 + 0.5)
    assert (manifest["nominal_percent"], manifest["changed"], manifest["samples"]) == (10, expected, 24)
    assert manifest["realised_percent"] == pytest.approx(100 * expected / 24)
    assert len(overlay(tmp_path / "noise")) == expected


def test_caption_noise_passes_captions_round(index: Path, tmp_path: Path) -> None:
    manifest = inject_noise(index, Noise("swap", 25), 0, tmp_path / "noise")
    clean, changed = rows(index), overlay(tmp_path / "noise")
    assert len(changed) == 6
    assert all(set(change) == {"offset", "caption"} for change in changed.values())
    assert all(change["caption"] != clean[key]["caption"] for key, change in changed.items())
    assert {change["caption"] for change in changed.values()} == {clean[key]["caption"] for key in changed}
    assert manifest["realised_percent"] == 25.0


def test_each_shard_has_a_file_with_its_own_samples_and_its_hash(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "noise"
    manifest = inject_noise(index, Noise("symmetric", 50), 0, folder)
    assert list(manifest["overlay"]) == SHARDS
    assert sorted(path.name for path in (folder / "overlay").iterdir()) == [f"{shard}.parquet" for shard in SHARDS]
    for shard, digest in manifest["overlay"].items():
        assert sha256_file(folder / "overlay" / f"{shard}.parquet") == digest
        assert all(rows(index)[key]["shard"] == shard for key in overlay_of(folder, shard))


def test_the_overlay_says_where_each_sample_starts(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise("swap", 50), 0, tmp_path / "noise")
    clean = rows(index)
    assert all(change["offset"] == clean[key]["offset"] for key, change in overlay(tmp_path / "noise").items())


def test_clean_changes_nothing(index: Path, tmp_path: Path) -> None:
    manifest = inject_noise(index, Noise(), 0, tmp_path / "noise")
    assert overlay(tmp_path / "noise") == {}
    assert (manifest["noise"], manifest["realised_percent"], manifest["changed"]) == ("clean", 0.0, 0)


def test_the_manifest_names_what_it_was_made_from(index: Path, tmp_path: Path) -> None:
    manifest = inject_noise(index, Noise("symmetric", 25), 3, tmp_path / "noise")
    assert manifest == read_json(tmp_path / "noise" / "manifest.json")
    assert (manifest["corpus"], manifest["noise"], manifest["kind"], manifest["seed"]) == (
        "tiny", "symmetric-25", "symmetric", 3,
    )  # fmt: skip
    assert manifest["corpus_manifest_sha256"] == sha256_file(index / "manifest.json")
    assert manifest["shards"] == read_json(index / "manifest.json")["splits"]["train"]


@pytest.mark.parametrize("noise", [Noise(), Noise("symmetric", 25), Noise("swap", 25)], ids=str)
def test_a_rerun_is_byte_identical(index: Path, tmp_path: Path, noise: Noise) -> None:
    for name in ("first", "second"):
        inject_noise(index, noise, 0, tmp_path / name)
    for path in (tmp_path / "first").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_bytes()


def test_ratios_are_nested_in_the_overlay(index: Path, tmp_path: Path) -> None:
    for percent in (25, 50):
        inject_noise(index, Noise("symmetric", percent), 0, tmp_path / str(percent))
    few, many = overlay(tmp_path / "25"), overlay(tmp_path / "50")
    assert few.items() <= many.items()


def test_a_damaged_overlay_is_refused(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "noise"
    inject_noise(index, Noise("symmetric", 50), 0, folder)
    damaged = folder / "overlay" / f"{SHARDS[0]}.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{SHARDS[0]}\.parquet is missing or does not match.*[Dd]elete"):
        overlay_of(folder, SHARDS[0])


def test_a_missing_overlay_file_is_refused(index: Path, tmp_path: Path) -> None:
    inject_noise(index, Noise("symmetric", 50), 0, tmp_path / "noise")
    (tmp_path / "noise" / "overlay" / f"{SHARDS[1]}.parquet").unlink()
    with pytest.raises(UserError, match=SHARDS[1]):
        overlay_of(tmp_path / "noise", SHARDS[1])


def test_a_new_kind_is_one_file_even_if_its_name_has_a_hyphen(monkeypatch: pytest.MonkeyPatch) -> None:
    def next_class(labels: np.ndarray, keys: list[str], num_classes: int, ratio: float, seed: int) -> np.ndarray:
        return (labels + 1) % num_classes

    module = types.SimpleNamespace(next_class=next_class)
    for place in (inject, plugins):
        monkeypatch.setattr(place, "noise_kinds", lambda: {"next-class": {"CORRUPTS": "labels", "DEFINITION": 1}})
    monkeypatch.setattr(nml.noise.importlib, "import_module", lambda name: {"nml.noise.kinds.next_class": module}[name])
    train = pa.table({"key": ["a", "b"], "offset": [0, 512], "label": [0, 2]})
    _, changes, _ = inject.corrupt(train, 3, Noise("next-class", 50), 0, None, "corpus")
    assert changes.to_pydict() == {"key": ["a", "b"], "offset": [0, 512], "label": [1, 0]}


def test_noise_inside_groups_keeps_to_them(index: Path, tmp_path: Path) -> None:
    groups = ["warm", "", "warm"]
    manifest = inject_noise(index, Noise("asymmetric", 25), 0, tmp_path / "noise", groups)
    clean, changed = rows(index), overlay(tmp_path / "noise")
    assert {clean[key]["label"] + change["label"] for key, change in changed.items()} == {2}
    assert (manifest["changed"], manifest["percent_of"]) == (6, "corpus")
    of_group = inject_noise(index, Noise("asymmetric", 25), 0, tmp_path / "group", groups, percent_of="group")
    assert (of_group["changed"], of_group["percent_of"]) == (4, "group")


@pytest.fixture
def documented_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the kind that docs/noise.md shows into a folder of kinds."""
    folder = tmp_path / "nml" / plugins.NOISE_KINDS
    folder.mkdir(parents=True)
    text = (ROOT / "docs/noise.md").read_text(encoding="utf-8")
    (folder / "first_of_group.py").write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], encoding="utf-8")
    monkeypatch.setattr(plugins.noise, "PACKAGE", tmp_path / "nml")
    monkeypatch.setattr(nml.noise.kinds, "__path__", [str(folder)])
    plugins.noise_kinds.cache_clear()
    yield
    plugins.noise_kinds.cache_clear()


@pytest.mark.parametrize(("of", "changed"), [("corpus", 5), ("group", 2)])
def test_the_example_of_the_documentation_works(
    documented_kind: None, index: Path, tmp_path: Path, of: str, changed: int
) -> None:
    inject_noise(index, Noise("first-of-group", 25), 0, tmp_path / "noise", ["warm", "", "warm"], percent_of=of)
    clean, found = rows(index), overlay(tmp_path / "noise")
    assert {(clean[key]["label"], change["label"]) for key, change in found.items()} == {(2, 0)}
    assert len(found) == changed


def test_more_noise_than_the_groups_can_take_is_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'asymmetric-80' cannot be done to corpus 'tiny': .* at most 66\.6667 %"):
        inject_noise(index, Noise("asymmetric", 80), 0, tmp_path / "noise", ["warm", "", "warm"])
    assert not (tmp_path / "noise").exists()


def test_groups_are_needed_where_the_kind_works_in_them(index: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no groups of classes are given for 'asymmetric'"):
        inject_noise(index, Noise("asymmetric", 10), 0, tmp_path / "noise")


def test_what_percents_count_is_no_matter_to_other_kinds(index: Path, tmp_path: Path) -> None:
    manifests = [
        inject_noise(index, Noise("symmetric", 25), 0, tmp_path / of, percent_of=of) for of in ("corpus", "group")
    ]
    assert manifests[0] == manifests[1]
    assert "percent_of" not in manifests[0]


@pytest.mark.parametrize("kind", [kind for kind in plugins.noise_kinds() if not kind.endswith("-released")])
def test_every_kind_realises_what_it_is_asked_for(index: Path, tmp_path: Path, kind: str) -> None:
    groups = ["all"] * 3 if plugins.noise_kinds()[kind].get("GROUPS") else None
    manifest = inject_noise(index, Noise(kind, 25), 0, tmp_path / "noise", groups)
    assert (manifest["changed"], manifest["realised_percent"], manifest["definition"]) == (6, 25.0, 1)
    assert len(overlay(tmp_path / "noise")) == 6


def test_released_swaps_record_what_they_realise(index: Path, tmp_path: Path) -> None:
    manifest = inject_noise(index, Noise("swap-released", 100), 0, tmp_path / "noise")
    clean, changed = rows(index), overlay(tmp_path / "noise")
    assert 0 < manifest["changed"] == len(changed) < 24
    assert manifest["realised_percent"] == pytest.approx(100 * len(changed) / 24)
    assert all(change["caption"] != clean[key]["caption"] for key, change in changed.items())


@pytest.mark.parametrize(("has", "noise"), [(["labels"], "swap-20"), (["captions"], "symmetric-20")])
def test_a_noise_of_what_the_corpus_lacks_is_refused(
    tiny_corpus: Path, tmp_path: Path, has: list[str], noise: str
) -> None:
    plugins.corpora()["tiny"]["has"] = has
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    with pytest.raises(UserError, match="cannot be done to corpus 'tiny': its samples have no"):
        inject_noise(tmp_path / "index", Noise.parse(noise), 0, tmp_path / "noise")


def test_a_full_disk_is_named(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(inject, "write_parquet", full)
    with pytest.raises(UserError, match=rf"no space is left to write to {tmp_path / 'noise'}"):
        inject_noise(index, Noise("swap", 25), 0, tmp_path / "noise")


@pytest.mark.parametrize("noise", [Noise(), Noise("symmetric", 50), Noise("swap", 50)], ids=str)
def test_transitions_count_what_changed_by_class(index: Path, tmp_path: Path, noise: Noise) -> None:
    manifest = inject_noise(index, noise, 0, tmp_path / "noise")
    transitions = pq.read_table(tmp_path / "noise" / "transitions.parquet").to_pylist()
    assert sum(row["samples"] for row in transitions) == manifest["changed"]
    if noise.kind == "symmetric":
        clean, changed = rows(index), overlay(tmp_path / "noise")
        pairs = Counter((clean[key]["label"], change["label"]) for key, change in changed.items())
        assert {(row["label"], row["noisy_label"]): row["samples"] for row in transitions} == pairs
