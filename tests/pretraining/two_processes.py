"""Run under `torchrun`: a step of a training and a validation by all processes; saves what each read and found."""

import json
import sys
from functools import partial
from pathlib import Path

from safetensors.torch import save_file

from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus, Shard
from nml.pretraining import validation
from nml.pretraining.data import TrainingData
from nml.pretraining.epoch_plan import even_batches
from nml.pretraining.model import build_model, parallel
from nml.pretraining.run import Run
from nml.pretraining.state import begin
from nml.pretraining.step import train_step
from nml.pretraining.world import World, joined

# None, or 3 in the part of 8 samples and 3 in that of 7.
MICRO_BATCHES = (None, 3)


def one_step(corpus: Corpus, noise_dir: Path, recipe: Recipe, world: World) -> tuple[list[str], dict]:
    """Return the targets that this process saw in an epoch, and the gradients of the first step."""
    run = Run("a run", corpus, noise_dir, recipe, recipe.architecture, 0, Path("none"), "code")
    collate = partial(run.objective.collate, context_length=run.architecture.context_length)
    data = TrainingData(corpus, noise_dir, run.objective.TARGET, collate=collate)
    sizes = even_batches(data.samples, recipe.batch_size)
    batches = list(data.batches(sizes, 0, world))
    state = begin(run, world)
    train_step(run, parallel(recipe, state.model.eval(), world), state, *batches[0], sizes[0], world)
    gradients = {name: p.grad.contiguous() for name, p in state.model.named_parameters() if p.grad is not None}
    return [str(target.tolist()) for _, targets in batches for target in targets], gradients


def validated(corpus: Corpus, noise_dir: Path, recipe: Recipe, world: World) -> float:
    """Return the accuracy of the first process' untrained model, in batches of 5 images."""
    validation.BATCH_SIZE = 5
    run = Run("a run", corpus, noise_dir, recipe, recipe.architecture, 0, Path("none"), "code")
    model = build_model(recipe, recipe.architecture, len(corpus.class_names), 0)
    for buffer in model.buffers():
        buffer.add_(100 * world.rank)
    return validation.validation_accuracy(run, model, validation.ValidationData(corpus), world)


def main(folder: Path) -> None:
    """Read the job from `folder`, and write there what came of it."""
    job = json.loads((folder / "job.json").read_text())
    shards = {split: [Shard(Path(p).name, Path(p)) for p in paths] for split, paths in job["shards"].items()}
    corpus = Corpus("colours", shards, job["classes"], ["{}"], ("labels", "captions"))
    with joined() as world:
        for micro in MICRO_BATCHES:
            recipe = Recipe.model_validate(job["recipe"] | {"micro_batch_size": micro})
            read, gradients = one_step(corpus, Path(job["noise"]), recipe, world)
            (folder / f"read-{world.rank}.json").write_text(json.dumps(read))
            if world.rank == 0:
                save_file(gradients, folder / f"gradients-{micro}.safetensors")
        accuracy = validated(corpus, Path(job["noise"]), recipe, world)
        (folder / f"accuracy-{world.rank}.json").write_text(json.dumps(accuracy))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
