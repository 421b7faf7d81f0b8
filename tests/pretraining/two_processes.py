"""Run under `torchrun`: one step of a training by all processes; saves what each read, and the gradients."""

import json
import sys
from pathlib import Path

from safetensors.torch import save_file

from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus, Shard
from nml.pretraining import engine
from nml.pretraining.world import World, joined

# None, or 3 in the part of 8 samples and 3 in that of 7.
MICRO_BATCHES = (None, 3)


def one_step(corpus: Corpus, noise_dir: Path, recipe: Recipe, world: World) -> tuple[list[str], dict]:
    """Return the targets that this process saw in an epoch, and the gradients of the first step."""
    run = engine.Run("a run", corpus, noise_dir, recipe, recipe.architecture, 0, Path("none"), "code")
    data = engine.TrainingData(corpus, noise_dir, run.objective.TARGET)
    sizes = engine.even_batches(data.samples, recipe.batch_size)
    batches = list(data.batches(sizes, 0, world))
    model = engine.build_model(recipe, recipe.architecture, len(corpus.class_names), 0).eval()
    state = engine.State(model, engine.make_optimizer(model, recipe), engine.torch.zeros(2))
    engine._train_step(run, engine._parallel(run, model, world), state, *batches[0], sizes[0], world)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return [str(target) for _, targets in batches for target in targets], gradients


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
