"""The pre-training corpus: emoji of the pre-training concepts, labelled by Unicode subgroup, with captions."""

from collections import Counter

from .drawings import CORPUS_VENDORS, Drawings, Emoji, artist
from .images import ink_fraction, shrink
from .samples import Sample, share, shuffled

MIN_EMOJI = 4
VALIDATION_SHARE = 0.1
TONED_VENDORS = ("twemoji", "noto", "fluent-flat")


def class_name(subgroup: str) -> str:
    """Return a subgroup's readable name."""
    return subgroup.replace("-", " ")


def caption(name: str, subgroup: str, tags: tuple[str, ...], salt: str) -> str:
    """Return a caption from an emoji's name, subgroup and up to five keywords, terse or wordy as alternative texts are.

    The prompts of zero-shot classification (`nml/corpora/catalogue.yaml`) are worded like some of them.
    """
    words = ", ".join(shuffled((tag for tag in tags if tag != name), salt)[:5]) or name
    kind = class_name(subgroup)
    wordings = (
        f"{name}, {kind}: {words}",
        f"{kind}: {name}, {words}",
        f"{name} ({kind}), {words}",
        f"an emoji of {name}, {kind}",
        f"a picture of {kind}: {name}",
        f"a drawing of {kind}",
    )
    return wordings[int(share(f"wording/{salt}") * len(wordings))]


def _classes(emoji: list[Emoji]) -> list[str]:
    """Return the subgroups with enough emoji, in Unicode order."""
    counts = Counter(e.subgroup for e in emoji)
    return list(dict.fromkeys(e.subgroup for e in emoji if counts[e.subgroup] >= MIN_EMOJI))


def _variants(e: Emoji, vendor: str) -> list[tuple[str, str]]:
    """Return (code points, name) of the emoji itself and, for people and hands, of one skin tone."""
    variants = [(e.code, e.name)]
    if e.tones and vendor in TONED_VENDORS:
        variants.append(e.tones[int(share(f"tone/{e.code}/{vendor}") * len(e.tones))])
    return variants


def class_table(emoji: list[Emoji]) -> str:
    """Return a CSV of the classes: label, name, the group of Unicode's that it belongs to, and `overlap`.

    `overlap` marks the living things and what is made of them, which asymmetric noise confuses.
    """
    group_of = {e.subgroup: e.group for e in emoji}
    lines = ["label,name,overlap,group"]
    for label, subgroup in enumerate(_classes(emoji)):
        group = group_of[subgroup]
        overlap = "animals-food" if group in ("animals-nature", "food-drink") else ""
        lines.append(f"{label},{class_name(subgroup)},{overlap},{group}")
    return "\n".join(lines) + "\n"


def build_corpus(emoji: list[Emoji], drawings: Drawings) -> tuple[list[str], dict[str, list[Sample]]]:
    """Return class names and the `train` and `val` samples; drawings of one artist and concept stay together.

    `emoji` are those of the pre-training concepts.
    """
    subgroups = _classes(emoji)
    splits: dict[str, list[Sample]] = {"train": [], "val": []}
    for e in emoji:
        if e.subgroup not in subgroups:
            continue
        for vendor in CORPUS_VENDORS:
            family = f"{e.concept}_{artist(vendor)}"
            split = "val" if share(f"validation/{family}") < VALIDATION_SHARE else "train"
            for code, name in _variants(e, vendor):
                if not drawings.has(code, vendor):
                    continue
                key = f"{family}__{code}-{vendor}"
                image = shrink(drawings.image(code, vendor))
                if ink_fraction(image) > 0.01:
                    text = caption(name, e.subgroup, e.tags, key)
                    splits[split].append(Sample(key, subgroups.index(e.subgroup), image, text))
    return [class_name(subgroup) for subgroup in subgroups], splits
