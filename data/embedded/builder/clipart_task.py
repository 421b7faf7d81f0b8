"""The clip-art task: drawings of many authors, classed by the folders of the Open Clip Art Library."""

import re
from collections import Counter

import numpy as np
from PIL import Image

from .images import flatten, ink_fraction, render_svg, shrink
from .samples import Sample, Task, partition, shuffled
from .sources import Packages

ROOT = "usr/share/openclipart/svg/"
FOLDERS = {
    "mammal": "animals/mammals",
    "bird": "animals/birds",
    "insect or spider": "animals/bugs",
    "fish or sea animal": "animals/fish",
    "fruit": "food/fruit",
    "dessert": "food/desserts",
    "drink": "food/beverages",
    "flower": "plants/flowers",
    "tree": "plants/trees",
    "land vehicle": "transportation/vehicles",
    "boat": "transportation/boating",
    "road sign": "transportation/roadsigns",
    "house": "buildings/homes",
    "clothing": "people/clothing",
    "smiley": "people/smilies",
    "musical instrument": "recreation/music",
    "sport": "recreation/sports",
    "computer hardware": "computer/hardware",
    "book": "education/books",
    "weather sign": "signs_and_symbols/weather",
}
MAX_PER_CLASS = 80
VARIANT_WORDS = frozenset(
    """
    alt black blue brown bw color colour coloured contour green grey label labels lemon lime line orange outline
    pink purple red simple stylized white yellow
    """.split()  # noqa: SIM905
)
# Chosen by looking: above it, pairs are one drawing recoloured or redrawn, with few exceptions.
SAME_DRAWING = 0.92
# The shortest stem of a cut name that was met is `wolf-he`, of a wolf's head.
CUT_NAME = 7
LARGE_SERIES = 8
PIXELS_PER_UNIT = {"": 1.0, "px": 1.0, "pt": 1.25, "pc": 15.0, "mm": 3.543307, "cm": 35.43307, "in": 90.0}


def _with_view_box(svg: str) -> str:
    """Give the root element a view box and a unit-free size, which the renderer wants and old files lack."""
    root = re.search(r"<svg\b[^>]*>", svg).group()
    if "viewBox" in root:
        return svg
    sizes = []
    for name in ("width", "height"):
        match = re.search(rf'\s{name}\s*=\s*["\']([\d.]+)\s*([a-z]*)["\']', root)
        sizes.append(float(match[1]) * PIXELS_PER_UNIT[match[2]] if match and match[2] in PIXELS_PER_UNIT else 744.0)
    bare = re.sub(r'\s(width|height)\s*=\s*["\'][^"\']*["\']', "", root)
    size = f' width="{sizes[0]}" height="{sizes[1]}" viewBox="0 0 {sizes[0]} {sizes[1]}"'
    return svg.replace(root, bare.replace("<svg", "<svg" + size, 1), 1)


def _draw(data: bytes) -> Image.Image | None:
    """Return a drawing cropped to its ink, at 32 x 32; None when it cannot be rendered or is empty."""
    try:
        image = render_svg(_with_view_box(data.decode("utf-8", "replace")), 256)
    except (ValueError, AttributeError):
        return None
    box = image.getchannel("A").getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 16:
        return None
    small = shrink(flatten(image.crop(box)))
    return small if ink_fraction(small) > 0.06 else None


def _stem(name: str) -> str:
    """Return a file's name without numbers and words for variants: a series, or a drawing in two styles, is one unit.

    `cone-alt3-bw` and `cone` give `cone`.
    """
    words = [bare for word in name.split("-") if (bare := re.sub(r"\d+$", "", word))]
    told = [word for word in words if word not in VARIANT_WORDS]
    # A lemon may be an orange drawn in yellow, or a lemon: where nothing else is left, the first word is the thing.
    return "-".join(told or words[:1]) or name


def _class_drawings(files: dict[str, bytes], homes: Counter[str], folder: str) -> dict[str, Image.Image]:
    """Return up to `MAX_PER_CLASS` drawings of a folder by name.

    Equal pictures under two names count once; a file that lies in several folders (`homes`) has no clear class.
    """
    drawings: dict[str, Image.Image] = {}
    seen = set()
    paths = [p for p in files if p.startswith(f"{ROOT}{folder}/") and p.endswith(".svg")]
    for path in shuffled(paths, "clipart"):
        image = _draw(files[path]) if homes[path.rsplit("/", 1)[1]] == 1 else None
        if image is None or image.tobytes() in seen or len(drawings) == MAX_PER_CLASS:
            continue
        seen.add(image.tobytes())
        name = re.sub(r"[^a-z0-9]+", "-", path.removeprefix(ROOT).removesuffix(".svg").lower())
        drawings[name] = image
    return drawings


def _correlations(images: list[Image.Image]) -> np.ndarray:
    """Return the absolute correlations of the images' grey values, float64 [n, n]: a negative is the same drawing."""
    return np.abs(np.corrcoef(np.stack([np.asarray(image.convert("L"), dtype=float).ravel() for image in images])))


def _same_cut_name(first: str, second: str) -> bool:
    """Tell whether one stem begins the other: the library cuts long names, which end in the author's, at any letter."""
    short, long = sorted((first, second), key=len)
    return len(short) >= CUT_NAME and long.startswith(short)


def _units(drawings: dict[str, Image.Image], stems: dict[str, str]) -> dict[str, str]:
    """Return drawing -> its unit: drawings of one stem, or that look alike, directly or through others."""
    names = sorted(drawings)
    alike = _correlations([drawings[name] for name in names]) > SAME_DRAWING
    alike |= np.array([[_same_cut_name(stems[a], stems[b]) for b in names] for a in names])
    parent = {stem: stem for stem in stems.values()}

    def root(stem: str) -> str:
        while parent[stem] != stem:
            stem = parent[stem]
        return stem

    for i, j in zip(*np.nonzero(alike), strict=True):
        first, second = sorted((root(stems[names[i]]), root(stems[names[j]])))
        parent[second] = first
    return {name: root(stems[name]) for name in names}


def _all_drawings(files: dict[str, bytes]) -> list[dict[str, Image.Image]]:
    """Return the drawings of each class by name."""
    chosen = tuple(f"{ROOT}{folder}/" for folder in FOLDERS.values())
    homes = Counter(path.rsplit("/", 1)[1] for path in files if path.startswith(chosen))
    return [_class_drawings(files, homes, folder) for folder in FOLDERS.values()]


def clipart_task(packages: Packages) -> Task:
    """Return the clip-art task."""
    by_class = _all_drawings(packages.files("openclipart-svg"))
    together = {name: image for drawings in by_class for name, image in drawings.items()}
    folders = {name: folder for folder, drawings in zip(FOLDERS.values(), by_class, strict=True) for name in drawings}
    stems = {name: _stem(name.removeprefix(re.sub("[^a-z]+", "-", folders[name]) + "-")) for name in together}
    units = _units(together, stems)
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    assigned: dict[str, str] = {}
    for label, (folder, drawings) in enumerate(zip(FOLDERS.values(), by_class, strict=True)):
        # A unit that two folders share keeps the split it was first given.
        sizes = Counter(units[name] for name in drawings)
        new = sizes.keys() - assigned.keys()
        # One large series in the test split would decide its class alone.
        assigned |= {name: "train" for name in new if sizes[name] >= LARGE_SERIES}
        new -= assigned.keys()
        assigned |= partition(new, f"clipart/{folder}", val=0.15, test=0.4)
        for name, image in drawings.items():
            splits[assigned[units[name]]].append(Sample(f"{units[name]}__{name}", label, image))
    return Task(
        name="clipart",
        classes=list(FOLDERS),
        splits=splits,
        sources=["openclipart-svg"],
        licence="public domain",
        stands_in_for="Caltech101",
        split_unit="series or look-alikes (file name without numbers and colours, or correlation above 0.92)",
    )
