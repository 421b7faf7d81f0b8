"""ATTRIBUTION.md and the licence texts, from sources.yaml and the packages themselves."""

import re
from pathlib import Path

from .sources import Packages, Source

CHANGES = (
    "Changes made to every drawing: rasterised, flattened on white, reduced to 32 x 32 pixels; views of the tasks\n"
    "are also scaled, shifted or turned. Ready images (Fashion-MNIST, MNIST, animal silhouettes) are padded with\n"
    "black from 28 x 28; text is set in the fonts in greys. Captions are made of CLDR names and keywords.\n"
)
SHARE_ALIKE = (
    "Share-alike art lies in archives of its own: OpenMoji (CC BY-SA 4.0) only in\n"
    "`tasks/emoji-domains/test-outline/`, MNIST (usually given as CC BY-SA 3.0) only in `tasks/handwritten-digits/`.\n"
)
MIT_TEXT = """
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
ISC_TEXT = """
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
"""
STANDARD_TEXTS = {
    "MIT": MIT_TEXT,
    "ISC": ISC_TEXT,
    "Apache-2.0": "\nThe text of the Apache License 2.0 is in fonts-Apache-2.0.txt beside this file.\n",
}
LICENCE_FILE = re.compile(r"(^|/)(licen[cs]e|copying|copyright|ofl)[^/]*$", re.IGNORECASE)


def _file_name(source: Source) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", source.name.lower()).strip("-") + ".txt"


def _own_text(packages: Packages, source: Source) -> str | None:
    """Return the licence texts an archive carries, or None."""
    files = packages.files(source.name)
    # Wheels carry the same text twice: beside the data and in the metadata.
    texts = {files[path].decode("utf-8", "replace") for path in sorted(files) if LICENCE_FILE.search(path)}
    return "\n\n".join(sorted(texts)) or None


def _notice(source: Source) -> str:
    return (
        f"{source.name} {source.version}\nCopyright: {source.author}\nLicence: {source.licence}\n"
        "The package carries no licence text; its metadata names the licence above.\n"
        f"{STANDARD_TEXTS.get(source.licence, '')}"
    )


def _table(sources: list[Source]) -> str:
    rows = [f"| {s.name} | {s.version} | {s.author} | {s.licence} | {s.used_for} |" for s in sources]
    return "\n".join(["| package | version | author | licence | used for |", "|---|---|---|---|---|", *rows])


def write_attribution(packages: Packages, data: Path) -> None:
    """Write `ATTRIBUTION.md` and `licences/*.txt` below `data`; fonts share one file per licence."""
    sources = list(packages.sources.values())
    title = "# Attribution\n\nEverything here comes from the packages below, pinned in `sources.yaml`.\n\n"
    (data / "ATTRIBUTION.md").write_text(f"{title}{CHANGES}\n{SHARE_ALIKE}\n{_table(sources)}\n", encoding="utf-8")
    folder = data / "licences"
    folder.mkdir(parents=True, exist_ok=True)
    fonts: dict[str, list[str]] = {}
    for source in sources:
        text = _own_text(packages, source)
        if source.name.startswith("fontpkg-"):
            fonts.setdefault(source.licence, []).append(f"{source.name} {source.version}: {source.author}")
            fonts.setdefault(f"{source.licence} text", [text or ""])
        else:
            (folder / _file_name(source)).write_text(text or _notice(source), encoding="utf-8")
    for licence in ("OFL-1.1", "Apache-2.0"):
        body = "\n".join([*fonts[licence], "", *fonts[f"{licence} text"]])
        (folder / f"fonts-{licence}.txt").write_text(body, encoding="utf-8")
