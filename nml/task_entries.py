"""What an entry of the task catalogue says, checked: the typed form of `nml/tasks/catalogue.yaml`.

An entry with a `path` alone describes a task that comes with this project. All others are real data sets, in one or
more layouts on disk.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nml.errors import UserError

Group = Literal["id", "ood", "source", "robustness"]
"""In-domain; another domain; an OOD task's own domain, in neither average; ImageNet's variants."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Option = str | int | list[str]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Download(_Strict):
    """One file to fetch.

    Attributes
    ----------
    urls : list of str
        Where it is had, in order of preference; all give the same bytes.
    into : str
        The folder below the place that an archive is unpacked into, or another file put into.
    strip : str
        A folder in the archive whose content is put one level up.
    place : str
        Whose folder that is; empty for the entry's own.
    sha256, md5 : str
        In hexadecimal; empty where no source states it.
    bytes : int
        Its size; 0 where no source states it.
    """

    urls: list[str] = Field(min_length=1)
    into: str = ""
    strip: str = ""
    place: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    md5: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    bytes: int = Field(default=0, ge=0)


class Part(_Strict):
    """One part of a data set on disk: what is trained on, or one test set.

    Attributes
    ----------
    samples : int
        How many it has; another number on disk is refused.
    options : dict
        What the reader is told, beside the layout's own options.
    needs : list of str
        Files and folders, below its place, without which it is not here; beside the layout's own.
    place : str
        Whose folder it lies in; empty for the entry's own.
    reader : str
        The format; empty for the layout's.
    labels : str
        A file of the project that lists the folder names of the classes that occur; empty if all do. Predictions
        are taken among these alone.
    """

    samples: int = Field(gt=0)
    options: dict[str, Option] = {}
    needs: list[str] = []
    place: str = ""
    reader: str = ""
    labels: str = ""


class Layout(_Strict):
    """One form that a data set has on disk.

    Attributes
    ----------
    reader : str
        The format, a file in `nml/tasks/readers`.
    variant : str
        Which training split it has: `papers` if it is the one of the papers' code. It is recorded with the results.
    access : str
        How this form is had, where that is not by the entry's downloads.
    validation : Part
        The official validation set, where the papers' code does not train on it; without it, validation samples are
        held out from the training part.
    """

    reader: str
    variant: Name
    options: dict[str, Option] = {}
    needs: list[str] = []
    access: str = ""
    train: Part
    validation: Part | None = None
    tests: dict[Name, Part]

    @property
    def parts(self) -> dict[str, Part]:
        """All parts by name: `train`, perhaps `validation`, and each test set."""
        official = {"validation": self.validation} if self.validation else {}
        return {"train": self.train, **official, **self.tests}

    def reader_of(self, part: Part) -> str:
        """Return the format of a part."""
        return part.reader or self.reader

    def options_of(self, part: Part) -> dict[str, Option]:
        """Return what the reader of a part is told."""
        return part.options if part.reader else self.options | part.options

    def needs_of(self, part: Part) -> list[str]:
        """Return what must lie in the place of a part."""
        return part.needs if part.place else self.needs + part.needs


class EmbeddedTask(_Strict):
    """A task that comes with this project; its folder says the rest."""

    path: str
    tests: dict[Name, Group] = Field(min_length=1)


class TaskEntry(_Strict):
    """A real data set.

    Attributes
    ----------
    title : str
    place : str
        The name of its folder in `data/tasks`, and in `data/paths.yaml`; tasks may share one.
    classes : int
    class_names : str
        A file of the project with one row a class, by label: a `.csv` with a column `name`, or one name a line.
    class_folders : str
        The column of that `.csv` that names the folder of each class; empty if the names themselves do.
    metric : str
        The one that is customary; all are computed.
    size : str
        On disk.
    access : str
        What to do where no download is listed, because of a gate or a dead link.
    unchecked : str
        Which of these facts nobody compared with the real files.
    """

    title: str
    place: Name
    classes: int = Field(gt=1)
    class_names: str
    class_folders: str = ""
    metric: Literal["accuracy", "mean_per_class_accuracy"]
    licence: str
    size: str
    tests: dict[Name, Group] = Field(min_length=1)
    layouts: dict[Name, Layout] = Field(min_length=1)
    downloads: list[Download] = []
    access: str = ""
    unchecked: str = ""

    @model_validator(mode="after")
    def _has_the_same_tests_everywhere(self) -> "TaskEntry":
        for name, layout in self.layouts.items():
            if list(layout.tests) != list(self.tests):
                own, others = ", ".join(self.tests), ", ".join(layout.tests)
                raise ValueError(f"it has the tests {own}, and its layout '{name}' {others}")
        if not self.downloads and not self.access:
            raise ValueError("an entry without downloads needs `access`: what to do to get the data")
        return self

    @property
    def places(self) -> list[str]:
        """Every place that it reads from, its own first."""
        others = (part.place for layout in self.layouts.values() for part in layout.parts.values())
        return list(dict.fromkeys([self.place, *filter(None, others), *(d.place for d in self.downloads if d.place)]))


def readers_of(entry: EmbeddedTask | TaskEntry) -> list[str]:
    """Return the names of the readers that an entry's layouts may need."""
    layouts = [] if isinstance(entry, EmbeddedTask) else entry.layouts.values()
    return sorted({layout.reader_of(part) for layout in layouts for part in layout.parts.values()})


def check_entries(entries: Any, readers: dict[str, dict[str, Any]], file: str) -> dict[str, EmbeddedTask | TaskEntry]:
    """Return a catalogue in its typed form.

    Parameters
    ----------
    entries : what the YAML file holds
    readers : the options of every reader with their defaults; None for one that must be given
    file : its name, for errors

    Raises
    ------
    UserError
        Naming the entry, the key, and what is wrong.
    """
    if not isinstance(entries, dict):
        raise UserError(f"{file} must map each task's name to its entry.")
    return {str(name): _entry(str(name), entry, readers, file) for name, entry in entries.items()}


def _entry(name: str, entry: Any, readers: dict[str, dict[str, Any]], file: str) -> EmbeddedTask | TaskEntry:
    if not isinstance(entry, dict):
        raise UserError(f"{file}: the entry '{name}' must have keys and values; it is {entry!r}.")
    try:
        if "path" in entry:
            return EmbeddedTask.model_validate(entry)
        checked = TaskEntry.model_validate({"place": name} | entry)
    except ValidationError as error:
        problems = "".join(f"\n  {_in_words(problem)}" for problem in error.errors())
        raise UserError(f"{file}: the entry '{name}' is wrong:{problems}") from None
    if problem := _reader_problem(checked, readers):
        raise UserError(f"{file}: the entry '{name}' is wrong:\n  {problem}")
    return checked


def _in_words(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"])) or "as a whole"
    if problem["type"] == "missing":
        return f"{where}: is missing"
    if problem["type"] == "extra_forbidden":
        return f"{where}: there is no such key"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _reader_problem(entry: TaskEntry, readers: dict[str, dict[str, Any]]) -> str | None:
    for layout_name, layout in entry.layouts.items():
        for name, part in layout.parts.items():
            reader, where = layout.reader_of(part), f"layouts.{layout_name}.{name}"
            if reader not in readers:
                return f"{where}: there is no reader '{reader}' in nml/tasks/readers: {', '.join(readers)}"
            if problem := _options_problem(layout.options_of(part), readers[reader]):
                return f"{where}: the reader '{reader}' {problem}"
    return None


def _options_problem(given: dict[str, Option], declared: dict[str, Any]) -> str | None:
    if unknown := sorted(set(given) - set(declared)):
        return f"has no option '{unknown[0]}': {', '.join(declared)}"
    if lacking := [option for option, default in declared.items() if default is None and option not in given]:
        return f"needs the option '{lacking[0]}'"
    for option, value in given.items():
        default = declared[option]
        if default is not None and type(value) is not type(default):
            return f"takes a {type(default).__name__} as '{option}', such as {default!r}; given is {value!r}"
    return None
