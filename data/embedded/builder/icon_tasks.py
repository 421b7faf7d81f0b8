"""Downstream tasks from icon sets and flags: the same thing drawn by several sets."""

import json
import re
from collections.abc import Iterable

from PIL import Image

from .drawings import VENDORS, Drawings, icon_svg
from .images import flatten, render_svg, view
from .patches import matched_patches
from .samples import Sample, Task, partition, share, shuffled
from .sources import Packages

# How each set names the outlined and the filled drawing of `{}`; None where it has no such style.
ICON_STYLES = {
    "ph": ("{}", "{}-fill"),
    "mdi": ("{}-outline", "{}"),
    "tabler": ("{}", "{}-filled"),
    "lucide": ("{}", None),
    "carbon": ("{}", "{}-filled"),
    "bi": ("{}", "{}-fill"),
    "ion": ("{}-outline", "{}"),
    "material-symbols": ("{}-outline", "{}"),
    "ri": ("{}-line", "{}-fill"),
}
FILL_SETS = {"train": ("ph", "mdi", "tabler"), "val": ("ri",), "test": ("bi", "ion")}
# At most: the two test sets share fewer icons of which matching patches can be cut.
FILL_COUNTS = {"train": 1000, "val": 250, "test": 800}
ICON_CLASSES = 80
MIN_ICON_SETS = 7
FLAG_CLASSES = 100
FLAG_SETS = {
    "flag": "{}-1x1",
    "cif": "{}",
    "flagpack": "{}",
}
FLAG_VENDORS = ("twemoji",)
FLAG_VIEWS = {"train": 4, "val": 2, "test": 4}


def _package(name: str) -> str:
    return f"@iconify-json/{name}"


def _draw(drawings: Drawings, set_name: str, icon: str) -> Image.Image:
    return flatten(render_svg(icon_svg(drawings.icon_set(_package(set_name)), icon)))


def _styles(drawings: Drawings, set_name: str, name: str) -> list[str]:
    """Return the icons of a set that draw `name`."""
    icons = drawings.icon_set(_package(set_name))["icons"]
    return [style.format(name) for style in ICON_STYLES[set_name] if style and style.format(name) in icons]


def _words(name: str) -> frozenset[str]:
    """Return a name's words without a final s, so that `battery-low` is "low battery" and `headphones` "headphone"."""
    return frozenset(word.removesuffix("s") for word in re.findall(r"[a-z0-9]+", name.lower()))


def _icon_names(drawings: Drawings, corpus_names: Iterable[str]) -> list[str]:
    """Return names that at least seven sets draw, without brands and names of corpus emoji, in hashed order."""
    sets = {name: drawings.icon_set(_package(name))["icons"] for name in ICON_STYLES}
    brands = set(json.loads(drawings.packages.files(_package("mdi"))["metadata.json"])["categories"]["Brand / Logo"])
    in_corpus = {_words(name) for name in corpus_names}
    names = [n for n in sets["lucide"] if n not in brands and _words(n) not in in_corpus]
    common = [n for n in names if sum(bool(_styles(drawings, s, n)) for s in sets) >= MIN_ICON_SETS]
    return shuffled(common, "icons")


def _icon_concepts(drawings: Drawings, corpus_names: Iterable[str]) -> Task:
    names = sorted(_icon_names(drawings, corpus_names)[:ICON_CLASSES])
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for label, name in enumerate(names):
        able = [s for s in ICON_STYLES if _styles(drawings, s, name)]
        for set_name, split in partition(able, f"icons/{name}", val=0.15, test=0.3).items():
            for icon in _styles(drawings, set_name, name):
                image = _draw(drawings, set_name, icon)
                for index in range(2):
                    key = f"{name}_{set_name}__{icon}-v{index}"
                    splits[split].append(Sample(key, label, view(image, key, index)))
    used = {sample.key.split("__")[0].rsplit("_", 1)[1] for samples in splits.values() for sample in samples}
    return Task(
        name="icons",
        classes=[name.replace("-", " ") for name in names],
        splits=splits,
        sources=[_package(name) for name in ICON_STYLES if name in used],
        licence="MIT, Apache-2.0, ISC",
        stands_in_for="RESISC45",
        split_unit="icon set of a concept",
        notes="two views of each drawing",
    )


def _fill_split(name: str) -> str:
    number = share(f"fill/{name}")
    return "test" if number < 0.4 else "val" if number < 0.5 else "train"


def _fill_pairs(drawings: Drawings, set_name: str) -> list[str]:
    """Return the names that a set draws both outlined and filled."""
    icons = drawings.icon_set(_package(set_name))["icons"]
    line, fill = ICON_STYLES[set_name]
    marked = line if line != "{}" else fill
    names = [icon.removesuffix(marked[2:]) for icon in icons if icon.endswith(marked[2:])]
    return [name for name in names if line.format(name) in icons and fill.format(name) in icons]


def _fill_samples(drawings: Drawings, pair: str) -> list[Sample]:
    """Return a patch of the outlined and one of the filled drawing, of equal ink; none where they have no such."""
    set_name, name = pair.split("/")
    images = [_draw(drawings, set_name, style.format(name)) for style in ICON_STYLES[set_name]]
    patches = matched_patches(images, f"fill/{pair}")
    return [
        Sample(f"{name}__{set_name}-{kind}", label, patch)
        for label, (kind, patch) in enumerate(zip(("line", "fill"), patches, strict=False))
    ]


def _icon_fill(drawings: Drawings) -> Task:
    splits = {}
    for split, set_names in FILL_SETS.items():
        pairs = [f"{s}/{name}" for s in set_names for name in _fill_pairs(drawings, s) if _fill_split(name) == split]
        samples: list[Sample] = []
        for pair in shuffled(pairs, "fill-pairs"):
            if len(samples) < FILL_COUNTS[split]:
                samples += _fill_samples(drawings, pair)
        splits[split] = samples
    return Task(
        name="icon-fill",
        classes=["outlined icon", "filled icon"],
        splits=splits,
        sources=[_package(s) for names in FILL_SETS.values() for s in names],
        licence="MIT, Apache-2.0",
        stands_in_for="PatchCamelyon",
        split_unit="icon name, and icon set",
        notes="patches; the two of an icon have the same size, the same amount of ink and the same tones",
    )


def _flag_images(drawings: Drawings, country: str) -> dict[str, Image.Image]:
    """Return the drawings of a country's flag by set; `country` is the ISO 3166 code in lower case."""
    images = {}
    for set_name, style in FLAG_SETS.items():
        if style.format(country) in drawings.icon_set(_package(set_name))["icons"]:
            images[set_name] = _draw(drawings, set_name, style.format(country))
    code = "-".join(format(0x1F1E6 + ord(letter) - ord("a"), "x") for letter in country)
    return images | {v: drawings.image(code, v) for v in FLAG_VENDORS if drawings.has(code, v)}


def _country_names(packages: Packages) -> dict[str, str]:
    rows = json.loads(packages.files("emojibase-data")["en/data.json"])
    names = {}
    for row in rows:
        parts = row["hexcode"].split("-")
        if row.get("group") == 9 and row["label"].startswith("flag: ") and len(parts) == 2:
            iso = "".join(chr(int(part, 16) - 0x1F1E6 + ord("a")) for part in parts)
            names[iso] = row["label"].removeprefix("flag: ")
    return names


def _flags(packages: Packages, drawings: Drawings) -> Task:
    names = _country_names(packages)
    cif = drawings.icon_set(_package("cif"))["icons"]
    countries = sorted(shuffled((c for c in names if c in cif), "flags")[:FLAG_CLASSES])
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for label, country in enumerate(countries):
        images = _flag_images(drawings, country)
        for set_name, split in partition(images, f"flags/{country}", val=0.15, test=0.3).items():
            for index in range(FLAG_VIEWS[split]):
                key = f"{country}_{set_name}__v{index}"
                image = view(images[set_name], key, index + 1)
                splits[split].append(Sample(key, label, image))
    return Task(
        name="flags",
        classes=[names[c] for c in countries],
        splits=splits,
        sources=[*(_package(s) for s in FLAG_SETS), *(VENDORS[v] for v in FLAG_VENDORS), "emojibase-data"],
        licence="MIT, CC0-1.0, CC-BY-4.0 (twemoji)",
        stands_in_for="FGVCAircraft",
        split_unit="flag set of a country",
        notes="flags are fixed by law: the sets differ in crop, proportion and colour, not in design",
    )


def icon_tasks(packages: Packages, drawings: Drawings, corpus_names: Iterable[str]) -> list[Task]:
    """Return the tasks from icons and flags; no class of `icons` has a name in `corpus_names`."""
    return [_flags(packages, drawings), _icon_concepts(drawings, corpus_names), _icon_fill(drawings)]
