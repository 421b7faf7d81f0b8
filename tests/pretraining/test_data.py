"""Every sample once per epoch, in an order that the seed alone decides, under the noise overlay."""

import os
import shutil
from collections import Counter
from dataclasses import replace

import pytest
import torch
from PIL import Image

from nml.artifacts import read_json, write_json
from nml.corpora import shards as shards_module
from nml.corpora.catalogue import Corpus, Shard
from nml.corpora.content import class_folders as folders_in
from nml.corpora.content import images_in
from nml.corpora.index import index_corpus
from nml.corpora.shards import decode_caption, read_samples
from nml.errors import UserError
from nml.grid import Noise
from nml.noise import noisy_samples
from nml.noise.inject import inject_noise
from nml.noise.noisy_samples import read_noisy_samples
from nml.pretraining import data as data_module
from nml.pretraining.data import TrainingData
from nml.pretraining.epoch_plan import even_batches
from nml.pretraining.world import ALONE, World
from tests.conftest import overlay_of


def captions_of_epoch(data: TrainingData, seed: int) -> list[str]:
    sizes = even_batches(data.samples, 16)
    return [target for _, targets in data.batches(sizes, seed) for target in targets]


@pytest.fixture(params=["held", "streamed"])
def captioned(request, corpus, noise_dirs, monkeypatch) -> TrainingData:
    if request.param == "streamed":
        monkeypatch.setattr(data_module, "SHUFFLE_BUFFER", 25)
        monkeypatch.setattr(data_module, "HELD_BYTES", 0)
    return TrainingData(corpus, noise_dirs["clean"], "caption")


@pytest.mark.parametrize(("limit", "is_held"), [(60 * 32 * 32 * 3, True), (60 * 32 * 32 * 3 - 1, False)])
def test_a_corpus_is_held_if_all_of_its_images_together_are_small(corpus, noise_dirs, monkeypatch, limit, is_held):
    monkeypatch.setattr(data_module, "HELD_BYTES", limit)
    assert (TrainingData(corpus, noise_dirs["clean"], "caption").held is not None) == is_held


def test_an_epoch_has_every_sample_once(captioned):
    captions = captions_of_epoch(captioned, seed=1)
    assert len(captions) == 60
    assert len(set(captions)) == 60


def test_a_repeated_epoch_has_a_part_of_the_samples_as_often_as_asked(captioned):
    captioned.repeats = 3
    first, again, *others = (captions_of_epoch(captioned, seed) for seed in (1, 1, 2, 3, 4, 5))
    assert len(first) == 60
    assert set(Counter(first).values()) == {3}
    assert first == again
    assert any(set(first) != set(other) for other in others), "epochs draw other samples"
    sizes = even_batches(60, 16)
    rest = [target for _, targets in captioned.batches(sizes, 1, first_step=2) for target in targets]
    assert rest == first[sum(sizes[:2]) :]


def test_the_order_depends_on_the_seed_alone(captioned):
    assert captions_of_epoch(captioned, 1) == captions_of_epoch(captioned, 1)
    assert captions_of_epoch(captioned, 1) != captions_of_epoch(captioned, 2)


def test_a_small_corpus_is_shuffled_across_shards(corpus, noise_dirs):
    first_batch = captions_of_epoch(TrainingData(corpus, noise_dirs["clean"], "caption"), 1)[:16]
    assert len({caption.split("number t")[1][0] for caption in first_batch}) == 3


def test_labels_and_images_stay_together(corpus, noise_dirs):
    data = TrainingData(corpus, noise_dirs["clean"], "label")
    for images, labels in data.batches([30, 30], seed=0):
        assert images.dtype == torch.uint8 and images.shape == (30, 3, 32, 32)
        assert images.float().mean(dim=(2, 3)).argmax(dim=1).tolist() == labels


def test_the_overlay_replaces_exactly_what_it_lists(corpus, noise_dirs):
    listed = sum(len(overlay_of(noise_dirs["symmetric-20"], shard.name)) for shard in corpus.shards["train"])
    data = TrainingData(corpus, noise_dirs["symmetric-20"], "label")
    wrong = 0
    for images, labels in data.batches([60], seed=0):
        wrong += sum(
            a != b for a, b in zip(images.float().mean(dim=(2, 3)).argmax(dim=1).tolist(), labels, strict=True)
        )
    assert wrong == listed == 12


def test_swapped_captions_reach_the_batches(corpus, noise_dirs):
    data = TrainingData(corpus, noise_dirs["swap-20"], "caption")
    overlay = {}
    for shard in corpus.shards["train"]:
        overlay |= overlay_of(noise_dirs["swap-20"], shard.name)
    assert len(overlay) == 12
    assert sorted(captions_of_epoch(data, 0)) == sorted(
        captions_of_epoch(TrainingData(corpus, noise_dirs["clean"], "caption"), 0)
    ), "a swap keeps the captions and changes whose they are"


def test_a_pooled_shard_finds_its_changes_under_the_keys_of_the_index(corpus, noise_dirs, tmp_path):
    shards = {split: [replace(s, prefix="colours/") for s in found] for split, found in corpus.shards.items()}
    pooled = replace(corpus, shards=shards)
    index_corpus(pooled, tmp_path / "corpus")
    inject_noise(tmp_path / "corpus", Noise("swap", 20), 0, tmp_path / "noise")
    key, changed = next(iter(overlay_of(tmp_path / "noise", shards["train"][0].name).items()))
    assert key.startswith("colours/")
    assert captions_of_epoch(TrainingData(pooled, tmp_path / "noise", "caption"), 0).count(changed["caption"]) == 1
    clean = {sample["__key__"]: sample for sample in read_samples(shard.path for shard in shards["train"])}
    stream = read_noisy_samples(shards["train"], tmp_path / "noise")
    noisy = {sample["__key__"]: sample["noisy"]["caption"] for sample in stream if "noisy" in sample}
    assert len(noisy) == 12
    assert all(decode_caption(clean[key]) != caption for key, caption in noisy.items())


def test_a_shard_that_changed_since_it_was_indexed_is_not_trained_on(corpus, noise_dirs, tmp_path):
    shutil.copytree(noise_dirs["clean"], tmp_path / "noise")
    manifest = read_json(tmp_path / "noise/manifest.json")
    manifest["shards"]["train-1.tar.gz"]["bytes"] = 7
    write_json(tmp_path / "noise/manifest.json", manifest)
    with pytest.raises(UserError, match=r"1 shards changed .*\n.*train-1\.tar\.gz has .* bytes, and had 7"):
        TrainingData(corpus, tmp_path / "noise", "label")


def streamed(corpus, noise_dir, monkeypatch, workers: int = 0, **others) -> TrainingData:
    monkeypatch.setattr(data_module, "HELD_BYTES", 0)
    monkeypatch.setattr(data_module, "SHUFFLE_BUFFER", 8)
    return TrainingData(corpus, noise_dir, "caption", workers=workers, **others)


def lengths_and_process(captions: list[str]) -> torch.Tensor:
    return torch.tensor([[len(caption), os.getpid()] for caption in captions])


def test_targets_are_collated_where_images_are_decoded(corpus, noise_dirs, monkeypatch):
    data = streamed(corpus, noise_dirs["clean"], monkeypatch, workers=1, collate=lengths_and_process)
    batches = [targets for _, targets in data.batches([30, 30], 0)]
    plain = captions_of_epoch(TrainingData(corpus, noise_dirs["clean"], "caption"), 0)
    assert [batch.shape for batch in batches] == [(30, 2), (30, 2)]
    lengths, processes = torch.cat(batches).T.tolist()
    assert sorted(lengths) == sorted(map(len, plain))
    assert len(set(processes)) == 1 and os.getpid() not in processes


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_ranks_share_an_epoch(corpus, noise_dirs, monkeypatch, hold, ranks):
    data = (
        TrainingData(corpus, noise_dirs["clean"], "caption")
        if hold
        else streamed(corpus, noise_dirs["clean"], monkeypatch)
    )
    sizes = even_batches(data.samples, 17)
    worlds = [World(rank, ranks) for rank in range(ranks)]
    batches = [[targets for _, targets in data.batches(sizes, 1, world)] for world in worlds]
    assert [sum(map(len, step)) for step in zip(*batches, strict=True)] == sizes
    captions = [caption for rank in batches for targets in rank for caption in targets]
    assert len(captions) == len(set(captions)) == 60


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize("first_step", [0, 1, 3])
def test_what_follows_a_break_is_what_would_have_followed(corpus, noise_dirs, monkeypatch, hold, first_step):
    data = (
        TrainingData(corpus, noise_dirs["clean"], "caption")
        if hold
        else streamed(corpus, noise_dirs["clean"], monkeypatch)
    )
    sizes = even_batches(data.samples, 16)
    whole = [targets for _, targets in data.batches(sizes, 1, World(1, 2))]
    assert [targets for _, targets in data.batches(sizes, 1, World(1, 2), first_step)] == whole[first_step:]


@pytest.mark.parametrize("first_step", [0, 3])
def test_workers_make_the_batches_in_turn_and_go_on_after_a_break(corpus, noise_dirs, monkeypatch, first_step):
    data = streamed(corpus, noise_dirs["clean"], monkeypatch, workers=2)
    sizes = even_batches(data.samples, 11)
    whole = [targets for _, targets in data.batches(sizes, 1)]
    assert [len(targets) for targets in whole] == sizes
    captions = [caption for targets in whole for caption in targets]
    assert len(captions) == len(set(captions)) == 60
    if first_step:
        assert [targets for _, targets in data.batches(sizes, 1, first_step=first_step)] == whole[first_step:]


@pytest.fixture(scope="module")
def class_folders(tmp_path_factory):
    """Return a corpus of 12 class folders of 30 images, which have their place as colour, and a noise on it."""
    root = tmp_path_factory.mktemp("folders")
    for label in range(12):
        folder = root / f"train/class{label:02d}"
        folder.mkdir(parents=True)
        for number in range(30):
            Image.new("RGB", (8, 8), (label, number, 0)).save(folder / f"{label:02d}x{number:02d}.png")
    shards = [Shard(folder.name, folder) for folder in sorted((root / "train").iterdir())]
    corpus = Corpus("folders", {"train": shards, "validation": []}, [str(n) for n in range(12)], [], ("labels",))
    index_corpus(corpus, root / "index")
    inject_noise(root / "index", Noise("symmetric", 20), 0, root / "noise")
    return corpus, root / "noise"


@pytest.fixture
def of_folders(class_folders, monkeypatch) -> TrainingData:
    monkeypatch.setattr(data_module, "HELD_BYTES", 0)
    return TrainingData(*class_folders, "label")


def batches_of(data: TrainingData, world: World = ALONE, first_step: int = 0) -> list[list[tuple[int, int, int]]]:
    """Return the batches of an epoch of class folders: class, number and given label of each image."""
    return [
        [(*image[:2, 0, 0].tolist(), label) for image, label in zip(images, labels, strict=True)]
        for images, labels in data.batches(even_batches(data.samples, 24), 1, world, first_step)
    ]


def test_batches_of_class_folders_have_many_classes(of_folders):
    batches = batches_of(of_folders)
    assert [len(batch) for batch in batches] == [24] * 15
    assert min(len({label for label, _, _ in batch}) for batch in batches) > 6


def test_each_image_of_class_folders_comes_once_with_its_noise(of_folders):
    images = [image for batch in batches_of(of_folders) for image in batch]
    wrong = {f"{label:02d}x{number:02d}": given for label, number, given in images if given != label}
    assert len(images) == len(set(images)) == 360
    listed = [overlay_of(of_folders.noise_dir, shard.name) for shard in of_folders.corpus.shards["train"]]
    assert wrong == {key: change["label"] for changes in listed for key, change in changes.items()}
    assert len(wrong) == 72


def test_class_folders_are_shared_by_ranks_and_go_on_after_a_break(of_folders):
    ranks = [batches_of(of_folders, World(rank, 3)) for rank in range(3)]
    images = [image for batches in ranks for batch in batches for image in batch]
    assert len(images) == len(set(images)) == 360
    assert batches_of(of_folders, World(1, 3), first_step=4) == ranks[1][4:]


def test_a_repeated_epoch_has_images_of_all_class_folders(of_folders):
    of_folders.repeats = 3
    images = Counter(image for batch in batches_of(of_folders) for image in batch)
    assert len(images) == 120 and set(images.values()) == {3}
    assert len({label for label, _, _ in images}) == 12


def test_each_class_folder_is_listed_once_in_an_epoch(of_folders, monkeypatch):
    listed = []
    trees = []
    monkeypatch.setattr(shards_module, "images_in", lambda folder: listed.append(folder) or images_in(folder))
    monkeypatch.setattr(noisy_samples, "class_folders", lambda root: trees.append(root) or folders_in(root))
    batches_of(of_folders)
    folders = [shard.path for shard in of_folders.corpus.shards["train"]]
    assert sorted(listed) == folders
    assert trees == [folders[0].parent]


@pytest.mark.parametrize(("repeats", "first_step", "read"), [(1, 0, 24), (1, 10, 24), (3, 0, 8), (3, 10, 8)])
def test_of_class_folders_no_image_is_read_that_is_not_used(of_folders, monkeypatch, repeats, first_step, read):
    """Neither for a buffer nor, after a break, to come to the first batch that is wanted."""
    of_folders.repeats, opened = repeats, []
    whole = batches_of(of_folders)
    real = shards_module._read_image
    monkeypatch.setattr(shards_module, "_read_image", lambda *of: opened.append(of[0]) or real(*of))
    batches = of_folders.batches(even_batches(of_folders.samples, 24), 1, first_step=first_step)
    images, labels = next(batches)
    assert [(*image[:2, 0, 0].tolist(), label) for image, label in zip(images, labels, strict=True)] == whole[
        first_step
    ]
    assert len(opened) == len(set(opened)) == read


def test_class_folders_go_on_after_a_break_between_two_views_of_an_image(of_folders):
    of_folders.repeats = 7
    assert batches_of(of_folders, first_step=4) == batches_of(of_folders)[4:]


def test_an_image_that_is_taken_away_during_a_training_is_named_with_its_folder(of_folders, tmp_path):
    image = images_in(of_folders.corpus.shards["train"][3].path)[5]
    image.rename(tmp_path / image.name)
    try:
        with pytest.raises(
            UserError, match=r"1 shards changed since the corpus was indexed:\n.*class03 has .* bytes, and"
        ):
            batches_of(of_folders)
    finally:
        (tmp_path / image.name).rename(image)
