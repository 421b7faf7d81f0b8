"""The drawings of every emoji by every vendor, and the names, keywords and subgroups of the emoji."""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from PIL import Image

from .concepts import concept, normalise
from .images import flatten, render_svg
from .sources import Packages

VENDORS = {
    "twemoji": "@iconify-json/twemoji",
    "noto": "@iconify-json/noto",
    "noto-v1": "@iconify-json/noto-v1",
    "emojione": "@iconify-json/emojione",
    "fluent-flat": "@iconify-json/fluent-emoji-flat",
    "fluent-gradient": "@iconify-json/fluent-emoji",
    "fluent-3d": "@lobehub/fluent-emoji-3d",
    "fluent-hc": "@iconify-json/fluent-emoji-high-contrast",
    "openmoji": "@iconify-json/openmoji",
}
# These sets carry no code points; their icons are named as those of a set that does.
NAMED_LIKE = {"noto-v1": "noto", "emojione": "noto", "fluent-gradient": "fluent-flat"}
FLUENT = ("fluent-flat", "fluent-gradient", "fluent-3d")
CORPUS_VENDORS = ("twemoji", "noto", "noto-v1", "emojione", *FLUENT)


def artist(vendor: str) -> str:
    """Return the drawing family of a vendor's style: styles of one artist share their drawings."""
    return vendor.split("-")[0]


def vendors_in(keys: Iterable[str]) -> list[str]:
    """Return the packages whose drawings the keys `<unit>__<vendor>-v<view>` name, in the order of `VENDORS`."""
    found = {key.split("__")[1].rsplit("-v", 1)[0] for key in keys}
    return [package for vendor, package in VENDORS.items() if vendor in found]


@dataclass(frozen=True)
class Emoji:
    """One Unicode emoji: normalised code points, its concept, CLDR name and keywords, group, subgroup, skin tones."""

    code: str
    concept: str
    name: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    tones: tuple[tuple[str, str], ...]


def read_emoji(packages: Packages) -> list[Emoji]:
    """Return all emoji with a subgroup, in Unicode order, without components and country flags."""
    files = packages.files("emojibase-data")
    names = json.loads(files["meta/groups.json"])
    rows = [row for row in json.loads(files["en/data.json"]) if row.get("group") not in (None, 2, 9)]
    return [
        Emoji(
            code=normalise(row["hexcode"]),
            concept=concept(row["hexcode"]),
            name=row["label"],
            tags=tuple(row.get("tags", ())),
            group=names["groups"][str(row["group"])],
            subgroup=names["subgroups"][str(row["subgroup"])],
            tones=tuple(
                (normalise(skin["hexcode"]), skin["label"])
                for skin in row.get("skins", ())
                if isinstance(skin["tone"], int)
            ),
        )
        for row in rows
    ]


def icon_svg(data: dict, name: str, colour: str = "#000000") -> str:
    """Return the SVG of one icon of an Iconify set, following aliases."""
    entry = data["icons"].get(name) or {**data["icons"][data["aliases"][name]["parent"]], **data["aliases"][name]}
    box = [
        entry.get(k, data.get(k, default)) for k, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    ]
    view_box = " ".join(map(str, box))
    body = entry["body"].replace("currentColor", colour)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view_box}" width="{box[2]}" height="{box[3]}">{body}</svg>'
    )


class Drawings:
    """Finds and rasterises the drawing of an emoji by a vendor."""

    def __init__(self, packages: Packages) -> None:
        self.packages = packages

    @cache  # noqa: B019 - one instance lives as long as the build
    def icon_set(self, package: str) -> dict:
        """Return an Iconify set: `icons`, `aliases`, `width`, `height`."""
        return json.loads(self.packages.files(package)["icons.json"])

    @cache  # noqa: B019
    def index(self, vendor: str) -> dict[str, str]:
        """Return normalised code points -> icon name (or file) of a vendor."""
        if vendor in NAMED_LIKE:
            icons = self.icon_set(VENDORS[vendor])
            known = {*icons["icons"], *icons.get("aliases", {})}
            return {code: name for code, name in self.index(NAMED_LIKE[vendor]).items() if name in known}
        files = self.packages.files(VENDORS[vendor])
        if vendor == "fluent-3d":
            paths = [path for path in files if path.endswith(".webp")]
            return {normalise(path.removeprefix("assets/").removesuffix(".webp")): path for path in paths}
        return {normalise(code): name for code, name in json.loads(files["chars.json"]).items()}

    def has(self, code: str, vendor: str) -> bool:
        """Tell whether a vendor drew this emoji."""
        return code in self.index(vendor)

    @cache  # noqa: B019
    def image(self, code: str, vendor: str) -> Image.Image:
        """Return the drawing on white as an RGB square of 128 pixels or more."""
        name = self.index(vendor)[code]
        if vendor == "fluent-3d":
            return flatten(Image.open(io.BytesIO(self.packages.files(VENDORS[vendor])[name])))
        return flatten(render_svg(icon_svg(self.icon_set(VENDORS[vendor]), name)))
