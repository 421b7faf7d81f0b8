"""The files of plug-ins are found by their names."""

from pathlib import Path

import pytest

from nml import plugins

ROOT = Path(__file__).parents[2]


def test_the_files_of_plugins_are_found_by_their_names() -> None:
    assert plugins.source_file("tuning/methods", "lora-nmtune") == "nml/tuning/methods/lora_nmtune.py"
    assert plugins.module_name("tuning/methods", "lora-nmtune") == "nml.tuning.methods.lora_nmtune"
    folders = {
        plugins.METHODS: plugins.tuning_methods(),
        plugins.NOISE_KINDS: plugins.noise_kinds(),
        plugins.ARCHITECTURES: plugins.architectures(),
    }
    for folder, names in folders.items():
        assert all((ROOT / plugins.source_file(folder, name)).is_file() for name in names)


@pytest.mark.parametrize(
    ("found", "names", "keys"),
    [
        (plugins.noise_kinds, {"symmetric", "swap"}, {"CORRUPTS", "DEFINITION"}),
        (plugins.architectures, {"resnet-mini", "clip-mini"}, {"OBJECTIVE", "IMAGE_SIZE"}),
        (plugins.corpora, {"emoji"}, {"has", "source", "licence", "access", "samples", "size"}),
    ],
)
def test_every_plugin_declares_what_its_stage_needs(found: object, names: set[str], keys: set[str]) -> None:
    declared = found()
    assert names <= set(declared)
    for name, values in declared.items():
        assert keys <= set(values), name
