"""The catalogues as they are shipped."""

from nml import plugins


def test_test_sets_have_known_groups() -> None:
    groups = {group for task in plugins.tasks().values() for group in task.tests.values()}
    assert groups == {"id", "ood", "source", "robustness"}
