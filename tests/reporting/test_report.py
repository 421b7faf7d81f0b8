import json
import re
from html.parser import HTMLParser

import pytest

from nml.errors import UserError
from nml.reporting.labels import FIGURES, TABLES
from nml.reporting.report import write_report

EMPTY = ("fractions", "ablations", "zoo")
"""Tables that the page leaves out where they have no rows."""
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Collects links, images and tables, and checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tables = 0

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.sources += [values["src"]] if "src" in values else []
        self.links += [values["href"]] if "href" in values else []
        self.ids += [values["id"]] if "id" in values else []
        self.tables += tag == "table"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report):
    parsed = Page()
    parsed.feed(report.read_text())
    assert not parsed.open
    return parsed


def test_it_holds_every_figure_and_every_table(page):
    assert len(page.sources) == len(FIGURES)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert set(FIGURES) <= set(page.ids)
    assert page.tables == len(TABLES) - len(EMPTY) + 3


def test_it_needs_no_network(report, page):
    text = report.read_text()
    assert "http:" not in text and "https:" not in text and "<script src" not in text
    assert not any(link.startswith(("/", "//")) for link in page.links)


def test_its_links_lead_to_files_that_exist(report, page):
    assert sum(link.endswith(".pdf") for link in page.links) == len(FIGURES)
    for link in page.links:
        place = link.removeprefix("#")
        assert place in page.ids if link.startswith("#") else (report.parent / link).is_file(), link


def test_it_says_what_was_run_and_how_to_rerun_a_cell(report):
    text = report.read_text()
    assert "<h1>A made-up study</h1>" in text
    for name, value in (("encoders", 12), ("tasks", 15), ("cells", 720)):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in text
    assert re.search(r"snakemake --cores 1 results/cells/emoji/clip-mini/clean/s0/\S+/lp\.parquet", text)
    assert "single pre-training seed" in text
    captions = re.findall(r'<p class="caption">.*>Parquet</a>|<figcaption>.*</figcaption>', text)
    assert len(captions) == len(TABLES) - len(EMPTY) + len(FIGURES)
    assert all("Pre-training seeds: 1; tuning seeds: 3." in caption for caption in captions)


def test_it_opens_with_the_claims(report):
    text = report.read_text()
    assert text.index('id="claims"') < text.index('id="main"') < text.index('id="figures"')
    opening = text[text.index('id="claims"') : text.index("<details")]
    assert [f"<td>{claim}</td>" in opening for claim in ("C1", "C2", "C3", "C4", "C5")] == [True] * 5


def test_every_cell_is_in_the_page(report):
    text = report.read_text()
    data = json.loads(re.search(r'id="cell-data">(.*?)</script>', text).group(1))
    assert len(data) == 720
    row = next(row for row in data if row[:3] == ["emoji/resnet-mini/clean/s0", "task-00", "lp"])
    assert row[3] == "done" and 0 < row[4] < 100 and row[5:] == ["", "", "", ""]


def test_names_are_escaped(tables_dir, figures_dir, tmp_path):
    write_report(tables_dir, figures_dir, tmp_path / "index.html", "<b>a & b</b>")
    assert "<h1>&lt;b&gt;a &amp; b&lt;/b&gt;</h1>" in (tmp_path / "index.html").read_text()


def test_a_rerun_gives_the_same_bytes(tables_dir, figures_dir, report):
    before = report.read_bytes()
    write_report(tables_dir, figures_dir, report, "A made-up study")
    assert report.read_bytes() == before


def test_a_missing_figure_is_named(tables_dir, tmp_path):
    with pytest.raises(UserError, match=r"noise_curves\.png does not exist"):
        write_report(tables_dir, tmp_path, tmp_path / "index.html", "title")


def test_pictures_of_tasks_are_shown_by_name(tables_dir, figures_dir, tmp_path):
    (tmp_path / "dtd.png").write_bytes(b"picture")
    write_report(tables_dir, figures_dir, tmp_path / "index.html", "Run", task_pictures=[tmp_path / "dtd.png"])
    text = (tmp_path / "index.html").read_text()
    assert "data:image/png;base64,cGljdHVyZQ==" in text
    assert 'id="task-dtd"' in text and "1 tasks" not in text


def test_a_missing_picture_of_a_task_is_named(tables_dir, figures_dir, tmp_path):
    with pytest.raises(UserError, match=r"dtd\.png does not exist\. Make it: snakemake"):
        write_report(tables_dir, figures_dir, tmp_path / "index.html", "Run", task_pictures=[tmp_path / "dtd.png"])


def test_no_id_is_twice_and_the_cost_is_shown(report):
    text = report.read_text()
    ids = re.findall(r'<[^>]*\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert '<details id="cost">' in text


def test_a_study_without_released_encoders_has_no_section_on_them(report):
    assert "Released encoders</h2>" not in report.read_text(encoding="utf-8")
