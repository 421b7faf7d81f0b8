"""The catalogues as they are shipped."""

import re
from importlib.metadata import entry_points

from nml import plugins


def test_test_sets_have_known_groups() -> None:
    groups = {group for task in plugins.tasks().values() for group in task.tests.values()}
    assert groups == {"id", "ood", "source", "robustness"}


def test_the_program_that_fetches_from_the_hub_comes_with_the_environment() -> None:
    files = [plugins.PACKAGE / folder / "catalogue.yaml" for folder in ("corpora", "tasks")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    programs = set(re.findall(r"([\w-]+) download [\w/.-]+ --repo-type", text))
    assert programs and programs <= entry_points(group="console_scripts").names
