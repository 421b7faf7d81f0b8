"""The documentation points at files and headings that exist."""

import re
from pathlib import Path

import pytest
import yaml

from nml.config.grid import encoders_of
from nml.config.load import check_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "results/README.md", *sorted(ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED = re.compile(r"`((?:nml|docs|rules|tests|benchmarks|presets|profiles|workflow_scripts|data/embedded)/[\w./-]+)`")


def anchors(page: Path) -> set[str]:
    """Return the anchors that headings give: lower case, spaces as hyphens, other punctuation dropped."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    missing = [path for path in NAMED.findall(page.read_text(encoding="utf-8")) if not (ROOT / path).exists()]
    assert missing == []


def test_the_page_of_results_is_of_the_configuration_that_it_names() -> None:
    page = (ROOT / "docs/results-mini.md").read_text(encoding="utf-8")
    assert "`config.yaml` with `seeds: 3` in both entries of `pretraining`" in page
    values = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config = check_config(values | {"pretraining": [family | {"seeds": 3} for family in values["pretraining"]]})
    encoders = len(encoders_of(config))
    cells = encoders * len(config.tasks) * len(config.methods)
    assert f"\nEncoders: {encoders} (" in page and f"\nCells: {cells}. " in page and f"{cells:,}" in page
