"""Downstream tasks from emoji whose concepts are not in the corpus: fine-grained, coarse, and across styles."""

from collections.abc import Callable
from dataclasses import dataclass

from .corpus import class_name
from .drawings import CORPUS_VENDORS, Drawings, Emoji, artist, vendors_in
from .images import shrink, view
from .samples import Sample, Task, partition, shuffled

LICENCE = "CC-BY-4.0 (twemoji, emojione), Apache-2.0 (noto sets), MIT (fluent)"
NAMES = "emojibase-data"
ARTISTS = ("twemoji", "noto", "emojione", "fluent")
IMAGES_PER_CLASS = {"train": 14, "val": 4, "test": 9}
MIN_CONCEPTS = 5
CATEGORY_VENDORS = ("twemoji", "noto", "emojione", "fluent-flat", "fluent-3d")
MAX_THEME_CLASSES = 50
DOMAIN_CLASSES = 240
DOMAIN_TRAINING = ("twemoji", "emojione")
DOMAIN_VENDORS = (*DOMAIN_TRAINING, "noto", "fluent-flat", "fluent-3d", "fluent-hc", "openmoji")


@dataclass(frozen=True)
class Theme:
    """A fine-grained task: its name, what it stands in for and which subgroups' concepts are its classes."""

    name: str
    stands_in_for: str
    belongs: Callable[[str], bool]


THEMES = (
    Theme("emoji-animals", "Flowers102", lambda s: s.startswith(("animal-", "plant-"))),
    Theme("emoji-food", "Food101", lambda s: s.startswith(("food-", "drink", "dishware"))),
    Theme("emoji-travel", "StanfordCars", lambda s: s.startswith(("transport-", "place-", "hotel", "sky-weather"))),
)


def _sources(splits: dict[str, list[Sample]]) -> list[str]:
    """Return the packages that the samples' drawings and the classes' names are from."""
    return [*vendors_in(sample.key for samples in splits.values() for sample in samples), NAMES]


def _one_per_concept(emoji: list[Emoji]) -> list[Emoji]:
    """Return the first emoji of each concept, in Unicode order."""
    return list({e.concept: e for e in reversed(emoji)}.values())[::-1]


def _views(drawings: Drawings, e: Emoji, vendors: list[str], label: int, count: int) -> list[Sample]:
    """Return `count` views of an emoji, going round the vendors' drawings."""
    samples = []
    for i in range(count):
        vendor, index = vendors[i % len(vendors)], i // len(vendors)
        key = f"{e.concept}_{artist(vendor)}__{vendor}-v{index}"
        samples.append(Sample(key, label, view(drawings.image(e.code, vendor), f"{e.code}/{vendor}", index)))
    return samples


def _theme_task(drawings: Drawings, emoji: list[Emoji], theme: Theme) -> Task:
    """One class a concept; of its four artists one is for testing, one for validation, two are for training."""
    chosen = [e for e in _one_per_concept(emoji) if theme.belongs(e.subgroup)]
    chosen = [e for e in chosen if {artist(v) for v in CORPUS_VENDORS if drawings.has(e.code, v)} == set(ARTISTS)]
    kept = set(shuffled((e.concept for e in chosen), theme.name)[:MAX_THEME_CLASSES])
    chosen = [e for e in chosen if e.concept in kept]
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for label, e in enumerate(chosen):
        for name, split in partition(ARTISTS, f"{theme.name}/{e.concept}", val=0.25, test=0.25).items():
            vendors = [v for v in CORPUS_VENDORS if artist(v) == name and drawings.has(e.code, v)]
            count = IMAGES_PER_CLASS[split] // (2 if split == "train" else 1)
            splits[split] += _views(drawings, e, vendors, label, count)
    return Task(
        name=theme.name,
        classes=[e.name for e in chosen],
        splits=splits,
        sources=_sources(splits),
        licence=LICENCE,
        stands_in_for=theme.stands_in_for,
        split_unit="artist of a concept (drawings of one artist never straddle splits)",
        notes="several jittered views of each drawing",
    )


def _category_task(drawings: Drawings, emoji: list[Emoji]) -> Task:
    """One class a subgroup, split by concept."""
    members: dict[str, list[Emoji]] = {}
    for e in _one_per_concept(emoji):
        members.setdefault(e.subgroup, []).append(e)
    subgroups = [s for s, found in members.items() if len(found) >= MIN_CONCEPTS]
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for label, subgroup in enumerate(subgroups):
        by_concept = {e.concept: e for e in members[subgroup]}
        for code, split in partition(by_concept, f"categories/{subgroup}", val=0.15, test=0.4).items():
            e = by_concept[code]
            for vendor in CATEGORY_VENDORS:
                if drawings.has(e.code, vendor):
                    image = shrink(drawings.image(e.code, vendor))
                    splits[split].append(Sample(f"{e.concept}__{vendor}-v0", label, image))
    return Task(
        name="emoji-categories",
        classes=[class_name(s) for s in subgroups],
        splits=splits,
        sources=_sources(splits),
        licence=LICENCE,
        stands_in_for="CIFAR-100",
        split_unit="concept",
    )


def _domain_samples(drawings: Drawings, chosen: list[Emoji], vendors: list[str], views: int) -> list[Sample]:
    samples = []
    for label, e in enumerate(chosen):
        drawn = [v for v in vendors if drawings.has(e.code, v)]
        samples += _views(drawings, e, drawn, label, views * len(drawn))
    return samples


def _domain_training(drawings: Drawings, chosen: list[Emoji]) -> tuple[list[Sample], list[Sample]]:
    """Return training and validation samples, both by the two artists of the training domain.

    For one concept in three, one artist's drawing (by hash) is for validation only, and the other's is shown in twice
    as many views. Validation thus shares no drawing with training, and no artist with the shifted test sets.
    """
    validated = set(shuffled((e.concept for e in chosen), "domains-val")[: len(chosen) // 3])
    train, val = [], []
    for label, e in enumerate(chosen):
        vendors = shuffled(DOMAIN_TRAINING, f"domains-val/{e.concept}")
        if e.concept in validated:
            val += _views(drawings, e, [vendors.pop()], label, 2)
        train += _views(drawings, e, vendors, label, 8)
    return train, val


def _domain_task(drawings: Drawings, emoji: list[Emoji]) -> Task:
    """The same concepts in other styles; training and validation see two flat vendors only."""
    able = {e.concept: e for e in _one_per_concept(emoji) if all(drawings.has(e.code, v) for v in DOMAIN_VENDORS)}
    kept = set(shuffled(able, "domains")[:DOMAIN_CLASSES])
    chosen = [e for code, e in able.items() if code in kept]
    train, val = _domain_training(drawings, chosen)
    splits = {
        "train": train,
        "val": val,
        "test": _domain_samples(drawings, chosen, ["fluent-flat"], 2),
        "test-shaded": _domain_samples(drawings, chosen, ["noto", "noto-v1"], 1),
        "test-3d": _domain_samples(drawings, chosen, ["fluent-3d"], 2),
        "test-sketch": _domain_samples(drawings, chosen, ["fluent-hc"], 2),
        "test-outline": _domain_samples(drawings, chosen, ["openmoji"], 2),
    }
    return Task(
        name="emoji-domains",
        group="ood",
        classes=[e.name for e in chosen],
        splits=splits,
        sources=_sources(splits),
        licence=f"{LICENCE}; CC-BY-SA-4.0 (openmoji: test-outline)",
        stands_in_for="DomainNet",
        split_unit="artist of a concept; artist between training or validation and every test set",
        notes="fluent-flat, fluent-3d and fluent-hc are three renderings of the same drawings; none is trained on",
    )


def emoji_tasks(drawings: Drawings, emoji: list[Emoji]) -> list[Task]:
    """Return the tasks from emoji; `emoji` are those of the downstream concepts."""
    themes = [_theme_task(drawings, emoji, theme) for theme in THEMES]
    return [_category_task(drawings, emoji), *themes, _domain_task(drawings, emoji)]
