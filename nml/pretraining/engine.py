"""The training loop, one for both objectives, resumable after any epoch."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from nml.artifacts import sha256_file
from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.devices import choose_device
from nml.errors import UserError
from nml.pretraining import architectures, contrastive, supervised
from nml.pretraining.checkpoints import load_tensors, restore_training_state, save_tensors, training_state
from nml.pretraining.data import TrainingData, even_batches, validation_set
from nml.pretraining.images import augment, normalise
from nml.progress import Progress
from nml.seeds import derive_seed

logger = logging.getLogger("nml")

OBJECTIVES: dict[str, ModuleType] = {"supervised": supervised, "contrastive": contrastive}


@dataclass(frozen=True)
class Run:
    """What one pre-training run needs to know."""

    label: str
    corpus: Corpus
    noise_dir: Path
    recipe: Recipe
    recipe_name: str
    seed: int
    progress_file: Path
    code: str

    @property
    def objective(self) -> ModuleType:
        return OBJECTIVES[self.recipe.objective]

    @property
    def architecture(self) -> ModuleType:
        return architectures.load(self.recipe.architecture)

    def fingerprint(self) -> str:
        """Name everything that shapes the weights; a progress file of another fingerprint is not resumed."""
        manifest = sha256_file(self.noise_dir / "manifest.json")
        machine = f"{choose_device().type} {torch.get_num_threads()} threads torch {torch.__version__}"
        return f"{self.recipe.model_dump_json()} {manifest} {self.seed} {self.code} {machine}"


def build_model(recipe: Recipe, recipe_name: str, num_classes: int, seed: int) -> nn.Module:
    """Return the model at its initialisation, which depends on the recipe's name and the seed alone.

    The noise is left out on purpose: encoders of one seed start from the same weights at every noise ratio, so that
    their differences come from the noise.
    """
    torch.manual_seed(derive_seed(recipe_name, f"s{seed}", "init"))
    return architectures.load(recipe.architecture).build(num_classes)


def train(run: Run) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train to the end, from the last finished epoch if there is one; return the model and the log, a row an epoch.

    Raises
    ------
    UserError
        If the loss is not finite.
    """
    device = choose_device()
    model = build_model(run.recipe, run.recipe_name, len(run.corpus.class_names), run.seed)
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = _optimizer(model, run.recipe)
    log = _resume(run, model, optimizer)
    images, labels = (tensor.to(device) for tensor in validation_set(run.corpus))
    data = TrainingData(run.corpus, run.noise_dir, run.objective.TARGET)
    sizes = even_batches(data.samples, run.recipe.batch_size)
    progress = Progress(run.label, run.recipe.epochs * len(sizes), done=len(log) * len(sizes))
    for epoch in range(len(log), run.recipe.epochs):
        row = _train_epoch(run, data, model, optimizer, epoch, progress)
        row["validation_accuracy"] = run.objective.validation_accuracy(
            model.eval(), images, labels, run.corpus, run.architecture
        )
        log.append(row)
        save_tensors(run.progress_file, training_state(model, optimizer), {"run": run.fingerprint(), "log": log})
        logger.info("%s  %s", run.label, _summary(row))
    return model.eval(), log


def _summary(row: dict[str, float]) -> str:
    return (
        f"epoch {row['epoch']}: loss {row['loss']:.3f}, accuracy {row['accuracy']:.1%}, "
        f"validation {row['validation_accuracy']:.1%}, {row['images_per_second']:,.0f} images/s, "
        f"{row['data_share']:.0%} of the time waiting for data"
    )


def _resume(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, float]]:
    """Put back the state after the last finished epoch of this very run; return its log so far."""
    if not run.progress_file.is_file():
        return []
    tensors, header = load_tensors(run.progress_file)
    if header["run"] != run.fingerprint():
        logger.info("%s  %s is of another recipe, noise or code: starting over", run.label, run.progress_file)
        return []
    restore_training_state(tensors, model, optimizer)
    logger.info("%s  resumed after epoch %d", run.label, len(header["log"]))
    return header["log"]


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW; biases, norms and scalars have no decay."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """Return the learning rate at a fractional epoch: a linear warm-up, then a cosine to zero."""
    if epoch < recipe.warmup_epochs:
        return recipe.learning_rate * epoch / recipe.warmup_epochs
    done = (epoch - recipe.warmup_epochs) / max(recipe.epochs - recipe.warmup_epochs, 1e-9)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _train_epoch(
    run: Run, data: TrainingData, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int, progress: Progress
) -> dict[str, float]:
    """Train one epoch; every random number in it comes from the recipe's name, the seed and the epoch."""
    device = next(model.parameters()).device
    seed = derive_seed(run.recipe_name, f"s{run.seed}", "epoch", epoch)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    sizes = even_batches(data.samples, run.recipe.batch_size)
    batches = data.batches(sizes, seed)
    loss_sum, right = torch.zeros((), device=device), torch.zeros((), device=device)
    started, waited = time.perf_counter(), 0.0
    model.train()
    for step, size in enumerate(sizes):
        fetching = time.perf_counter()
        images, targets = next(batches)
        waited += time.perf_counter() - fetching
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(run.recipe, epoch + (step + 1) / len(sizes))
        images = augment(normalise(images.to(device), run.architecture.IMAGE_SIZE), run.recipe.augmentation, generator)
        loss, hits = run.objective.loss(model, images, run.objective.collate(targets, run.architecture).to(device))
        _step(model, optimizer, loss, run.recipe.gradient_clip)
        loss_sum, right = loss_sum + loss.detach() * size, right + hits
        progress.advance()
    return _log_row(run, epoch, sum(sizes), loss_sum.item(), right.item(), time.perf_counter() - started, waited)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor, gradient_clip: float) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
    optimizer.step()


def _log_row(
    run: Run, epoch: int, samples: int, loss_sum: float, right: float, seconds: float, waited: float
) -> dict[str, float]:
    if not math.isfinite(loss_sum):
        raise UserError(
            f"{run.label}: the loss became {loss_sum} in epoch {epoch + 1}. The state after the last good epoch is "
            f"kept in {run.progress_file}. "
            f"Lower recipes.{run.recipe_name}.learning_rate (now {run.recipe.learning_rate})."
        )
    return {
        "epoch": epoch + 1,
        "loss": loss_sum / samples,
        "accuracy": right / samples,
        "learning_rate": learning_rate(run.recipe, epoch + 1),
        "images_per_second": samples / seconds,
        "data_share": waited / seconds,
        "seconds": seconds,
    }
