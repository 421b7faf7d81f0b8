"""The generated reference page and JSON schema are in step with the model, and agree with it."""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nml import plugins
from nml.config import reference
from nml.config.schema import Config, Method

ROOT = Path(__file__).parents[2]


def test_the_files_in_docs_are_up_to_date() -> None:
    assert list(reference.differences()) == []


def test_the_check_fails_with_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    reference.main([])
    reference.main(["--check"])
    page = tmp_path / "config.md"
    page.write_text(page.read_text().replace("Seed of the noise", "Seed of something"))
    with pytest.raises(SystemExit) as caught:
        reference.main(["--check"])
    assert caught.value.code not in (0, None)
    assert "+| `noise_seed` |" in capsys.readouterr().out


def test_every_key_of_every_block_is_described() -> None:
    page, definitions = reference.reference_page(), Config.model_json_schema()["$defs"]
    for block in (Config.model_json_schema(), *definitions.values()):
        for key, schema in block["properties"].items():
            assert f"| `{key}` |" in page
            assert schema.get("description"), f"{block['title']}.{key} has no description"
    assert set(reference.BLOCKS) == {"Config", *definitions}


def test_the_parameters_of_every_method_are_listed() -> None:
    page = reference.reference_page()
    for name, spec in plugins.tuning_methods().items():
        line = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        for key, default in spec.parameters.items():
            assert f"`{key}` ({default}): {spec.allowed(key)}" in line


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *sorted((ROOT / "presets").glob("*.yaml"))], ids=str)
def test_the_schema_accepts_what_the_model_accepts(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), Config.model_json_schema())


def test_the_schema_refuses_what_editors_should_mark(values: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(Config.model_json_schema())
    assert validator.is_valid(values)
    for wrong in ({"task": []}, {"seeds": 0}, {"tasks": "emoji"}, {"methods": {"lp": {"epochs": "ten"}}}):
        assert not validator.is_valid(copy.deepcopy(values) | wrong)


def test_the_common_parameters_are_those_of_the_model() -> None:
    assert {*plugins.COMMON_PARAMETERS, "method", "views"} == set(Method.model_fields)
