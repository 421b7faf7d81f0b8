"""Rebuild the embedded data, byte for byte, from the packages pinned in sources.yaml.

python data/embedded/build.py            # writes corpora/, tasks/, licences/, ATTRIBUTION.md, contact sheets
python data/embedded/build.py --check    # rebuilds in a temporary folder and compares with what is committed
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from builder.attribution import write_attribution
from builder.compare import differences
from builder.concepts import pretraining_concepts
from builder.corpus import build_corpus, class_table
from builder.drawings import CORPUS_VENDORS, VENDORS, Drawings, read_emoji
from builder.samples import Task
from builder.shards import write_corpus, write_task
from builder.sheets import write_sheets
from builder.sources import Packages
from builder.tasks import build_tasks

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
CORPUS_ABOUT = {
    "labels": "Unicode subgroups",
    "captions": "CLDR name, subgroup and keywords",
    "licence": "CC-BY-4.0 (twemoji, emojione), Apache-2.0 (noto, noto-v1), MIT (fluent)",
    "split_unit": "concept and artist",
}


def used_for(tasks: list[Task]) -> dict[str, list[str]]:
    """Return package -> the corpus and tasks that use it."""
    used = {package: ["corpus"] for package in [*(VENDORS[v] for v in CORPUS_VENDORS), "emojibase-data"]}
    for task in tasks:
        for package in task.sources:
            used.setdefault(package, []).append(task.name)
    return used


def build(packages: Packages, data: Path, sheets: Path) -> None:
    """Write the whole data set below `data` and the contact sheets into `sheets`."""
    drawings = Drawings(packages)
    emoji = read_emoji(packages)
    chosen = pretraining_concepts({e.concept: e.subgroup for e in reversed(emoji)})
    pretraining = [e for e in emoji if e.concept in chosen]
    classes, splits = build_corpus(pretraining, drawings)
    write_corpus(data / "corpora" / "emoji", "emoji", classes, splits, CORPUS_ABOUT)
    (data / "corpora" / "emoji" / "classes.csv").write_text(class_table(pretraining), encoding="utf-8")
    names = [e.name for e in pretraining]
    tasks = build_tasks(packages, drawings, [e for e in emoji if e.concept not in chosen], names)
    for task in tasks:
        write_task(data / "tasks" / task.name, task)
    write_attribution(packages, data, used_for(tasks))
    write_sheets(sheets, classes, splits, tasks)


def main() -> int:
    """Parse the command line, build or check; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare a fresh build with the committed files")
    parser.add_argument("--downloads", type=Path, default=REPOSITORY / "build" / "embedded-sources")
    arguments = parser.parse_args()
    packages = Packages(arguments.downloads)
    if not arguments.check:
        build(packages, HERE, REPOSITORY / "docs" / "contact-sheets")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        build(packages, Path(folder) / "data", Path(folder) / "sheets")
        found = differences(Path(folder) / "data", HERE)
    print("\n".join(found) if found else "identical: the committed shards are what the pinned packages give")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
