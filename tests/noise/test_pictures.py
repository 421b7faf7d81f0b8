"""A noise is pictured with and without classes, the same bytes each time."""

from pathlib import Path

import pytest
from PIL import Image

from nml import plugins
from nml.corpora.catalogue import open_corpus
from nml.corpora.index import index_corpus
from nml.grid import Noise
from nml.noise.inject import inject_noise
from nml.noise.pictures import draw_noise


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
