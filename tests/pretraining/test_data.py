"""Every sample once per epoch, in an order that the seed alone decides, under the noise overlay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nml.noise.overlay import read_overlay
from nml.pretraining import data as data_module
from nml.pretraining.data import TrainingData, even_batches, validation_set


def captions_of_epoch(data: TrainingData, seed: int) -> list[str]:
    sizes = even_batches(data.samples, 16)
    return [target for _, targets in data.batches(sizes, seed) for target in targets]


@pytest.fixture(params=["held", "streamed"])
def captioned(request, corpus, noise_dirs, monkeypatch) -> TrainingData:
    if request.param == "streamed":
        monkeypatch.setattr(data_module, "SHUFFLE_BUFFER", 25)
        monkeypatch.setattr(data_module, "HELD_BYTES", 0)
    return TrainingData(corpus, noise_dirs["clean"], "caption")


def test_an_epoch_has_every_sample_once(captioned):
    captions = captions_of_epoch(captioned, seed=1)
    assert len(captions) == 60
    assert len(set(captions)) == 60


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
    listed = sum(len(read_overlay(noise_dirs["symmetric-20"], shard.name)) for shard in corpus.shards["train"])
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
        overlay |= read_overlay(noise_dirs["swap-20"], shard.name)
    assert len(overlay) == 12
    assert sorted(captions_of_epoch(data, 0)) == sorted(
        captions_of_epoch(TrainingData(corpus, noise_dirs["clean"], "caption"), 0)
    ), "a swap keeps the captions and changes whose they are"


def test_the_validation_set_is_clean(corpus):
    images, labels = validation_set(corpus)
    assert images.float().mean(dim=(2, 3)).argmax(dim=1).tolist() == labels.tolist()


@given(samples=st.integers(1, 5000), batch_size=st.integers(2, 600))
def test_even_batches_cover_the_epoch_and_differ_by_one_at_most(samples, batch_size):
    sizes = even_batches(samples, batch_size)
    assert sum(sizes) == samples
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-samples // batch_size)
