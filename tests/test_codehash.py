"""The hash follows what a script can execute: its own code and that of what it imports, and nothing else."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nml import codehash

ROOT = Path(__file__).parents[1]
FILES = {
    "script.py": '"""A script."""\nfrom nml import near\nfrom nml.pack import tool\n\nnear.run(tool.VALUE)\n',
    "nml/__init__.py": '__version__ = "1"\n',
    "nml/near.py": "import nml.far\n\n\ndef run(value):\n    return nml.far.double(value)\n",
    "nml/far.py": "def double(value):\n    return 2 * value\n",
    "nml/pack/__init__.py": "",
    "nml/pack/tool.py": "VALUE = 3\n",
    "nml/other.py": "def unused():\n    return 1\n",
    "data.yaml": "a: 1\n",
}
# What is edited, and the text after the edit.
UNCHANGED = {
    "comment": ("script.py", FILES["script.py"] + "# Why.\n"),
    "docstring of the script": ("script.py", FILES["script.py"].replace("A script.", "Another text.")),
    "docstring of a function": ("nml/far.py", 'def double(value):\n    """Twice."""\n    return 2 * value\n'),
    "docstring of a module": ("nml/far.py", '"""Far."""\n' + FILES["nml/far.py"]),
    "formatting": ("nml/far.py", "def double( value ):\n\n    return (2\n      * value)\n"),
    "quotes": ("nml/pack/tool.py", "VALUE = (3)\n"),
    "a module that is not imported": ("nml/other.py", "def unused():\n    return 2\n"),
    "the version": ("nml/__init__.py", '__version__ = "2"\n'),
    "a data file that is not given": ("data.yaml", "a: 2\n"),
}
CHANGED = {
    "the script": ("script.py", FILES["script.py"].replace("tool.VALUE", "tool.VALUE + 1")),
    "an imported module": ("nml/near.py", FILES["nml/near.py"].replace("value)\n", "value) + 1\n")),
    "a module that an imported module imports": ("nml/far.py", "def double(value):\n    return 3 * value\n"),
    "a constant": ("nml/pack/tool.py", "VALUE = 4\n"),
    "a text that is no docstring": ("nml/pack/tool.py", 'VALUE = 3\nNAME = "x"\n'),
    "a package's own file": ("nml/pack/__init__.py", "import sys\n"),
    "a default": ("nml/far.py", "def double(value=1):\n    return 2 * value\n"),
    "an import": ("nml/far.py", "import nml.other\n\n\ndef double(value):\n    return 2 * value\n"),
}


@pytest.fixture
def hash_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write the small package with one file changed, and hash its script and the given files."""

    def write_and_hash(changed: dict[str, str] | None = None, *data: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in (FILES | (changed or {})).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        monkeypatch.setattr(codehash, "PACKAGE", folder / "nml")
        return codehash.code_hash([folder / "script.py", *(folder / name for name in data)])

    return write_and_hash


def test_the_hash_does_not_depend_on_the_folder(hash_of: Callable) -> None:
    assert hash_of() == hash_of()
    assert len(hash_of()) == 16


@pytest.mark.parametrize(("name", "text"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_cannot_change_the_result_does_not_change_the_hash(hash_of: Callable, name: str, text: str) -> None:
    assert hash_of({name: text}) == hash_of()


@pytest.mark.parametrize(("name", "text"), CHANGED.values(), ids=CHANGED)
def test_what_can_change_the_result_changes_the_hash(hash_of: Callable, name: str, text: str) -> None:
    assert hash_of({name: text}) != hash_of()


def test_files_given_by_path_count(hash_of: Callable) -> None:
    assert hash_of({}, "data.yaml") != hash_of()
    assert hash_of({"data.yaml": "a: 2\n"}, "data.yaml") != hash_of({}, "data.yaml")
    assert hash_of({}, "nml/other.py") != hash_of()
    assert hash_of({"nml/other.py": "X = 1\n"}, "nml/other.py") != hash_of({}, "nml/other.py")


def test_modules_that_import_each_other_are_followed_once(hash_of: Callable) -> None:
    circle = {"nml/far.py": "import nml.near\n" + FILES["nml/far.py"]}
    assert hash_of(circle) == hash_of(circle) != hash_of()


def closure(script: str) -> set[str]:
    files = codehash._closure((ROOT / "workflow_scripts" / script,))
    return {str(path.relative_to(ROOT)) for path in files}


def test_a_real_script_stands_on_its_stage_and_below_and_not_on_later_ones() -> None:
    found = closure("inject_noise.py")
    assert {"nml/noise/inject.py", "nml/artifacts.py", "nml/grid.py"} <= found
    assert not any(path.startswith(("nml/pretraining", "nml/tuning", "nml/reporting")) for path in found)


def test_pretraining_does_not_stand_on_the_code_of_the_noise_kinds() -> None:
    """Who only reads an overlay must not rerun for days because a kind was refactored."""
    found = closure("pretrain.py")
    assert "nml/noise/overlay.py" in found
    assert not any(path.startswith("nml/noise/kinds/") for path in found)


def test_pretraining_does_not_stand_on_the_code_that_checks_the_configuration() -> None:
    """Who rewords a message must not rerun for days."""
    found = closure("pretrain.py")
    assert "nml/config/recipes.py" in found
    assert not {"nml/config/schema.py", "nml/config/load.py", "nml/config/problems.py"} & found


def test_what_only_shows_a_training_does_not_count() -> None:
    assert not {"nml/progress.py", "nml/pretraining/watching.py"} & closure("pretrain.py")
    assert all(path.is_file() for path in codehash.NEUTRAL)


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "workflow_scripts").glob("*.py")))
def test_every_script_can_be_hashed(script: str) -> None:
    assert len(codehash.code_hash([ROOT / "workflow_scripts" / script])) == 16
    assert len(closure(script)) > 1


def test_what_was_read_is_kept_by_the_content_of_the_source(
    hash_of: Callable, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder with the same sources, as after a clone, reads no syntax tree; an edit is read, and counts."""
    kept = tmp_path_factory.mktemp("kept")
    expected, edited = hash_of(), hash_of(dict([CHANGED["a constant"]]))
    monkeypatch.setattr(codehash, "code_hash", partial(codehash.code_hash, kept=kept))
    assert hash_of() == expected
    notes = {note: note.read_bytes() for note in kept.iterdir()}
    with monkeypatch.context() as without:
        without.delattr(codehash, "_parsed")
        assert hash_of() == expected
    assert hash_of(dict([CHANGED["a constant"]])) == edited
    assert len(list(kept.iterdir())) == len(notes) + 1


def test_another_python_reads_for_itself(hash_of: Callable, tmp_path_factory, monkeypatch) -> None:
    kept = tmp_path_factory.mktemp("kept")
    monkeypatch.setattr(codehash, "code_hash", partial(codehash.code_hash, kept=kept))
    hash_of()
    own = {note.name for note in kept.iterdir()}
    monkeypatch.setattr(codehash, "_READER", codehash._READER + b"another version")
    hash_of()
    others = {note.name for note in kept.iterdir()} - own
    assert len(others) == len(own)


@pytest.mark.parametrize("damaged", [b"", b"[1", b"[]"])
def test_a_note_that_is_damaged_is_written_anew(hash_of: Callable, tmp_path_factory, monkeypatch, damaged) -> None:
    kept = tmp_path_factory.mktemp("kept")
    expected = hash_of()
    monkeypatch.setattr(codehash, "code_hash", partial(codehash.code_hash, kept=kept))
    hash_of()
    notes = {note: note.read_bytes() for note in kept.iterdir()}
    for note in notes:
        note.write_bytes(damaged)
    assert hash_of() == expected
    assert {note: note.read_bytes() for note in kept.iterdir()} == notes


def test_where_nothing_can_be_kept_the_hash_is_the_same(hash_of: Callable, tmp_path_factory, monkeypatch) -> None:
    file = tmp_path_factory.mktemp("folder") / "a-file"
    file.touch()
    expected = hash_of()
    monkeypatch.setattr(codehash, "code_hash", partial(codehash.code_hash, kept=file))
    assert hash_of() == expected
