"""Photographs of any size and mode: changed by seed, epoch and key alone; corrupt ones are passed over and counted."""

import csv
import logging
from collections import Counter
from dataclasses import replace

import pytest
import torch

from nml.artifacts import read_json
from nml.config.recipes import Augmentation
from nml.config.transforms import ImageTransform
from nml.corpora.shards import CorruptImage, open_image, read_samples
from nml.errors import UserError
from nml.grid import Encoder, Noise
from nml.pretraining import data as data_module
from nml.pretraining import engine
from nml.pretraining.batches import Decoded, assemble
from nml.pretraining.checkpoints import load_tensors
from nml.pretraining.control import initialise
from nml.pretraining.data import TrainingData
from nml.pretraining.engine import train
from nml.pretraining.epoch_plan import even_batches
from nml.pretraining.pretrain import pretrain
from nml.pretraining.run import Run
from nml.pretraining.world import ALONE, World

HOW = ImageTransform(size=32, crop_scale=(0.5, 1.0), rand_augment="rand-m5-n1")
CUT = ("p5", "p20", "p33")


@pytest.fixture(scope="module")
def whole(photographs):
    return photographs()


@pytest.fixture(scope="module")
def damaged(photographs):
    return photographs(CUT)


def views_of(data: TrainingData, seed: int = 1, world: World = ALONE, first_step: int = 0) -> list[tuple[str, bytes]]:
    """Return the captions and pixels of an epoch, in its order."""
    batches = data.batches(even_batches(data.samples, 8), seed, world, first_step)
    return [
        (target, image.numpy().tobytes())
        for images, targets in batches
        for image, target in zip(images, targets, strict=True)
    ]


@pytest.fixture
def open_data(monkeypatch):
    def make(corpus, noise_dir, hold=True, workers=0, repeats=1, share=0.1):
        if not hold:
            monkeypatch.setattr(data_module, "HELD_BYTES", 0)
            monkeypatch.setattr(data_module, "SHUFFLE_BUFFER", 8)
        return TrainingData(corpus, noise_dir, "caption", workers, repeats, HOW, share)

    return make


def test_images_of_every_mode_become_rgb_of_their_own_size(whole):
    samples = list(read_samples(shard.path for shard in whole[0].shards["train"]))
    images = {sample["__key__"]: open_image(sample) for sample in samples}
    assert all(image.mode == "RGB" for image in images.values())
    assert images["p3"].size == (43, 39)
    # p3 is CMYK and red, p4 has a palette and is green, p5 has an alpha channel and is blue.
    for key, channel in (("p3", 0), ("p4", 1), ("p5", 2)):
        means = torch.tensor(list(images[key].getdata())).float().mean(dim=0)
        assert means.argmax() == channel


def test_an_image_looks_the_same_whoever_reads_it(whole, open_data):
    alone = dict(views_of(open_data(*whole)))
    assert len(alone) == 42
    assert dict(views_of(open_data(*whole, hold=False))) == alone
    shared = [dict(views_of(open_data(*whole, hold=False), world=World(rank, 3))) for rank in range(3)]
    assert shared[0] | shared[1] | shared[2] == alone


def test_every_epoch_and_every_view_looks_new(whole, open_data):
    first, second = dict(views_of(open_data(*whole), 1)), dict(views_of(open_data(*whole), 2))
    assert all(first[caption] != second[caption] for caption in first)
    views = views_of(open_data(*whole, repeats=3))
    assert len(views) == 42 and len(set(views)) == 42
    assert set(Counter(caption for caption, _ in views).values()) == {3}
    assert Counter(views_of(open_data(*whole, hold=False, repeats=3))).keys() == set(
        views_of(open_data(*whole, hold=False, repeats=3))
    )


@pytest.mark.parametrize("hold", [True, False])
def test_every_readable_image_comes_once_and_fills_the_place_of_a_corrupt_one(damaged, open_data, hold, caplog):
    data = open_data(*damaged, hold=hold)
    with caplog.at_level(logging.WARNING):
        views = views_of(data)
    counts = Counter(caption for caption, _ in views)
    assert len(views) == 42
    assert set(counts) == {f"photo p{number}" for number in range(42) if f"p{number}" not in CUT}
    assert len(set(views)) == 39, "what fills a place is a copy"
    assert data.corrupt.count == 3
    assert all(f"sample '{key}' in shard" in caplog.text for key in CUT)
    assert views_of(open_data(*damaged, hold=hold), first_step=3) == views[sum(even_batches(42, 8)[:3]) :]


def test_ranks_and_workers_count_corrupt_images_once(damaged, open_data):
    ranks = [open_data(*damaged, hold=False) for _ in range(2)]
    read = [caption for rank, data in enumerate(ranks) for caption, _ in views_of(data, world=World(rank, 2))]
    assert len(read) == 42 and len(set(read)) == 39
    assert sum(data.corrupt.count for data in ranks) == 3
    workers, alone = open_data(*damaged, hold=False, workers=2), open_data(*damaged)
    assert set(views_of(workers)) == set(views_of(alone))
    assert workers.corrupt.count == alone.corrupt.count == 3


@pytest.mark.parametrize("hold", [True, False])
def test_every_view_of_a_corrupt_image_counts_and_is_logged_once(damaged, open_data, hold, caplog):
    data, counts = open_data(*damaged, hold=hold, repeats=3, share=1), []
    for seed in range(4):
        data.corrupt.count = 0
        read = {caption for caption, _ in views_of(data, seed)}
        # An epoch draws 14 of the 42 images, and has three views of each.
        assert data.corrupt.count == 3 * (14 - len(read))
        counts.append(data.corrupt.count)
    assert max(counts) > 0
    assert len(caplog.messages) == len(set(caplog.messages)) <= 3


def test_a_part_without_a_readable_image_stops_the_epoch_and_says_what_to_do():
    views = [(Decoded("p5", CorruptImage("p5 is cut."), None), view) for view in range(3)]
    with pytest.raises(UserError, match=r"none of the 3 images .* fewer processes, .* The first: p5 is cut\."):
        assemble(views, lambda sample, view: sample.image)


@pytest.mark.parametrize(("share", "met"), [(0, "[123]"), (0.03, "[23]"), (0.05, "3")])
def test_too_many_corrupt_images_stop_the_epoch(damaged, open_data, share, met):
    with pytest.raises(UserError, match=rf"{met} of the 42 images of an epoch .*max_corrupt_share allows {share:g} of"):
        views_of(open_data(*damaged, share=share))


def test_a_small_first_photograph_does_not_decide_that_all_are_held(whole, monkeypatch):
    sizes = [
        open_image(sample).width * open_image(sample).height * 3
        for sample in read_samples(shard.path for shard in whole[0].shards["train"])
    ]
    assert sizes[0] * 42 < sum(sizes)
    for limit, is_held in ((sum(sizes) - 1, False), (sum(sizes), True)):
        monkeypatch.setattr(data_module, "HELD_BYTES", limit)
        assert (TrainingData(*whole, "label", how=HOW).held is not None) == is_held


def test_images_of_several_sizes_need_a_transform(whole):
    with pytest.raises(UserError, match=r"different sizes.*image_transform"):
        list(TrainingData(*whole, "label").batches([42], 0))


@pytest.mark.parametrize("readers", [1, 4])
def test_there_may_be_more_readers_than_shards(photographs, open_data, readers):
    corpus, noise_dir = photographs(shards=1)
    data = [open_data(corpus, noise_dir, hold=False) for _ in range(readers)]
    read = [caption for rank in range(readers) for caption, _ in views_of(data[rank], world=World(rank, readers))]
    assert len(read) == len(set(read)) == 42


@pytest.fixture
def run(damaged, recipe, tmp_path):
    made = recipe("supervised", batch_size=14, epochs=2).model_dump() | {"image_transform": HOW}
    made = type(recipe())(**{key: value for key, value in made.items() if key not in ("augmentation", "base")})
    corpus, noise_dir = damaged
    return Run("photos/x/clean/s0", corpus, noise_dir, made, "x", 0, tmp_path / "progress", "c", max_corrupt_share=0.1)


def test_training_counts_corrupt_images_and_resumes_bit_for_bit(run, tmp_path, monkeypatch):
    monkeypatch.setattr(data_module, "HELD_BYTES", 0)
    monkeypatch.setattr(engine, "CHECKPOINT_STEPS", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole, log = train(run)
    real, done = engine.train_step, []

    def killed(*args):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args)

    again = replace(run, progress_dir=tmp_path / "again")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(engine, "train_step", killed)
        train(again)
    resumed, resumed_log = train(again)
    torch.set_num_threads(threads)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    facts = [[(row["loss"], row["corrupt"], row["validation_accuracy"]) for row in rows] for rows in (log, resumed_log)]
    assert facts[0] == facts[1]
    assert [row["corrupt"] for row in log] == [3, 3]


def test_the_count_is_in_the_log_and_the_header_says_how_images_are_prepared(run, tmp_path):
    pretrain(run, tmp_path / "encoder")
    assert [row["corrupt"] for row in csv.DictReader((tmp_path / "encoder/log.csv").open())] == ["3", "3"]
    meta = read_json(tmp_path / "encoder/meta.json")
    assert (meta["corrupt"], meta["validated_on"]) == (6, "photographs")
    header = load_tensors(tmp_path / "encoder/model.safetensors")[1]
    described = {"resize": "crop", "size": 32, "crop": 0.95, "interpolation": "bicubic"}
    assert header["preprocessing"] == described | {"mean": list(HOW.mean), "std": list(HOW.std)}


def test_a_run_that_met_too_many_goes_on_when_more_are_allowed(run):
    with pytest.raises(UserError, match="max_corrupt_share allows 0 of them"):
        train(replace(run, max_corrupt_share=0.0))
    assert train(run)[1][-1]["corrupt"] == 3
    strict = replace(run, max_corrupt_share=0.0)
    assert strict.fingerprint(ALONE) == run.fingerprint(ALONE)


def resized(run: Run, architecture: str) -> Run:
    how = HOW.model_copy(update={"test_size": 48})
    return replace(run, recipe=run.recipe.model_copy(update={"architecture": architecture, "image_transform": how}))


def test_a_test_size_that_the_model_cannot_take_is_refused_before_training(run, monkeypatch):
    monkeypatch.setattr(engine, "train_step", lambda *_: pytest.fail("it trained"))
    with pytest.raises(UserError, match=r"recipes\.x\.image_transform\.test_size is 48.*timm/test_vit3.*Allowed: 32"):
        train(resized(run, "timm/test_vit3"))


def test_a_model_that_takes_any_size_is_validated_on_larger_images(run):
    assert len(train(resized(run, "resnet-mini"))[1]) == 2


def test_the_untrained_control_passes_over_corrupt_images(run, tmp_path):
    encoder = Encoder("photographs", "x", Noise("untrained"), 0)
    initialise(encoder, run.corpus, run.recipe, tmp_path / "control")
    tensors = load_tensors(tmp_path / "control/model.safetensors")[0]
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())
    assert Augmentation() == run.recipe.augmentation
