"""The checkpoints of a training in its progress folder: saved, the last ones kept, and gone on from."""

import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from nml.artifacts import full_disk_named
from nml.pretraining.checkpoints import load_tensors, read_header, restore_training_state, save_tensors, training_state
from nml.pretraining.run import Run
from nml.pretraining.state import State
from nml.pretraining.training_log import write_log
from nml.pretraining.world import World

logger = logging.getLogger("nml")

KEPT_CHECKPOINTS = 2


def save(run: Run, state: State, world: World) -> None:
    """Save the state of all processes, and drop all but the last checkpoints. Every process must call it."""
    tensors = training_state(state.model, state.optimizer, _averaged(state))
    tensors |= {f"state.{name}": world.gather(tensor) for name, tensor in _own_state(state, world).items()}
    if world.rank > 0:
        return
    header: dict[str, Any] = {"run": run.fingerprint(world), "log": state.log}
    header |= {name: getattr(state, name) for name in ("epoch", "step", "seconds", "waited")}
    with full_disk_named(run.progress_dir):
        save_tensors(checkpoint_file(run, state.epoch, state.step), tensors, header)
        if state.log:
            write_log(run.progress_dir, state.log)
    for old in checkpoints(run)[KEPT_CHECKPOINTS:]:
        old.unlink()


def _own_state(state: State, world: World) -> dict[str, torch.Tensor]:
    """Return what each process has of its own, by name, on the CPU."""
    own = {"sums": state.sums.cpu(), "corrupt": torch.tensor(state.corrupt)}
    own |= {"draws": state.draws.get_state(), "torch": torch.get_rng_state()}
    # What drops out on a GPU is drawn there.
    return own | ({"cuda": torch.cuda.get_rng_state(world.device)} if world.device.type == "cuda" else {})


def checkpoint_file(run: Run, epoch: int, step: int) -> Path:
    """Return where the checkpoint of some finished epochs and steps of the next one is."""
    return run.progress_dir / f"{epoch:05}-{step:08}.safetensors"


def _place(checkpoint: Path) -> tuple[int, int]:
    """Return the epoch and the step of a checkpoint."""
    epoch, step = checkpoint.stem.split("-")
    return int(epoch), int(step)


def checkpoints(run: Run) -> list[Path]:
    """Return the checkpoints of a run, the last first."""
    return sorted(run.progress_dir.glob("[0-9]*.safetensors"), reverse=True)


def resume(run: Run, state: State, world: World) -> None:
    """Put back the last state that was saved of this very run, if there is one; every process must call it."""
    file = _agreed_checkpoint(run, world)
    if file is None:
        return
    tensors, header = load_tensors(file)
    own = {name: tensors.pop(f"state.{name}")[world.rank] for name in _own_state(state, world)}
    restore_training_state(tensors, state.model, state.optimizer, _averaged(state))
    state.sums.copy_(own["sums"])
    state.corrupt = int(own["corrupt"])
    state.draws.set_state(own["draws"])
    torch.set_rng_state(own["torch"])
    if "cuda" in own:
        torch.cuda.set_rng_state(own["cuda"], world.device)
    for name in ("epoch", "step", "seconds", "waited", "log"):
        setattr(state, name, header[name])
    logger.info("%s  resumed after epoch %d, step %d", run.label, state.epoch, state.step)


def _agreed_checkpoint(run: Run, world: World) -> Path | None:
    """Return the checkpoint to resume from: the first process chooses it for all, by its epoch and step."""
    chosen = _usable_checkpoint(run, world) if world.rank == 0 else None
    place = torch.tensor(_place(chosen) if chosen else (-1, -1), device=world.device)
    world.share_first([place])
    epoch, step = place.tolist()
    return None if epoch < 0 else checkpoint_file(run, epoch, step)


def _usable_checkpoint(run: Run, world: World) -> Path | None:
    """Return the last checkpoint that can be read; remove damaged ones, and all if they are of another run.

    A damaged one would else stand before those that are saved next, and have them removed as the older ones.
    """
    for file in checkpoints(run):
        try:
            header = read_header(file)
        except SafetensorError as error:
            logger.warning("%s  %s cannot be read (%s): taking the one before it", run.label, file, error)
            file.unlink()
            continue
        if header["run"] == run.fingerprint(world):
            return file
        logger.info(
            "%s  %s is of another recipe, noise, validation data or code: starting over", run.label, run.progress_dir
        )
        shutil.rmtree(run.progress_dir, ignore_errors=True)
        return None
    return None


def _averaged(state: State) -> nn.Module | None:
    return state.average and state.average.module
