"""A batch that does not fit is halved, and leaves nothing behind that would count as memory of the next."""

import weakref

import pytest
import torch

from nml.errors import UserError
from nml.pretraining import measure as module
from nml.pretraining.measure import measure


@pytest.fixture
def room_for(monkeypatch):
    """Return a function that limits the memory to batches of a size; it returns a list.

    At each reset of the peak, the list gets how many tensors of batches that did not fit are still there.
    """

    def limit(size: int) -> list[int]:
        held, left = [], []

        def measured(recipe, name, num_classes, batch_size, seconds):
            batch = torch.zeros(batch_size)
            held.append(weakref.ref(batch))
            if batch_size > size:
                raise torch.OutOfMemoryError("full")
            return {"steps": 1, "images_per_second": 2.0}

        monkeypatch.setattr(module, "_measured", measured)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(
            torch.cuda, "reset_peak_memory_stats", lambda: left.append(sum(batch() is not None for batch in held))
        )
        return left

    return limit


def test_a_batch_that_did_not_fit_is_gone_before_the_peak_is_reset(recipe, room_for):
    left = room_for(8)
    assert measure(recipe(batch_size=32), "small", 3)["batch_size"] == 8
    assert left == [0, 0]


def test_a_recipe_of_which_two_images_do_not_fit_is_refused(recipe, room_for):
    room_for(1)
    with pytest.raises(UserError, match="'small' does not fit into the memory, not even with 2 images"):
        measure(recipe(batch_size=16), "small", 3)
