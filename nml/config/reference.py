"""Write the configuration's reference page and JSON schema from the model, so that they never disagree with it.

`python -m nml.config.reference` writes docs/config.md and docs/config.schema.json; with `--check` it writes nothing,
and fails with a difference if they are out of date.
"""

import argparse
import ast
import difflib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nml import plugins
from nml.artifacts import write_text
from nml.config.schema import Config

DOCS = plugins.PACKAGE.parent / "docs"
# Where each block of the schema stands in a configuration.
BLOCKS = {
    "Config": "Top level",
    "Pretraining": "An entry of `pretraining`",
    "Recipe": "An entry of `recipes`",
    "Augmentation": "`augmentation` of a recipe",
    "ImageTransform": "`image_transform` of a recipe",
    "Method": "An entry of `methods`",
    "ReleasedModel": "An entry of `zoo`",
    "Preprocessing": "`preprocessing` of an entry of `zoo`",
}
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} letter",
    "pattern": "matching `{}`",
}
_INTRODUCTION = """\
# Configuration reference

A configuration is a YAML file: [`config.yaml`](../config.yaml) at the root, or one of [`presets/`](../presets). It is
checked before the first job; a wrong value is refused with its place, what is allowed and an example. This page is
generated (`python -m nml.config.reference`) from the model that checks, in `nml/config/`.

With the line `# yaml-language-server: $schema=docs/config.schema.json` on top, editors complete and check the keys.
"""


def build() -> dict[Path, str]:
    """Return the text of each generated file by its path."""
    schema = json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
    return {DOCS / "config.md": reference_page(), DOCS / "config.schema.json": schema}


def reference_page() -> str:
    """Return the reference page in Markdown."""
    schema = Config.model_json_schema()
    blocks = [_block(name, schema["$defs"].get(name, schema)) for name in BLOCKS]
    return "\n".join([_INTRODUCTION, *blocks, _methods(), _noise_kinds(), _architectures(), _catalogues(), _recipes()])


def _block(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required") or schema.get("else", {}).get("required", [])
    rows = [_row(key, value, key in required) for key, value in schema["properties"].items()]
    table = _table(("key", "value", "default", "description", "example"), rows)
    return f"## {BLOCKS[name]}\n\n{schema['description']}\n\n{table}"


def _row(key: str, schema: dict[str, Any], required: bool) -> tuple[str, ...]:
    default = "required" if required else _default(schema)
    example = f"`{json.dumps(schema['examples'][0])}`" if "examples" in schema else ""
    return f"`{key}`", describe(schema), default, " ".join(schema.get("description", "").split()), example


def _default(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return "its defaults"
    return f"`{json.dumps(schema['default'])}`" if schema.get("default") is not None else "none"


def describe(schema: dict[str, Any]) -> str:
    """Return the values that a part of a JSON schema allows, in words."""
    if "$ref" in schema:
        title = BLOCKS[schema["$ref"].rpartition("/")[2]]
        return f"[{title[0].lower()}{title[1:]}](#{_anchor(title)})"
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(describe(part) for part in alternatives if part.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return _describe_list(schema)
    if schema["type"] == "object":
        values = schema.get("additionalProperties") or next(iter(schema["patternProperties"].values()))
        return f"mapping of names to: {describe(values)}"
    bounds = [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    return " ".join([_TYPES[schema["type"]], ", ".join(bounds)]).strip()


def _describe_list(schema: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}: {describe(schema['prefixItems'][0])}"
    return f"list of: {describe(schema['items'])}"


def _anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def _methods() -> str:
    rows = []
    for name, spec in plugins.tuning_methods().items():
        parameters = "; ".join(f"`{key}` ({value}): {spec.allowed(key)}" for key, value in spec.parameters.items())
        needs = "required" if spec.trained else "refused"
        rows.append((f"`{name}`", _summary(plugins.METHODS, name), needs, parameters or "none"))
    table = _table(("method", "what it is", "`learning_rate`", "own parameters (default)"), rows)
    about = "What is not trained has no learning rate, weight decay, epochs or batch size."
    return f"## The tuning methods\n\nOne file each in `nml/tuning/methods/`. {about}\n\n{table}"


def _noise_kinds() -> str:
    rows = [
        (f"`{name}`", _summary(plugins.NOISE_KINDS, name), declared["CORRUPTS"])
        for name, declared in plugins.noise_kinds().items()
    ]
    table = _table(("kind", "what it is", "it changes"), rows)
    about = "Noise of labels goes with `supervised` recipes, noise of captions with `contrastive` ones."
    return f"## The noise kinds\n\nOne file each in `nml/noise/kinds/`. {about}\n\n{table}"


def _architectures() -> str:
    rows = [
        (f"`{name}`", _summary(plugins.ARCHITECTURES, name), f"`{declared['OBJECTIVE']}`")
        for name, declared in plugins.architectures().items()
    ]
    table = _table(("architecture", "what it is", "objective"), rows)
    libraries = "".join(
        f"- `{library}/<model>`, for `{objective}` recipes\n" for library, objective in plugins.LIBRARIES.items()
    )
    about = "Any model of these libraries, without their weights; a wrong name is refused at the start of the job:"
    own = "One file each in `nml/pretraining/architectures/`:"
    return f"## The architectures\n\n{about}\n\n{libraries}\n{own}\n\n{table}"


def _recipes() -> str:
    about = (
        "Name one under `pretraining`, or build on it with `base` ([pre-training](pretraining.md)). Each value has\n"
        "its source as a comment. What a file does not give has the default of [a recipe](#an-entry-of-recipes).\n"
    )
    files = {name: plugins.PACKAGE / plugins.RECIPES / f"{name}.yaml" for name in plugins.shipped_recipes()}
    shown = [f"### {name}\n\n```yaml\n{file.read_text(encoding='utf-8')}```\n" for name, file in files.items()]
    return "\n".join(["## The shipped recipes\n", about, *shown])


def _catalogues() -> str:
    return (
        "## The corpora and tasks\n\n"
        "They are listed in `nml/corpora/catalogue.yaml` and `nml/tasks/catalogue.yaml`; `nml data` shows them with\n"
        "their size and licence, and says which are on this disk.\n"
    )


def _summary(folder: str, name: str) -> str:
    """Return the first paragraph of a plugin's docstring."""
    source = (plugins.PACKAGE.parent / plugins.source_file(folder, name)).read_text(encoding="utf-8")
    paragraph = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def differences() -> Iterator[str]:
    """Yield the lines of a unified difference between the generated files and what lies in docs/."""
    for path, text in build().items():
        present = path.read_text(encoding="utf-8") if path.is_file() else ""
        names = f"docs/{path.name}", f"docs/{path.name} (generated)"
        yield from difflib.unified_diff(present.splitlines(), text.splitlines(), *names, lineterm="")


def main(arguments: list[str] | None = None) -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(prog="python -m nml.config.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    if not parser.parse_args(arguments).check:
        for path, text in build().items():
            write_text(path, text)
    elif lines := list(differences()):
        print(*lines, sep="\n")
        sys.exit("docs/ is out of date with nml/config/. Run: python -m nml.config.reference")


if __name__ == "__main__":
    main()
