"""Images on disk are read back as they were, and memory holds none but those in use."""

import sys
from pathlib import Path

import numpy as np
import pytest

from nml.tuning.whitebox.pixels import open_pixels, write_pixels
from tests.tuning.whitebox.examples import photographs

MIB = 2**20


def test_images_of_any_sizes_are_read_back_from_their_file(tmp_path):
    images = photographs((5, 7), (9, 2), (1, 1))
    held = write_pixels(tmp_path / "new" / "x.pixels", iter(images))
    assert len(held) == 3
    for place in (2, 0, 1):
        np.testing.assert_array_equal(held[place], images[place])
    some = held.chosen(np.array([2, 1]))
    assert len(some) == 2
    np.testing.assert_array_equal(some[1], images[1])
    assert (tmp_path / "new" / "x.pixels").stat().st_size == 3 * (35 + 18 + 1)


def test_written_images_are_opened_again_by_their_shapes(tmp_path):
    images = photographs((5, 7), (9, 2))
    write_pixels(tmp_path / "x.pixels", images)
    again = open_pixels(tmp_path / "x.pixels", np.array([[5, 7, 3], [9, 2, 3]]))
    np.testing.assert_array_equal(again[1], images[1])


def test_half_a_file_is_no_file(tmp_path):
    def damaged():
        yield np.zeros((4, 4, 3), np.uint8)
        raise OSError("the shard ends here")

    with pytest.raises(OSError, match="the shard ends here"):
        write_pixels(tmp_path / "x.pixels", damaged())
    assert list(tmp_path.iterdir()) == []


def resident() -> int:
    """Return how much memory this process holds, pages of mapped files included, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_images_that_were_read_are_not_held(tmp_path):
    """96 MiB are written and read; a mapped file would stay in the memory of the process."""
    image = np.arange(200 * 160 * 3, dtype=np.uint8).reshape(200, 160, 3)
    before = resident()
    held = write_pixels(tmp_path / "x.pixels", (image for _ in range(96 * MIB // image.size)))
    assert sum(int(held[place][-1, -1, -1]) for place in range(len(held))) == len(held) * int(image[-1, -1, -1])
    assert (tmp_path / "x.pixels").stat().st_size > 95 * MIB
    assert resident() - before < 24 * MIB
