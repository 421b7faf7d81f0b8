"""Features are what the encoder gives, whatever the batching, and come back from the cache as they were."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from nml import encoders
from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.features import cache, extract
from nml.features.cache import cached_features, features_key
from nml.features.extract import extract_features
from nml.features.store import FILES, load_features, save_features
from nml.grid import Encoder, Noise
from nml.preemption import EXIT_CODE, Preempted, stoppable
from nml.pretraining.control import initialise
from nml.pretraining.images import stack_images
from nml.tasks.task import open_task, read_split
from tests.interrupted import exit_code_of
from tests.tasks.conftest import lay_out

ADDRESS = "emoji/resnet-mini/untrained/s0"


def write_encoder(root, seed):
    recipe = Recipe(objective="supervised", architecture="resnet-mini", epochs=1, batch_size=8, learning_rate=0.1)
    encoder = Encoder("emoji", "resnet-mini", Noise("untrained"), seed)
    initialise(encoder, open_corpus("emoji"), recipe, root / "results/encoders" / ADDRESS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoder")
    write_encoder(root, seed=0)
    return encoders.load(ADDRESS, root)


@pytest.fixture(scope="module")
def task():
    return open_task("emoji-domains")


@pytest.fixture(scope="module")
def found(encoder, task):
    return extract_features(encoder, task)


def test_features_agree_with_the_encoder(encoder, task, found):
    samples = list(read_split(task, "test-3d"))
    with torch.inference_mode():
        images = stack_images([image for _, image, _ in samples])
        expected = encoder.features(encoder.transform(images)).numpy()
    np.testing.assert_allclose(found.tests["test-3d"].features, expected, rtol=1e-4, atol=1e-5)
    assert found.tests["test-3d"].keys == [key for key, _, _ in samples]
    assert found.tests["test-3d"].labels.tolist() == [label for _, _, label in samples]


def test_batches_do_not_matter(encoder, task, found, monkeypatch):
    monkeypatch.setattr(extract, "BATCH_SIZE", 37)
    other = extract_features(encoder, task)
    np.testing.assert_allclose(other.train.features, found.train.features, rtol=1e-4, atol=1e-5)


def test_stored_features_come_back_as_they_were(found, tmp_path):
    found = replace(found, allowed={"test-3d": [1, 5]}, variant="vtab-train")
    save_features(found, {}, tmp_path)
    loaded = load_features(tmp_path)
    for fact in ("task", "num_classes", "groups", "allowed", "variant"):
        assert getattr(loaded, fact) == getattr(found, fact)
    assert list(loaded.tests) == list(found.tests)
    assert loaded.views is None
    pairs = [(loaded.train, found.train), (loaded.validation, found.validation)]
    for a, b in [*pairs, *zip(loaded.tests.values(), found.tests.values(), strict=True)]:
        assert np.array_equal(a.features, b.features) and np.array_equal(a.labels, b.labels) and a.keys == b.keys


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(24, "Too many open files")])
def test_features_that_the_system_does_not_let_be_read_are_not_called_damaged(found, tmp_path, monkeypatch, error):
    def refused(*arguments):
        raise error

    save_features(found, {}, tmp_path)
    monkeypatch.setattr("nml.features.store.map_arrays", refused)
    with pytest.raises(type(error)):
        load_features(tmp_path)


def test_images_of_different_sizes_are_each_brought_to_the_encoders(encoder, task, monkeypatch):
    sizes = [(16, 16), (40, 20), (33, 61), (16, 16)]
    rng = np.random.default_rng(0)
    samples = [(str(i), rng.integers(0, 256, (*size, 3), dtype=np.uint8), i) for i, size in enumerate(sizes)]
    monkeypatch.setattr(extract, "read_split", lambda task, split, start: iter(samples))
    monkeypatch.setattr(extract, "count_samples", lambda task, split: len(samples))
    found = extract_features(encoder, task).train.features
    with torch.inference_mode():
        for row, (_, image, _) in zip(found, samples, strict=True):
            alone = encoder.features(encoder.transform(stack_images([image]))).numpy()[0]
            np.testing.assert_allclose(row, alone, rtol=1e-4, atol=1e-5)


def test_a_real_data_set_gives_features_with_its_split_and_its_classes(encoder, tmp_path, monkeypatch):
    lay_out("dtd", tmp_path, monkeypatch)
    found = extract_features(encoder, open_task("dtd"))
    width = found.train.features.shape[1]
    assert [split.features.shape for split in (found.train, found.validation, found.tests["test"])] == 3 * [(47, width)]
    assert (found.num_classes, found.variant, found.groups) == (47, "papers", {"test": "id"})
    assert sorted(found.train.labels.tolist()) == list(range(47))


def ask(folder, root, code="code", views=1, described="catalogue"):
    """Return the features of a task from a cache."""
    key = features_key(ADDRESS, "handwritten-digits", described, code, root)
    return cached_features(ADDRESS, "handwritten-digits", folder, key, views, root)


@pytest.fixture
def extractions(monkeypatch):
    """Count the times that the encoder runs over a task."""
    calls = []

    def counted(encoder, task, *views):
        calls.append(task.name)
        return extract_features(encoder, task, *views)

    monkeypatch.setattr(extract, "extract_features", counted)
    return calls


def test_the_encoder_runs_once_until_what_features_are_made_from_changes(tmp_path, extractions, monkeypatch):
    def features(code="code", views=1, described="catalogue"):
        return ask(tmp_path / "features", tmp_path, code, views, described)

    write_encoder(tmp_path, seed=0)
    first, again = features(), features()
    assert len(extractions) == 1
    assert isinstance(first.train.features, np.memmap), "held in memory no longer than it takes to extract them"
    assert np.array_equal(first.train.features, again.train.features)
    features("other code")
    assert len(extractions) == 2
    write_encoder(tmp_path, seed=1)
    assert not np.array_equal(features("other code").train.features, first.train.features)
    assert len(extractions) == 3
    features("other code", described="another catalogue")
    assert len(extractions) == 4
    monkeypatch.setattr(cache, "version", lambda name: "another version")
    features("other code", described="another catalogue")
    assert len(extractions) == 5


def test_more_views_than_are_asked_for_are_no_reason_to_run_the_encoder_again(tmp_path, extractions):
    write_encoder(tmp_path, seed=0)
    folder = tmp_path / "features"
    three = ask(folder, tmp_path, views=3)
    one, two = ask(folder, tmp_path, views=1), ask(folder, tmp_path, views=2)
    assert len(extractions) == 1
    assert one.views is None
    assert np.array_equal(one.train.features, three.train.features)
    assert np.array_equal(two.views, three.views[:2])
    assert ask(folder, tmp_path, views=4).views.shape[0] == 4
    assert len(extractions) == 2


def test_a_half_written_cache_is_not_used(tmp_path, extractions):
    write_encoder(tmp_path, seed=0)
    folder = tmp_path / "features"
    ask(folder, tmp_path)
    (folder / "meta.json").unlink()
    ask(folder, tmp_path)
    assert len(extractions) == 2


def extract_until(moment, root, part):
    """Extract the features of a task; the moment comes with some batch."""
    torch.set_num_threads(1)
    real, calls = extract._features, []

    def counted(*arguments):
        calls.append(1)
        if len(calls) == part:
            moment()
        return real(*arguments)

    extract._features = counted
    ask(root / "features", root)


@pytest.mark.parametrize("every", [60.0, 0.0], ids=["in its first minute", "later"])
def test_an_extraction_that_is_asked_to_stop_goes_on_with_the_same_bits(tmp_path, monkeypatch, every):
    write_encoder(tmp_path, seed=0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr("nml.features.parts.EVERY", every)
    monkeypatch.setattr(extract, "BATCH_SIZE", 64)
    with pytest.raises(Preempted), stoppable(), monkeypatch.context() as patch:
        patch.setattr(extract, "_features", extract._features)
        extract_until(lambda: signal.raise_signal(signal.SIGTERM), tmp_path, 12)
    parts = sorted(file.name for file in (tmp_path / "features/parts").iterdir())
    assert len(parts) == (1 if every else 12)
    seen = []
    real = extract._features
    monkeypatch.setattr(extract, "_features", lambda encoder, images: seen.append(len(images)) or real(encoder, images))
    ask(tmp_path / "features", tmp_path)
    assert not (tmp_path / "features/parts").exists()
    resumed = len(seen)
    ask(tmp_path / "calm", tmp_path)
    if not every:
        assert len(seen) - resumed == resumed + 12, "no batch is extracted twice"
    for name in FILES:
        assert (tmp_path / "features" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
    torch.set_num_threads(before)


def test_an_extraction_in_a_process_of_its_own_ends_with_its_part_saved(tmp_path):
    write_encoder(tmp_path, seed=0)
    assert exit_code_of(extract_until, tmp_path, 2) == EXIT_CODE
    assert len(list((tmp_path / "features/parts").iterdir())) == 1
    assert not (tmp_path / "features/meta.json").exists()
