"""What the stages offer, learned from literals in their source files, without importing them (torch takes seconds).

A tuning method, a noise kind or an architecture is one file; its module-level literals are its declaration. Every
declaration is checked here, once, when it is first read.
"""

import ast
import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from nml.errors import UserError

if TYPE_CHECKING:
    from nml.task_entries import EmbeddedTask, TaskEntry

PACKAGE = Path(__file__).parent
METHODS, NOISE_KINDS, ARCHITECTURES = "tuning/methods", "noise/kinds", "pretraining/architectures"
READERS = "tasks/readers"
"""The folder of each stage's plug-ins, below the package."""
RECIPES = "pretraining/recipes"
"""The folder of the shipped recipes, one YAML file each, below the package."""
LIBRARIES = {"timm": "supervised", "torchvision": "supervised", "open_clip": "contrastive"}
"""Libraries whose models are architectures by the name `<library>/<model>`, and the objective that they serve."""
PATHS_FILE = Path("data/paths.yaml")
"""Optional, one a machine: where corpora and data sets of tasks lie that are not at the catalogue's path."""
TASKS_FOLDER = "data/tasks"
"""Where the real data sets of tasks lie, each in a folder named as its place."""
HEADS = ("linear", "mlp", "residual-mlp", "own")
"""Heads of trained methods (see `nml.tuning.heads`); with `own`, the method's file defines it."""
COMMON_PARAMETERS = ("learning_rate", "weight_decay", "epochs", "batch_size")
"""The hyper-parameters of every trained method; the others are a method's own."""
FROZEN = "frozen"
ENCODERS = {FROZEN: (), "full": ("tuning/whitebox.py",), "lora": ("tuning/whitebox.py", "tuning/lora.py")}
"""What a method does to the encoder, and the files that declare the hyper-parameters which go with it."""

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class MethodSpec:
    """What a tuning method's file says of itself.

    Attributes
    ----------
    name : str
    trained : bool
        Whether it has the common hyper-parameters, `COMMON_PARAMETERS`.
    head : str
        What a trained method puts on the features: one of `HEADS`; empty for one that is not trained.
    parameters : dict
        Its own hyper-parameters and their defaults; where the default is an integer or a truth value, every value must
        be one.
    bounds : dict
        The smallest and the largest allowed value of an own hyper-parameter; None, or no entry, for no limit.
    per_head : tuple
        The own hyper-parameters that may differ between stacked heads; the loss gets them as tensors [H].
    views : int
        How many views of each sample the loss sees in a step, 1 or 2.
    file : str
        The file that declares it: relative to the root of the project, or absolute if it is not the project's.
    encoder : str
        What it does to the encoder: one of `ENCODERS`.
    choices : dict
        The allowed values of an own hyper-parameter that is a word.
    """

    name: str
    trained: bool
    head: str = ""
    parameters: dict[str, int | float | str] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict)
    per_head: tuple[str, ...] = ()
    views: int = 1
    file: str = ""
    encoder: str = FROZEN
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def allowed(self, parameter: str) -> str:
        """Return in words which values an own hyper-parameter may have, such as `a whole number, at least 1`."""
        if parameter in self.choices:
            return f"one of {', '.join(self.choices[parameter])}"
        if isinstance(self.parameters[parameter], bool):
            return "true or false"
        low, high = self.bounds.get(parameter, (None, None))
        kind = "a whole number" if isinstance(self.parameters[parameter], int) else "a number"
        limits = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
        return ", ".join([kind, *limits])

    def accepts(self, parameter: str, value: Any) -> bool:
        """Tell whether an own hyper-parameter may have this value."""
        if parameter in self.choices:
            return value in self.choices[parameter]
        if isinstance(self.parameters[parameter], bool):
            return isinstance(value, bool)
        kinds = int if isinstance(self.parameters[parameter], int) else int | float
        if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
            return False
        low, high = self.bounds.get(parameter, (None, None))
        return (low is None or value >= low) and (high is None or value <= high)


def source_file(folder: str, name: str) -> str:
    """Return a plug-in's file, relative to the root of the project: the dashes of its name are underscores there.

    `source_file("tuning/methods", "lora-nmtune")` is `nml/tuning/methods/lora_nmtune.py`.
    """
    return str(PurePosixPath(PACKAGE.name, folder, f"{name.replace('-', '_')}.py"))


def module_name(folder: str, name: str) -> str:
    """Return the dotted name to import a plug-in by, such as `nml.tuning.methods.lora_nmtune`."""
    return source_file(folder, name).removesuffix(".py").replace("/", ".")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a wrong one was probably meant to be, or None."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), None)


@cache
def tuning_methods() -> dict[str, MethodSpec]:
    """Return the tuning methods by name; raise `UserError` for a wrong file, as every reader here does."""
    return read_methods(PACKAGE / METHODS)


@cache
def tuning_method(name: str) -> MethodSpec:
    """Return one tuning method: by its name, or by the path of a file of one's own, such as `experiments/mine.py`.

    Raises
    ------
    UserError
        If there is no such method (the nearest known one is named) or file, or the file's declaration is wrong.
    """
    if name.endswith(".py"):
        return _method_of_file(Path(name))
    methods = tuning_methods()
    if name not in methods:
        meant = nearest(name, methods)
        hint = f" (did you mean '{meant}'?)" if meant else ""
        raise UserError(f"there is no tuning method '{name}'{hint}; methods: {', '.join(methods)}")
    return methods[name]


def changes_encoder(method: str) -> bool:
    """Tell whether a tuning method changes the encoder, and so has jobs of its own."""
    return tuning_method(method).encoder != FROZEN


@cache
def noise_kinds() -> dict[str, dict[str, Any]]:
    """Return the noise kinds by name.

    `CORRUPTS` says what each changes, `labels` or `captions`, and `GROUPS` whether it needs groups of classes (if not
    there, False). `DEFINITION` is to be raised when a change of the file changes what is corrupted.
    """
    return _declarations(PACKAGE / NOISE_KINDS, _noise_kind_problem)


def task_noise_kinds() -> list[str]:
    """Return the noise kinds that the labels of any task can have: groups of classes are known of corpora alone."""
    return [name for name, own in noise_kinds().items() if own["CORRUPTS"] == "labels" and not own.get("GROUPS")]


@cache
def architectures() -> dict[str, dict[str, Any]]:
    """Return the architectures by name; `OBJECTIVE` says which recipes each serves."""
    return _declarations(PACKAGE / ARCHITECTURES, _architecture_problem)


def architecture_objective(name: str) -> str | None:
    """Return the objective that an architecture serves, going by its file or library; None if there is neither."""
    library, slash, _ = name.partition("/")
    return LIBRARIES.get(library) if slash else architectures().get(name, {}).get("OBJECTIVE")


def architecture_file(name: str) -> str:
    """Return the file that builds an architecture, relative to the root: its own, or that of its library."""
    library, slash, _ = name.partition("/")
    return source_file(ARCHITECTURES, f"_{library}" if slash else name)


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in (PACKAGE / RECIPES).glob("*.yaml"))


@cache
def shipped_recipe(name: str) -> dict[str, Any]:
    """Return the values of a shipped recipe, as a configuration would give them."""
    return yaml.safe_load((PACKAGE / RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def corpora() -> dict[str, dict[str, Any]]:
    """Return the corpus catalogue, `nml/corpora/catalogue.yaml`, each corpus where `PATHS_FILE` says that it lies.

    Raises
    ------
    UserError
        If `PATHS_FILE` does not map names of corpora to paths.
    """
    entries = _corpus_entries()
    for name, path in _paths_elsewhere().items():
        if "path" in entries.get(name, {}):
            entries[name]["path"] = path
    return entries


def _corpus_entries() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((PACKAGE / "corpora" / "catalogue.yaml").read_text(encoding="utf-8"))


@cache
def _corpus_paths() -> dict[str, str]:
    """Return the folders of the corpora as the catalogue has them."""
    return {name: entry["path"] for name, entry in _corpus_entries().items() if "path" in entry}


def _paths_elsewhere() -> dict[str, str]:
    try:
        paths = yaml.safe_load(PATHS_FILE.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{PATHS_FILE} cannot be read as YAML: {error}") from None
    if not isinstance(paths, dict) or not all(isinstance(path, str) for path in paths.values()):
        raise UserError(f"{PATHS_FILE} must have a line `<name>: <folder>` for each data set that lies elsewhere.")
    known = [*_corpus_paths(), *_places()]
    for name in paths:
        if name not in known:
            meant = nearest(str(name), known)
            hint = f" (did you mean '{meant}'?)" if meant else ""
            raise UserError(
                f"{PATHS_FILE}: there is no corpus or data set '{name}' with a path{hint}; allowed: {', '.join(known)}."
            )
    return paths


@cache
def task_readers() -> dict[str, dict[str, Any]]:
    """Return the readers of tasks by name; `OPTIONS` maps what each is told to the default, None where it must be."""
    return _declarations(PACKAGE / READERS, lambda name, literals: _lacks(literals, "OPTIONS", dict))


@cache
def tasks() -> "dict[str, EmbeddedTask | TaskEntry]":
    """Return the task catalogue, `nml/tasks/catalogue.yaml`.

    Raises
    ------
    UserError
        If an entry is wrong; it names the entry and the key.
    """
    return read_tasks(PACKAGE / "tasks" / "catalogue.yaml")


def read_tasks(file: Path) -> "dict[str, EmbeddedTask | TaskEntry]":
    """Return a task catalogue in its typed form; raise what `tasks` does."""
    # Only here: pydantic takes longer to import than all else that this module needs.
    from nml.task_entries import check_entries

    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as YAML: {error}") from None
    readers = {name: literals["OPTIONS"] for name, literals in task_readers().items()}
    return check_entries(entries, readers, str(file))


def place_of(name: str) -> Path:
    """Return the folder of a place: where `PATHS_FILE` says, else a corpus' own, else below `TASKS_FOLDER`."""
    if name in (elsewhere := _paths_elsewhere()):
        return Path(elsewhere[name])
    return Path(_corpus_paths().get(name, f"{TASKS_FOLDER}/{name}"))


def _places() -> list[str]:
    entries = tasks().values()
    return sorted({place for entry in entries if hasattr(entry, "places") for place in entry.places})


def read_literals(path: Path) -> dict[str, Any]:
    """Return the UPPER_CASE names that a module assigns a literal (number, string, list, dict of these).

    Raises
    ------
    UserError
        If the file is not Python.
    """
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as Python: {error}. Mend it, or move it out of this folder.") from None
    assignments = (node for node in body if isinstance(node, ast.Assign))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in assignments
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper() and _is_literal(node.value)
    }


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def read_methods(folder: Path) -> dict[str, MethodSpec]:
    """Return the tuning methods of a folder by name, in alphabetical order.

    Raises
    ------
    UserError
        If a file is not Python, lacks one of the literals, or gives a value that is not allowed.
    """
    declared = _declarations(folder, _method_problem)
    return {name: _method(name, literals, source_file(METHODS, name)) for name, literals in declared.items()}


def _method_of_file(path: Path) -> MethodSpec:
    if not path.is_file():
        raise UserError(f"there is no file {path} with a tuning method; paths count from the folder of the Snakefile.")
    return _method(str(path), _declaration(path, _method_problem), str(path.resolve()))


def _method(name: str, literals: dict[str, Any], file: str = "") -> MethodSpec:
    encoder = literals.get("ENCODER", FROZEN)
    given = {key: literals[key.upper()] for key in ("head", "per_head", "views") if key.upper() in literals}
    given |= {key: _with_encoder(encoder, key.upper(), literals) for key in ("parameters", "bounds", "choices")}
    return MethodSpec(name, literals["TRAINED"], file=file, encoder=encoder, **given)


def _with_encoder(encoder: str, literal: str, own: dict[str, Any]) -> dict[str, Any]:
    """Return a method's own declarations, and those that go with what it does to the encoder."""
    files = [_literals_of(file) for file in ENCODERS.get(encoder, ())]
    return {key: value for part in [*files, own] for key, value in part.get(literal, {}).items()}


@cache
def _literals_of(file: str) -> dict[str, Any]:
    return read_literals(PACKAGE / file)


def _declarations(folder: Path, problem: Callable[[str, dict[str, Any]], str | None]) -> dict[str, dict[str, Any]]:
    """Return the literals of every plug-in file of a folder, by the plug-in's name.

    `problem(name, literals)` says what is wrong with a declaration, or None.
    """
    files = (path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_"))
    return {_plugin_name(path): _declaration(path, problem) for path in files}


def _declaration(path: Path, problem: Callable[[str, dict[str, Any]], str | None]) -> dict[str, Any]:
    literals = read_literals(path)
    if wrong := _name_problem(path.stem) or problem(_plugin_name(path), literals):
        raise UserError(f"{path}: {wrong}.")
    return literals


def _plugin_name(path: Path) -> str:
    return path.stem.replace("_", "-")


def _name_problem(stem: str) -> str | None:
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", stem):
        return None
    return "name the file with small letters, digits and single underscores, such as my_plugin.py"


def _lacks(literals: dict[str, Any], name: str, kind: type) -> str | None:
    if isinstance(literals.get(name), kind):
        return None
    return f"it needs a line {name} = <a literal of type {kind.__name__}>"


def _noise_kind_problem(name: str, literals: dict[str, Any]) -> str | None:
    if any(letter.isdigit() for letter in name) or name in ("clean", "untrained"):
        return f"a noise kind cannot be called '{name}': digits are for its percent; clean and untrained are taken"
    allowed = ("labels", "captions")
    if literals.get("CORRUPTS") not in allowed:
        return f"CORRUPTS is {literals.get('CORRUPTS')!r}; it needs a line CORRUPTS = one of {allowed}"
    return _lacks(literals, "DEFINITION", int) or _lacks(
        literals | {"GROUPS": literals.get("GROUPS", False)}, "GROUPS", bool
    )


def _architecture_problem(name: str, literals: dict[str, Any]) -> str | None:
    allowed = ("supervised", "contrastive")
    if literals.get("OBJECTIVE") not in allowed:
        return f"OBJECTIVE is {literals.get('OBJECTIVE')!r}; it needs a line OBJECTIVE = one of {allowed}"
    return _lacks(literals, "IMAGE_SIZE", int)


def _method_problem(name: str, literals: dict[str, Any]) -> str | None:
    kinds = [("TRAINED", bool), ("PARAMETERS", dict)]
    kinds += [(key, kind) for key, kind in (("PER_HEAD", tuple), ("VIEWS", int)) if key in literals]
    if lack := next(filter(None, (_lacks(literals, *kind) for kind in kinds)), None):
        return lack
    optional = [key for key in ("BOUNDS", "CHOICES") if key in literals]
    if lack := next(filter(None, (_lacks(literals, key, dict) for key in optional)), None):
        return lack
    spec = _method(name, literals)
    return _encoder_problem(spec) or _head_problem(spec) or _parameters_problem(spec)


def _encoder_problem(spec: MethodSpec) -> str | None:
    if spec.encoder not in ENCODERS:
        return f"ENCODER is '{spec.encoder}'; allowed: {', '.join(ENCODERS)}"
    if spec.encoder != FROZEN and spec.head != "linear":
        return f"ENCODER is '{spec.encoder}' and HEAD '{spec.head}'; a tuned encoder has a 'linear' head"
    if spec.encoder != FROZEN and spec.views != 1:
        return f"ENCODER is '{spec.encoder}' and VIEWS {spec.views}; a tuned encoder sees one view of each image"
    if spec.encoder != FROZEN and spec.per_head:
        return f"ENCODER is '{spec.encoder}', and there is PER_HEAD; encoders are tuned one by one: leave it out"
    return None


def _head_problem(spec: MethodSpec) -> str | None:
    if not spec.trained:
        return f"HEAD is '{spec.head}', but TRAINED is False; only trained methods have a head" if spec.head else None
    if spec.head not in HEADS:
        return f"HEAD is '{spec.head}'; allowed: {', '.join(HEADS)}"
    if spec.head.endswith("mlp") and not {"width", "depth"} <= spec.parameters.keys():
        return 'PARAMETERS lacks the width (over that of the features) or depth of an MLP; add "width": 1.0, "depth": 2'
    if spec.views not in (1, 2):
        return f"VIEWS is {spec.views}; allowed: 1 or 2"
    return None


def _parameters_problem(spec: MethodSpec) -> str | None:
    if clash := sorted(set(spec.parameters) & set(COMMON_PARAMETERS)):
        return f"PARAMETERS has {', '.join(clash)}, which all trained methods have; leave it out"
    for key, default in spec.parameters.items():
        is_switch = isinstance(default, bool) and key not in spec.bounds
        if key not in spec.choices and not is_switch and not _is_number(default):
            return f"PARAMETERS gives '{key}' the default {default!r}; it must be a finite number, or have CHOICES"
    if unknown := sorted(set(spec.per_head) - set(spec.parameters)):
        return f"PER_HEAD names {', '.join(unknown)}, which PARAMETERS has not"
    if not _are_bounds(spec.bounds, spec.parameters):
        return 'BOUNDS must give own parameters their (smallest, largest), such as {"k": (1, None)}'
    for key, default in spec.parameters.items():
        if not spec.accepts(key, default):
            return f"PARAMETERS gives '{key}' the default {default!r}, and BOUNDS allows {spec.allowed(key)}"
    return None


def _are_bounds(bounds: Any, parameters: dict[str, Any]) -> bool:
    return isinstance(bounds, dict) and all(
        key in parameters
        and isinstance(pair, tuple)
        and len(pair) == 2
        and all(limit is None or _is_number(limit) for limit in pair)
        for key, pair in bounds.items()
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
