"""Train one encoder on a noisy corpus."""

from pathlib import Path

from nml.artifacts import full_disk_named, read_json
from nml.devices import describe_device
from nml.preemption import undisturbed
from nml.pretraining.encoder_files import write_encoder
from nml.pretraining.engine import train
from nml.pretraining.run import Run
from nml.pretraining.training_log import write_log
from nml.pretraining.world import ALONE, World


def pretrain(run: Run, out_dir: Path, world: World = ALONE) -> None:
    """Train an encoder; the first process writes `model.safetensors`, `meta.json` and `log.csv`.

    Raises
    ------
    UserError
        As `train` does, and if the disk is full.
    """
    model, log = train(run, world)
    if world.rank > 0:
        return
    noise = read_json(run.noise_dir / "manifest.json")
    facts = {
        "validation_accuracy": log[-1]["validation_accuracy"],
        "validated_on": run.validation_corpus.name,
        "epochs": len(log),
        "corrupt": sum(row["corrupt"] for row in log),
        "samples_per_second": round(sum(row["images_per_second"] for row in log) / len(log), 1),
        "wall_seconds": round(sum(row["seconds"] for row in log), 1),
        "realised_noise_percent": noise["realised_percent"],
        "device": describe_device(world.size),
    }
    # This is sooner done than done again.
    with undisturbed(), full_disk_named(out_dir):
        write_log(out_dir, log)
        write_encoder(model, run.label, run.recipe, len(run.corpus.class_names), facts, out_dir)
