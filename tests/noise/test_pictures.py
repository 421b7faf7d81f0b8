"""A noise is pictured with and without classes, the same bytes each time."""

from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from nml import plugins
from nml.artifacts import read_json
from nml.corpora.catalogue import Corpus, Shard, open_corpus
from nml.corpora.index import index_corpus
from nml.grid import Noise
from nml.noise import pictures
from nml.noise.inject import inject_noise
from nml.noise.pictures import SHOWN, Corrupted, draw_noise


@pytest.mark.parametrize("noise", [Noise("symmetric", 50), Noise("swap", 25)], ids=str)
def test_a_picture_is_drawn_the_same_each_time(tiny_corpus: Path, tmp_path: Path, noise: Noise) -> None:
    index_corpus(open_corpus("tiny"), tmp_path / "index")
    inject_noise(tmp_path / "index", noise, 0, tmp_path / "noise")
    for name in ("first", "second"):
        draw_noise(open_corpus("tiny"), tmp_path / "noise", tmp_path / name / str(noise))
    for suffix in (".png", ".pdf"):
        first, second = (tmp_path / name / f"{noise}{suffix}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    with Image.open(tmp_path / "first" / f"{noise}.png") as picture:
        assert picture.width > picture.height > 500


def test_a_corpus_without_classes_has_samples_alone(real_layouts: Path, tmp_path: Path) -> None:
    assert "labels" not in plugins.corpora()["cc12m"]["has"]
    index_corpus(open_corpus("cc12m"), tmp_path / "index")
    inject_noise(tmp_path / "index", Noise("swap", 50), 0, tmp_path / "noise")
    draw_noise(open_corpus("cc12m"), tmp_path / "noise", tmp_path / "swap-2.5")
    assert (tmp_path / "swap-2.5.png").is_file()
    assert (tmp_path / "swap-2.5.pdf").is_file()


def shown(corpus: Corpus, noise_dir: Path) -> list[Corrupted]:
    """Return the samples that a picture of a noise shows."""
    overlays = read_json(noise_dir / "manifest.json")["overlay"]
    return list(islice(pictures._corrupted(corpus, noise_dir, overlays), SHOWN))


def test_corrupt_images_are_passed_over(real_layouts: Path, tmp_path: Path) -> None:
    corpus = open_corpus("cc12m")
    index_corpus(corpus, tmp_path / "index")
    assert inject_noise(tmp_path / "index", Noise("swap", 99), 0, tmp_path / "noise")["changed"] == 6
    for shard, cut in zip(corpus.shards["train"], (True, False), strict=True):
        data = shard.path.read_bytes()
        shard.path.write_bytes(data.replace(b"\xff\xd8\xff", b"\0\0\0") if cut else data)
    assert {sample.clean for sample in shown(corpus, tmp_path / "noise")} == {
        f"<PERSON> and thing 1{number}" for number in range(3)
    }


def test_of_many_shards_not_the_first_are_shown(tmp_path: Path) -> None:
    for label in range(40):
        folder = tmp_path / f"train/{label:02d}"
        folder.mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8)).save(folder / f"{label}x{number}.png")
    shards = [Shard(folder.name, folder) for folder in sorted((tmp_path / "train").iterdir())]
    corpus = Corpus("folders", {"train": shards}, [str(label) for label in range(40)], [], ("labels",))
    index_corpus(corpus, tmp_path / "index")
    inject_noise(tmp_path / "index", Noise("symmetric", 50), 0, tmp_path / "noise")
    classes = {int(sample.clean) for sample in shown(corpus, tmp_path / "noise")}
    assert len(classes) == SHOWN
    assert min(classes) < 10 and max(classes) >= 30
