"""The clip-art task: drawings of many authors, classed by the folders of the Open Clip Art Library."""

import re
from collections import Counter

from PIL import Image

from .images import flatten, ink_fraction, render_svg, shrink
from .samples import Sample, Task, partition, shuffled, unit
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


def _stem(path: str) -> str:
    """Return a file's name without number and extension: one author's numbered series is one unit."""
    name = path.rsplit("/", 1)[1].removesuffix(".svg").lower()
    name = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    return re.sub(r"-?\d+$", "", name) or name


def _class_drawings(files: dict[str, bytes], homes: Counter[str], folder: str) -> dict[str, Image.Image]:
    """Return up to 80 drawings of a folder by key.

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
        drawings[f"{_stem(path)}__{name}"] = image
    return drawings


def clipart_task(packages: Packages) -> Task:
    """Return the clip-art task."""
    files = packages.files("openclipart-svg")
    splits: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    chosen = tuple(f"{ROOT}{folder}/" for folder in FOLDERS.values())
    homes = Counter(path.rsplit("/", 1)[1] for path in files if path.startswith(chosen))
    assigned: dict[str, str] = {}
    for label, folder in enumerate(FOLDERS.values()):
        drawings = _class_drawings(files, homes, folder)
        # A series that two folders share keeps the split it was first given.
        new = {unit(key) for key in drawings} - assigned.keys()
        assigned |= partition(new, f"clipart/{folder}", val=0.15, test=0.4)
        for key, image in drawings.items():
            splits[assigned[unit(key)]].append(Sample(key, label, image))
    return Task(
        name="clipart",
        classes=list(FOLDERS),
        splits=splits,
        sources=["openclipart-svg"],
        licence="public domain",
        stands_in_for="Caltech101",
        split_unit="numbered series (file name without number)",
    )
