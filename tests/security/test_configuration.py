"""No text of a configuration can reach a shell as more than text, whatever keys the configuration will have."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from nml import plugins
from nml.config.load import check_config, load_config
from nml.config.schema import Config
from nml.errors import UserError

HOSTILE = [
    *("; touch canary", "$(touch canary)", "`touch canary`", "a\ntouch canary", "a\n", "' ; touch canary ; '"),
    *(
        '" ; touch canary ; "',
        "| touch canary",
        "& touch canary",
        "../../canary",
        "/canary",
        "--canary",
        "{input}",
        "*",
    ),
    *("<script>alert(1)</script>", "$(touch canary).py", "a;touch canary/mine.py", "\\x00", "a\x00b", "~/../canary"),
]
Location = tuple[str | int, ...]


def places(annotation: Any, here: Location = ()) -> Iterator[tuple[Location, bool]]:
    """Yield where a configuration holds text: its location, and whether it is a key of a mapping."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is str or origin is Literal:
        yield here, False
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from places(field.annotation, (*here, name))
    elif origin is dict:
        yield here, True
        yield from places(arguments[1], (*here, "*"))
    elif origin in (list, tuple):
        yield from places(arguments[0], (*here, 0))
    elif origin in (Annotated, Union, UnionType):
        for part in arguments[:1] if origin is Annotated else arguments:
            yield from places(part, here)


def base_values() -> dict[str, Any]:
    """Return a configuration that has every block."""
    common = {"objective": "supervised", "epochs": 2, "batch_size": 16, "learning_rate": 0.001}
    recipe = {"architecture": "timm/resnet18", "image_transform": {"size": 32}, **common}
    released = {"library": "timm", "architecture": "resnet18", "weights": "mine.safetensors", "preprocessing": {}}
    return {
        "name": "test",
        "pretraining": [{"corpus": "emoji", "recipe": "own", "noise": {"symmetric": [5]}}],
        "recipes": {"own": recipe},
        "zoo": {"model": released},
        "tasks": list(plugins.tasks())[:1],
        "methods": {"lp": {"learning_rate": 0.1}},
        "watch": [],
    }


def with_text(location: Location, is_key: bool, text: str) -> tuple[dict[str, Any], str]:
    """Return a configuration with a text at a location, and the path under which an error names that."""
    values = copy.deepcopy(base_values())
    here: Any = values
    path = []
    for step in location if is_key else location[:-1]:
        step = next(iter(here)) if step == "*" else step
        path.append(str(step))
        here = here[step]
    if is_key:
        here[text] = next(iter(here.values()), {})
        return values, ".".join(path)
    last = next(iter(here)) if location[-1] == "*" else location[-1]
    if isinstance(here, list):
        here[last:] = [text]
    else:
        here[last] = text
    return values, ".".join([*path, str(last)])


PLACES = sorted(set(places(Config)), key=str)


def test_every_kind_of_text_is_found() -> None:
    found = {".".join(map(str, location)) + ("{}" if is_key else "") for location, is_key in PLACES}
    expected = {
        "name",
        "pretraining.0.corpus",
        "pretraining.0.noise{}",
        "recipes{}",
        "recipes.*.architecture",
        "tasks.0",
    }
    expected |= {"recipes.*.base", "recipes.*.image_transform.rand_augment", "methods{}", "methods.*.method", "watch.0"}
    assert expected <= found


def test_the_configuration_without_them_is_right() -> None:
    check_config(base_values())


@pytest.mark.parametrize(("location", "is_key"), PLACES, ids=lambda value: str(value))
def test_text_that_a_shell_would_act_on_is_refused_by_name(
    location: Location, is_key: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in HOSTILE:
        values, path = with_text(location, is_key, text)
        with pytest.raises(UserError) as refusal:
            check_config(values)
        # At the start of a line, as an error names a key: `name` alone stands in nearly any sentence.
        assert re.search(rf"^\W*{re.escape(path)}(?!\w)", str(refusal.value), re.MULTILINE), (text, str(refusal.value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["own_word", "ensemble; touch canary", "$(touch canary)"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_methods_own_keys_take_no_text_either(key: str, text: str) -> None:
    values = base_values()
    values["methods"]["lp"] |= {key: text}
    with pytest.raises(UserError, match=r"methods\.lp"):
        check_config(values)


@pytest.mark.parametrize("method", sorted(plugins.tuning_methods()))
def test_words_that_choose_are_those_that_are_declared(method: str) -> None:
    for key in plugins.tuning_methods()[method].choices:
        for text in HOSTILE:
            values = base_values()
            values["methods"] = {method: {"learning_rate": 0.1, key: text}}
            with pytest.raises(UserError, match=rf"methods\.{method}\.{key}"):
                check_config(values)


@pytest.mark.parametrize(
    "line",
    [
        "name: !!python/object/apply:os.system ['touch canary']",
        "name: !!python/object/new:os.system ['touch canary']",
        "name: !!python/name:os.system",
        "!!python/object/apply:os.system ['touch canary']",
    ],
)
def test_yaml_makes_no_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(line)
    with pytest.raises(UserError, match="is not valid YAML"):
        load_config("own.yaml")
    assert not Path("canary").exists()


def test_names_in_the_catalogues_hold_nothing_that_a_shell_acts_on() -> None:
    names = json.dumps([*plugins.corpora(), *plugins.tasks(), *plugins.noise_kinds(), *plugins.tuning_methods()])
    assert not set(names) & set("$`;|&<>()*?~!\\'")
