"""The clean validation split: whole, in order, the same streamed or held, by one process or several."""

import tarfile
from dataclasses import replace

import pytest
import torch
from timm.data import ImageDataset, create_loader

from nml.config.transforms import ImageTransform
from nml.corpora.catalogue import Shard
from nml.corpora.shards import read_samples
from nml.errors import UserError
from nml.pretraining import architectures, contrastive
from nml.pretraining import validation as module
from nml.pretraining.contrastive import classifier
from nml.pretraining.engine import train
from nml.pretraining.inputs import preprocessing_of, to_input
from nml.pretraining.model import build_model
from nml.pretraining.run import Run
from nml.pretraining.validation import ValidationData, accuracy, validation_accuracy
from nml.pretraining.world import World

HOW = ImageTransform(size=32)


@pytest.fixture(scope="module")
def photos(photographs):
    return photographs()[0]


@pytest.fixture
def streamed(monkeypatch):
    def make(corpus, workers=0, how=HOW):
        with monkeypatch.context() as patch:
            patch.setattr(module, "HELD_BYTES", 0)
            return ValidationData(corpus, how, workers)

    monkeypatch.setattr(module, "BATCH_SIZE", 7)
    return make


def joined(batches) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_a_corpus_without_validation_split_is_refused(corpus):
    with pytest.raises(UserError, match="'colours' has no validation split"):
        ValidationData(replace(corpus, shards=corpus.shards | {"validation": []}))


def test_an_empty_shard_is_passed_over_and_an_empty_split_refused(corpus, tmp_path):
    with tarfile.open(tmp_path / "val-empty.tar", "w"):
        empty = Shard("val-empty.tar", tmp_path / "val-empty.tar")
    behind = [empty, *corpus.shards["validation"]]
    data = ValidationData(replace(corpus, shards=corpus.shards | {"validation": behind}))
    expected = ValidationData(corpus)
    assert data.samples == 12
    assert all(torch.equal(a, b) for a, b in zip(joined(data.batches()), joined(expected.batches()), strict=True))
    with pytest.raises(UserError, match="the validation split of corpus 'colours' has shards, and no samples"):
        ValidationData(replace(corpus, shards=corpus.shards | {"validation": [empty]}))


@pytest.mark.parametrize("held_bytes", [0, 2**28])
def test_images_of_several_sizes_without_a_transform_are_refused_before_training(photos, monkeypatch, held_bytes):
    monkeypatch.setattr(module, "HELD_BYTES", held_bytes)
    with pytest.raises(UserError, match=r"different sizes.*image_transform"):
        ValidationData(photos)


def test_photographs_have_the_size_of_the_test(photos):
    how = HOW.model_copy(update={"test_size": 24})
    assert [batch.images.shape for batch in ValidationData(photos, how).batches()] == [(30, 3, 24, 24)]


def test_the_validation_set_is_clean(corpus):
    images, labels = joined(ValidationData(corpus).batches())
    assert images.float().mean(dim=(2, 3)).argmax(dim=1).tolist() == labels.tolist()


def test_a_wrong_label_is_found_before_training(photos):
    with pytest.raises(UserError, match="has the label b'2'; allowed are the integers 0 to 1"):
        ValidationData(replace(photos, class_names=["red", "green"]), HOW)


def test_what_is_streamed_is_what_would_be_held(photos, streamed):
    data, held = streamed(photos), ValidationData(photos, HOW)
    assert data.held is None and held.held is not None
    assert data.samples == held.samples == 30
    assert all(torch.equal(a, b) for a, b in zip(joined(data.batches()), joined(held.batches()), strict=True))


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("hold", [True, False])
def test_the_processes_share_the_split(photos, streamed, ranks, hold):
    data = ValidationData(photos, HOW) if hold else streamed(photos)
    parts = [batch.images for rank in range(ranks) for batch in data.batches(World(rank, ranks))]
    pixels = {image.numpy().tobytes() for part in parts for image in part}
    assert sum(map(len, parts)) == len(pixels) == 30


def test_a_corrupt_image_is_an_error_and_not_left_out(photographs, streamed):
    corpus, _ = photographs(("p107",))
    with pytest.raises(UserError, match=r"sample 'p107' in shard .* has a corrupt .jpg image"):
        list(streamed(corpus).batches())


def test_workers_pass_on_what_is_wrong_in_plain_words(photographs, streamed):
    corpus, _ = photographs(("p129",))
    batches = streamed(corpus, workers=2).batches()
    with pytest.raises(UserError, match=r"\Asample 'p129' in shard .* has a corrupt .\w+ image"):
        list(batches)


def test_accuracy_counts_every_image_once(photos, streamed):
    calls = []

    def half(images):
        calls.append(len(images))
        return torch.zeros(len(images), dtype=torch.int64)

    assert accuracy(half, streamed(photos)) == pytest.approx(10 / 30)
    assert sum(calls) == 30


def by_class(samples, folder):
    """Write the images of raw samples, as they are stored, into a folder for each class; return it."""
    for sample in samples:
        suffix = next(name for name in sample if name in ("jpg", "png"))
        path = folder / sample["cls"].decode() / f"{sample['__key__']}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample[suffix])
    return folder


def test_timms_own_loader_finds_the_same_logits_and_accuracy(photographs, recipe, streamed, tmp_path):
    how = ImageTransform(size=32, test_size=40, test_crop=0.875)
    corpus, noise_dir = photographs()
    made = recipe(architecture="timm/test_resnet", image_transform=how, epochs=2)
    run = Run("a run", corpus, noise_dir, made, "x", 0, tmp_path / "progress", "code")
    model, log = train(run)

    samples = read_samples([shard.path for shard in corpus.shards["validation"]])
    timms = create_loader(
        ImageDataset(str(by_class(samples, tmp_path / "images"))),
        (3, 40, 40), batch_size=7, num_workers=0, use_prefetcher=False, persistent_workers=False,
        crop_pct=how.test_crop, interpolation=how.interpolation, mean=how.mean, std=how.std,
    )  # fmt: skip
    preprocessing = preprocessing_of(made)
    with torch.inference_mode():
        theirs, their_labels = joined((model(images), labels) for images, labels in timms)
        batches = streamed(corpus, how=how).batches()
        ours, labels = joined((model(to_input(images, preprocessing)), labels) for images, labels in batches)
    in_folders = torch.sort(labels, stable=True).indices

    assert torch.equal(labels[in_folders], their_labels)
    torch.testing.assert_close(ours[in_folders], theirs)
    assert log[-1]["validation_accuracy"] == (theirs.argmax(dim=1) == their_labels).double().mean().item()


def test_image_text_encoders_are_validated_zero_shot_on_another_corpus(corpus, noise_dirs, photos, recipe, tmp_path):
    blind = replace(corpus, shards=corpus.shards | {"validation": []}, class_names=[], templates=[])
    made = recipe("contrastive", epochs=1)
    other = replace(corpus, name="others", templates=["a {} square"])
    run = Run("a run", blind, noise_dirs["clean"], made, "x", 0, tmp_path, "code", validate_on=other)
    model, log = train(run)
    assert log[0]["validation_accuracy"] == validation_accuracy(run, model, ValidationData(other))
    assert run.fingerprint(World()) != replace(run, validate_on=corpus).fingerprint(World())


def test_classes_are_the_nearest_prompts(corpus, recipe):
    model = build_model(recipe("contrastive"), "x", 3, 0).eval()
    images = torch.randn(5, 3, 32, 32)
    architecture = architectures.of_recipe(recipe("contrastive"))
    with torch.no_grad():
        found = classifier(model, corpus, architecture)(images)
        means = []
        for name in corpus.class_names:
            tokens = contrastive.collate(
                [template.format(name) for template in corpus.templates], architecture.context_length
            )
            means.append(model.encode_text(tokens, normalize=True).mean(dim=0))
        directions = torch.nn.functional.normalize(torch.stack(means), dim=1)
        expected = (model.encode_image(images, normalize=True) @ directions.T).argmax(dim=1)
    assert torch.equal(found, expected)
