"""What cannot be trained is refused before the first step."""

import pytest

from nml.errors import UserError
from nml.pretraining.engine import train
from nml.pretraining.world import World


def test_batches_with_fewer_samples_than_processes_are_refused(run):
    # 60 samples in batches of at most 7.
    with pytest.raises(UserError, match=r"6 samples \(recipes\.resnet-mini\.batch_size is 7.* 8 processes.*at least 8"):
        train(run(batch_size=7), World(3, 8))


def test_a_warm_up_as_long_as_the_training_is_refused(run):
    with pytest.raises(UserError, match=r"warmup_steps is 12, and the whole training takes 12 steps.*fewer than 12"):
        train(run(warmup_steps=12))
