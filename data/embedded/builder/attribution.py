"""ATTRIBUTION.md and the licence texts, from sources.yaml and the packages themselves."""

import re
from pathlib import Path

from .sources import Packages, Source

TEXTS = Path(__file__).parent / "texts"
CHANGES = (
    "Changes made to every drawing: rasterised, flattened on white, reduced to 32 x 32 pixels; views of the tasks\n"
    "are also scaled, shifted or turned; patches of `icon-fill` are cut out and given other greys.\n"
    "Ready images (Fashion-MNIST, MNIST, animal silhouettes) are padded with black from 28 x 28; text is set in the\n"
    "fonts in greys. Captions are made of CLDR names and keywords. Nobody named here endorses this use.\n"
)
SHARE_ALIKE = (
    "Share-alike art lies in archives of its own: OpenMoji (CC BY-SA 4.0) only in\n"
    "`tasks/emoji-domains/test-outline/`, MNIST (usually given as CC BY-SA 3.0) only in `tasks/handwritten-digits/`.\n"
    "The contact sheets `docs/contact-sheets/emoji-domains.png` (CC BY-SA 4.0) and\n"
    "`docs/contact-sheets/handwritten-digits.png` (CC BY-SA 3.0) show that art and are under its licence.\n"
    "\n"
    "Licence texts, or notices with the address of the text, are in `licences/`, a file for each package; the fonts\n"
    "share `fonts-OFL-1.1.txt` and `fonts-Apache-2.0.txt`. All material is offered without warranties, as those say.\n"
)
LICENCE_FILE = re.compile(r"(^|/)(licen[cs]e[^/]*|copying|ofl)(\.(txt|md))?$", re.IGNORECASE)
DEBIAN_COPYRIGHT = re.compile(r"^usr/share/doc/[^/]+/copyright$")
OFL_BODY = re.compile(r"^-{10,}\s*\nSIL OPEN FONT LICENSE", re.MULTILINE)
FONT = "fontpkg-"
CODE_LICENCES = {"MIT", "ISC", "Apache-2.0"}


def licence_file(source: Source) -> str:
    """Return the name of the file in `licences/` that holds the licence of a package."""
    if source.name.startswith(FONT):
        return f"fonts-{source.licence}.txt"
    return re.sub(r"[^a-z0-9.-]+", "-", source.name.lower()).strip("-") + ".txt"


def _own_texts(packages: Packages, source: Source) -> list[str]:
    """Return the distinct licence texts that an archive carries."""
    files = packages.files(source.name)
    # Wheels carry the same text twice: beside the data and in the metadata.
    paths = [path for path in files if LICENCE_FILE.search(path) or DEBIAN_COPYRIGHT.match(path)]
    return sorted({files[path].decode("utf-8", "replace").strip() for path in paths})


def _standard_texts(source: Source, own: list[str]) -> list[str]:
    """Return the texts here of the licences that `sources.yaml` names and the archive's own texts leave out."""
    known = sorted(path.stem for path in TEXTS.glob("*.txt"))
    names = [name for name in known if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", source.licence)]
    if own:
        # A package that brings a text brings that of its code licence; the licence of its art it only names.
        names = [name for name in names if name not in CODE_LICENCES]
    return [(TEXTS / f"{name}.txt").read_text(encoding="utf-8").strip() for name in names]


def _licence_text(packages: Packages, source: Source) -> str:
    """Return a package's notice, its own licence texts and the standard texts they leave out.

    Raises
    ------
    ValueError
        There is no text at all.
    """
    own = _own_texts(packages, source)
    texts = [*own, *_standard_texts(source, own)]
    if not texts:
        raise ValueError(
            f"{source.name}: no licence text in {source.archive}, nor of {source.licence!r} in {TEXTS.name}/"
        )
    # The texts of MIT and ISC speak of the copyright notice above them; a package's own text brings its own.
    owner = "Author" if own else "Copyright"
    notice = f"{source.name} {source.version}\n{owner}: {source.author}\nLicence: {source.licence}\n"
    changes = "Changed: see ATTRIBUTION.md beside this folder.\n"
    return "\n\n".join([notice + changes, *texts]) + "\n"


def _font_licences(packages: Packages, fonts: list[Source]) -> str:
    """Return the notices of all fonts of one licence, then each distinct licence text once.

    Raises
    ------
    ValueError
        A font carries no licence text.
    """
    notices, bodies = [], []
    for font in fonts:
        own = _own_texts(packages, font)
        if not own:
            raise ValueError(f"{font.name}: no licence text in {font.archive}")
        for text in own:
            start = OFL_BODY.search(text)
            head, body = (text[: start.start()], text[start.start() :]) if start else ("", text)
            notices.append(f"{font.name} {font.version}: {font.author}\n{head}".strip())
            bodies.append(re.sub(r"[ \t\r]+\n", "\n", body).strip())
    return "\n\n".join([*notices, *dict.fromkeys(bodies)]) + "\n"


def _table(sources: list[Source], used_for: dict[str, list[str]]) -> str:
    rows = [f"| {s.name} | {s.version} | {s.author} | {s.licence} | {', '.join(used_for[s.name])} |" for s in sources]
    return "\n".join(["| package | version | author | licence | used for |", "|---|---|---|---|---|", *rows])


def write_attribution(packages: Packages, data: Path, used_for: dict[str, list[str]]) -> None:
    """Write `ATTRIBUTION.md` and `licences/*.txt` below `data`; fonts share one file per licence.

    Parameters
    ----------
    used_for
        Package -> the corpus and tasks that use it.

    Raises
    ------
    ValueError
        A package has no licence text, or nothing uses it.
    """
    sources = list(packages.sources.values())
    unused = [source.name for source in sources if not used_for.get(source.name)]
    if unused:
        raise ValueError(f"nothing uses {', '.join(unused)}: remove them from sources.yaml")
    title = "# Attribution\n\nEverything here comes from the packages below, pinned in `sources.yaml`.\n\n"
    text = f"{title}{CHANGES}\n{SHARE_ALIKE}\n{_table(sources, used_for)}\n"
    (data / "ATTRIBUTION.md").write_text(text, encoding="utf-8")
    folder = data / "licences"
    folder.mkdir(parents=True, exist_ok=True)
    fonts: dict[str, list[Source]] = {}
    for source in sources:
        if source.name.startswith(FONT):
            fonts.setdefault(licence_file(source), []).append(source)
        else:
            (folder / licence_file(source)).write_text(_licence_text(packages, source), encoding="utf-8")
    for name, members in fonts.items():
        (folder / name).write_text(_font_licences(packages, members), encoding="utf-8")
