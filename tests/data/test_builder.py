"""The builder's parts: keys are checked, patches match in ink, clip-art variants are one unit."""

import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parents[2] / "data" / "embedded"))

from builder.samples import Sample, Task
from builder.shards import write_task

WHITE = Image.new("RGB", (32, 32), "white")


def task(*keys: str) -> Task:
    """Return a task of white images with these keys."""
    samples = [Sample(key, 0, WHITE) for key in keys]
    return Task("t", ["c"], {"train": samples}, ["s"], "MIT", "nothing", "image")


@pytest.mark.parametrize("keys", [("a__1", "a__1"), ("a__1.5",)])
def test_a_key_that_would_break_a_shard_is_refused(keys: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="key"):
        write_task(tmp_path, task(*keys))


def test_a_name_that_is_cut_on_a_contact_sheet_is_marked() -> None:
    from builder.sheets import _fitted

    draw, font = ImageDraw.Draw(WHITE), ImageFont.load_default(11)
    assert _fitted(draw, "globe", font, 100) == "globe"
    cut = _fitted(draw, "globe showing Europe-Africa", font, 100)
    assert cut.startswith("globe") and cut.endswith("…") and draw.textlength(cut, font) <= 100


class Archive:
    """Packages that all hold these files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.held = files

    def files(self, name: str) -> dict[str, bytes]:
        return self.held


def test_a_text_of_a_licence_must_be_there() -> None:
    from builder.attribution import _licence_text
    from builder.sources import Source

    with pytest.raises(ValueError, match=r"no licence text in n\.tgz, nor of 'secret'"):
        _licence_text(Archive({}), Source("n", "npm", "1", "n.tgz", "0", "secret", "someone"))
    stated = _licence_text(Archive({}), Source("n", "npm", "1", "n.tgz", "0", "MIT", "someone"))
    assert "Copyright: someone" in stated
    assert "Permission is hereby granted" in stated


def test_a_package_brings_the_text_of_its_code_and_not_that_of_its_art() -> None:
    from builder.attribution import _licence_text
    from builder.sources import Source

    both = Source("n", "npm", "1", "n.tgz", "0", "MIT AND Unicode-3.0", "someone")
    text = _licence_text(Archive({"package/LICENSE": b"the MIT text of the package"}), both)
    assert "the MIT text of the package" in text
    assert "UNICODE LICENSE V3" in text
    assert "Permission is hereby granted, free of charge, to any person obtaining a copy of this software" not in text


def test_patches_of_an_outline_and_its_filled_shape_have_equal_ink() -> None:
    from builder.images import SIZE
    from builder.patches import matched_patches

    images = []
    for fill in ("white", "black"):
        image = Image.new("RGB", (128, 128), "white")
        ImageDraw.Draw(image).ellipse((16, 16, 112, 112), fill=fill, outline="black", width=24)
        images.append(image)
    patches = matched_patches(images, "salt")
    assert [patch.size for patch in patches] == [(SIZE, SIZE)] * 2
    means = [sum(patch.convert("L").tobytes()) / SIZE**2 for patch in patches]
    assert abs(means[0] - means[1]) < 0.02 * 255 + 2
    assert patches[0].tobytes() != patches[1].tobytes()
    assert matched_patches(images, "salt")[0].tobytes() == patches[0].tobytes()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cone-alt3-bw", "cone"),
        ("sailboat-illustration-labels", "sailboat-illustration"),
        ("moon02", "moon"),
        ("lemon1", "lemon"),
        ("lemon-simple-bw", "lemon"),
        ("orange-simple", "orange"),
        ("7", "7"),
    ],
)
def test_variants_of_a_clip_art_drawing_have_one_stem(name: str, stem: str) -> None:
    from builder.clipart_task import _stem

    assert _stem(name) == stem
