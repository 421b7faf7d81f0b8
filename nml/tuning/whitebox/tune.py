"""One network of a method on a task: tuned to the end, then predicting every test set."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nml.tuning.whitebox.network import Network
from nml.tuning.whitebox.predict import predict
from nml.tuning.whitebox.results import TunedEncoder, TunedSplit, read_result, write_result
from nml.tuning.whitebox.run import Tuning
from nml.tuning.whitebox.states import State, restore_state
from nml.tuning.whitebox.training import make_optimizer, train

logger = logging.getLogger("nml")

STATE, RESULT = "state.safetensors", "result.safetensors"
"""The files of a seed in the progress folder."""


def tune(run: Tuning, seed: int) -> TunedEncoder:
    """Tune one network to the end and predict every test set, or return what an earlier run of the same made.

    Parameters
    ----------
    run : Tuning
    seed : int
        What all that is drawn starts from; head and batch order are those that a linear probe of this seed has.

    Raises
    ------
    UserError
        If loss, gradient, weights or features are not finite, or the encoder has no layer that the method could adapt.
    """
    folder = run.progress_dir / f"{run.fraction}-{seed:x}"
    if (made := read_result(folder / RESULT, run.describe(seed))) is not None:
        return made
    with _repeatable():
        network = Network(run, seed)
        state = State(network, make_optimizer(run, network))
        if restore_state(folder / STATE, state, run.describe(seed)):
            logger.info("%s  resumed after epoch %d, step %d", run.label, state.epoch, state.step)
        train(run, seed, state, folder / STATE)
        network.load_state_dict(state.best)
        result = _result(run, network, state)
    write_result(folder / RESULT, result, run.describe(seed))
    (folder / STATE).unlink(missing_ok=True)
    return result


@contextmanager
def _repeatable() -> Iterator[None]:
    """Keep what the libraries draw away from the caller's random state."""
    with torch.random.fork_rng():
        yield


def _result(run: Tuning, network: Network, state: State) -> TunedEncoder:
    return TunedEncoder(
        {
            name: TunedSplit(*predict(run, network, split, run.images.allowed.get(name)))
            for name, split in run.images.tests.items()
        },
        state.best_epoch,
        state.best_correct / len(run.images.validation.labels),
        network.trainable_parameters,
        state.log,
    )
