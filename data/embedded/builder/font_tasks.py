"""Downstream tasks rendered from open fonts: letters, writing systems, kinds of type. Split by superfamily."""

import io
import json
import random

from PIL import Image, ImageDraw, ImageFont

from .images import SIZE, shrink
from .samples import Sample, Task, partition, shuffled, unit
from .sources import Packages
from .superfamilies import superfamily

PREFIX = "fontpkg-"
CANVAS = 4 * SIZE
LETTERS_PER_CLASS = {"train": 40, "val": 10, "test": 28}
STYLE_PER_CLASS = {"train": 200, "val": 50, "test": 140}
SCRIPT_PER_CLASS = {"train": 125, "val": 30, "test": 90}
STYLES = {
    "SERIF": "serif",
    "SANS_SERIF": "sans serif",
    "HANDWRITING": "handwriting",
    "DISPLAY": "display",
    "MONOSPACE": "monospace",
}
# Scripts with few fonts come first, so that each finds fonts for all three splits.
ALPHABETS = {
    "telugu": "కగచజటడతదనపబమయరలవశసహళ",
    "thai": "กขคงจฉชซญดตถทธนบปผพฟมยรลวสหอฮ",
    "arabic": "بتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשת",
    "devanagari": "कखगघचछजझटठडढतथदधनपफबभमयरलवशषसह",
    "greek": "αβγδεζηθικλμνξοπρσςτυφχψωΓΔΘΛΞΠΣΦΨΩ",
    "cyrillic": "абвгджзийклмнптуфцчшщъыьэюяБГДЖЗИЙЛПФЦЧШЩЫЭЮЯ",
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
}
WORDS = (
    "amber",
    "basket",
    "candle",
    "dragon",
    "engine",
    "forest",
    "garden",
    "hammer",
    "island",
    "jungle",
    "kettle",
    "lantern",
    "marble",
    "needle",
    "orange",
    "pebble",
    "quartz",
    "ribbon",
    "saddle",
    "timber",
    "under",
    "velvet",
    "winter",
    "yellow",
    "zigzag",
    "anchor",
    "bridge",
    "copper",
    "desert",
    "falcon",
)


class Fonts:
    """The pinned font families."""

    def __init__(self, packages: Packages) -> None:
        self.packages = packages
        self.names = [name for name in packages.sources if name.startswith(PREFIX)]

    def metadata(self, name: str) -> dict:
        """Return a family's metadata: `category`, `files`."""
        files = self.packages.files(name)
        return json.loads(files[f"{name.replace('-', '_')}/metadata.json"])

    def load(self, name: str, size: int) -> ImageFont.FreeTypeFont:
        """Return the upright regular face of a family at `size` pixels."""
        upright = [f for f in self.metadata(name)["files"] if f["style"] == "normal"]
        best = min(upright, key=lambda f: (abs((f["weight"] or 400) - 400), f["path"]))
        data = self.packages.files(name)[f"{name.replace('-', '_')}/{best['path']}"]
        # The basic layout needs no shaping library, whose version would change the pixels.
        font = ImageFont.truetype(io.BytesIO(data), size, layout_engine=ImageFont.Layout.BASIC)
        if best["variable"]:
            font.set_variation_by_axes(_regular(font))
        return font

    def covers(self, name: str, text: str) -> bool:
        """Tell whether a family draws every character of `text` (none falls back to the missing-glyph box)."""
        font = self.load(name, 24)
        missing = bytes(font.getmask("\uffff"))
        return all(bytes(font.getmask(letter)) not in (missing, b"") for letter in text)


def _regular(font: ImageFont.FreeTypeFont) -> list[float]:
    """Return axis values: weight 400, the default elsewhere."""
    values = []
    for axis in font.get_variation_axes():
        is_weight = axis["name"] in (b"Weight", "Weight")
        values.append(min(max(400, axis["minimum"]), axis["maximum"]) if is_weight else axis["default"])
    return values


def _greys(rng: random.Random) -> tuple[int, int]:
    """Return the grey values of paper and ink, clearly different; one in two is light on dark."""
    light, dark = rng.randint(185, 255), rng.randint(0, 90)
    return (light, dark) if rng.random() < 0.5 else (dark, light)


def render_text(fonts: Fonts, name: str, text: str, salt: str, extent: float) -> Image.Image:
    """Return `text` set in a family, about `extent` of the image wide or high, slightly turned and shifted."""
    rng = random.Random(salt)
    probe = fonts.load(name, 64).getbbox(text)
    longest = max(probe[2] - probe[0], probe[3] - probe[1], 1)
    size = max(8, round(64 * extent * rng.uniform(0.85, 1.0) * CANVAS / longest))
    font = fonts.load(name, min(size, 2 * CANVAS))
    left, top, right, bottom = font.getbbox(text)
    shift = [rng.uniform(-0.06, 0.06) * CANVAS for _ in range(2)]
    paper, ink = _greys(rng)
    canvas = Image.new("L", (CANVAS, CANVAS), paper)
    corner = ((CANVAS - left - right) / 2 + shift[0], (CANVAS - top - bottom) / 2 + shift[1])
    ImageDraw.Draw(canvas).text(tuple(map(round, corner)), text, font=font, fill=ink)
    turned = canvas.rotate(rng.uniform(-10, 10), Image.Resampling.BICUBIC, fillcolor=paper)
    return shrink(turned).convert("RGB")


def _key(package: str, rest: str) -> str:
    """Return the key of a sample set in a family: `<superfamily>__<family>_<rest>`."""
    family = package.removeprefix(PREFIX)
    return f"{superfamily(family)}__{family}_{rest}"


def _assign(packages: list[str], assigned: dict[str, str], salt: str, val: float, test: float) -> None:
    """Assign the superfamilies of `packages` to splits; those in `assigned` keep theirs."""
    units = {unit(_key(package, "")) for package in packages}
    assigned |= partition(units - assigned.keys(), salt, val, test)


def _of_split(packages: list[str], assigned: dict[str, str], split: str) -> list[str]:
    return [package for package in packages if assigned[unit(_key(package, ""))] == split]


def _task(fonts: Fonts, name: str, classes: list[str], splits: dict, stands_in_for: str, notes: str = "") -> Task:
    used = {sample.key.split("__")[1].split("_")[0] for samples in splits.values() for sample in samples}
    return Task(
        name=name,
        classes=classes,
        splits=splits,
        sources=[n for n in fonts.names if n.removeprefix(PREFIX) in used],
        licence="OFL-1.1, Apache-2.0 (fonts)",
        stands_in_for=stands_in_for,
        split_unit="superfamily (families that share letter shapes)",
        notes=notes,
    )


def _letters(fonts: Fonts) -> Task:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    assigned: dict[str, str] = {}
    _assign(fonts.names, assigned, "letters", val=0.15, test=0.3)
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for split, count in LETTERS_PER_CLASS.items():
        families = _of_split(fonts.names, assigned, split)
        for label, letter in enumerate(alphabet):
            ordered = shuffled(families, f"letters/{letter}")
            for i in range(count):
                family = ordered[i % len(ordered)]
                text = letter.upper() if (i + label) % 2 else letter
                key = _key(family, f"{'upper' if text.isupper() else 'lower'}-{letter}-{i}")
                splits[split].append(Sample(key, label, render_text(fonts, family, text, key, 0.7)))
    return _task(fonts, "letters", [f"letter {c}" for c in alphabet], splits, "RenderedSST2")


def _font_style(fonts: Fonts) -> Task:
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    families = {c: [n for n in fonts.names if fonts.metadata(n)["category"] == [c]] for c in STYLES}
    assigned: dict[str, str] = {}
    # A superfamily may have several styles: the style with fewest families chooses first.
    for category in sorted(STYLES, key=lambda c: len(families[c])):
        _assign(families[category], assigned, f"font-style/{category}", val=0.15, test=0.35)
    for label, category in enumerate(STYLES):
        for split, count in STYLE_PER_CLASS.items():
            members = shuffled(_of_split(families[category], assigned, split), f"font-style/{category}")
            for i in range(count):
                family = members[i % len(members)]
                key = _key(family, str(i))
                word = random.Random(f"word/{split}/{category}/{i}").choice(WORDS)[:4]
                splits[split].append(Sample(key, label, render_text(fonts, family, word, key, 0.92)))
    return _task(fonts, "font-style", list(STYLES.values()), splits, "DTD", "the first four letters of English words")


def _script_splits(fonts: Fonts) -> dict[str, dict[str, list[str]]]:
    """Return script -> split -> families; a superfamily is in one split for all scripts."""
    assigned: dict[str, str] = {}
    found = {}
    for script, alphabet in ALPHABETS.items():
        able = [n for n in fonts.names if fonts.covers(n, alphabet)]
        _assign(able, assigned, f"scripts/{script}", val=0.2, test=0.4)
        found[script] = {s: _of_split(able, assigned, s) for s in SCRIPT_PER_CLASS}
    return found


def _scripts(fonts: Fonts) -> Task:
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    families = _script_splits(fonts)
    for label, (script, alphabet) in enumerate(ALPHABETS.items()):
        for split, count in SCRIPT_PER_CLASS.items():
            for i in range(count):
                family = families[script][split][i % len(families[script][split])]
                rng = random.Random(f"script/{split}/{script}/{i}")
                text = "".join(rng.choice(alphabet) for _ in range(rng.randint(2, 3)))
                key = _key(family, f"{script}-{i}")
                splits[split].append(Sample(key, label, render_text(fonts, family, text, key, 0.9)))
    classes = [f"{script} script" for script in ALPHABETS]
    return _task(fonts, "scripts", classes, splits, "EuroSAT", "two or three letters in their isolated forms")


def font_tasks(packages: Packages) -> list[Task]:
    """Return the tasks rendered from fonts."""
    fonts = Fonts(packages)
    return [_letters(fonts), _font_style(fonts), _scripts(fonts)]
