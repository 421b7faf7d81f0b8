"""What one pre-training run needs to know, and what names it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import torch

from nml.artifacts import sha256_file
from nml.config.defaults import MAX_CORRUPT_SHARE
from nml.config.recipes import Recipe
from nml.corpora.catalogue import Corpus
from nml.pretraining import architectures, contrastive, supervised
from nml.pretraining.architectures import Architecture
from nml.pretraining.world import World
from nml.seeds import derive_seed

OBJECTIVES: dict[str, ModuleType] = {"supervised": supervised, "contrastive": contrastive}
# Beside PyTorch: models, optimisers, tokens and pixels come from them.
SHAPING_LIBRARIES = ("timm", "open_clip_torch", "pillow")


@dataclass(frozen=True)
class Run:
    """What one pre-training run needs to know.

    Attributes
    ----------
    loader_workers : int
        Processes that read and change images; without any, the training process does.
    validate_on : Corpus, optional
        Whose validation split is used, and for zero-shot accuracy its class names and templates; by default `corpus`.
    max_corrupt_share : float
        Of an epoch's images, that may be corrupt. Not of what shapes the weights, so that a run that met too many can
        go on with another one.
    """

    label: str
    corpus: Corpus
    noise_dir: Path
    recipe: Recipe
    recipe_name: str
    seed: int
    progress_dir: Path
    code: str
    loader_workers: int = 0
    validate_on: Corpus | None = None
    max_corrupt_share: float = MAX_CORRUPT_SHARE
    watch: tuple[str, ...] = ()

    @property
    def validation_corpus(self) -> Corpus:
        return self.validate_on or self.corpus

    @property
    def objective(self) -> ModuleType:
        return OBJECTIVES[self.recipe.objective]

    @cached_property
    def architecture(self) -> Architecture:
        return architectures.of_recipe(self.recipe)

    def fingerprint(self, world: World) -> str:
        """Name everything that shapes the weights and their accuracies; progress of another is not resumed."""
        manifest = sha256_file(self.noise_dir / "manifest.json")
        processes = (
            f"{world.size} x {world.device.type} {torch.get_num_threads()} threads {self.loader_workers} loaders"
        )
        libraries = " ".join(f"{name} {version(name)}" for name in SHAPING_LIBRARIES)
        machine = f"{processes} torch {torch.__version__} {libraries}"
        return f"{self.recipe.model_dump_json()} {manifest} {self.seed} {self.code} {machine} {self._validation()}"

    def _validation(self) -> str:
        """Name what the encoder is validated on: data, their classes and, where captions are learned, prompts."""
        corpus = self.validation_corpus
        prompts = corpus.templates if self.objective.TARGET == "caption" else []
        shards = [shard.name for shard in corpus.shards["validation"]]
        facts = (corpus.name, shards, corpus.listed, corpus.class_names, prompts)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def epoch_seed(self, epoch: int) -> int:
        """Return the seed of all that is drawn in an epoch: the recipe's name, the seed and the epoch, no noise."""
        return derive_seed(self.recipe_name, f"s{self.seed}", "epoch", epoch)
