"""The jobs that a configuration asks of Snakemake, one a row of outputs, as `rules/*.smk` define them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nml import plugins
from nml.config.grid import data_sets_of, encoders_of, pictured_noises
from nml.config.schema import Config
from nml.grid import ZOO, Encoder, Noise, cell_path, encoder_dir, spectrum_path
from nml.reporting.labels import FIGURES, TABLES
from nml.task_entries import TaskEntry

ENCODER_RULES = ("pretrain", "initialise_encoder", "import_encoder")
# The rules of each stage, in the order of the data's flow.
STAGES = {
    "index": ("index_corpus",),
    "noise": ("inject_noise", "draw_noise"),
    "pretraining": ("pretrain", "initialise_encoder"),
    "released encoders": ("import_encoder",),
    "tasks": ("fetch_task", "draw_tasks"),
    "features, tuning, spectra": ("tune", "tune_encoder"),
    "reporting": ("build_tables", "draw_figures", "write_report"),
}


@dataclass(frozen=True)
class Job:
    """One job: its rule, what tells it from the rule's other jobs, and the files it makes."""

    rule: str
    name: str
    outputs: tuple[str, ...]

    @cached_property
    def log(self) -> Path:
        return Path("results/logs", f"{self.rule}/{self.name}.log" if self.name else f"{self.rule}.log")

    def is_done(self) -> bool:
        """Tell whether every output is there; whether it is up to date is for Snakemake to say."""
        return all(Path(output).is_file() for output in self.outputs)


def jobs_of(config: Config) -> list[Job]:
    """Return every job of a configuration, stage by stage."""
    encoders = encoders_of(config)
    pairs = [(encoder, task) for encoder in encoders for task in config.tasks]
    corpora = dict.fromkeys(family.corpus for family in config.pretraining)
    noises = dict.fromkeys(f"{encoder.corpus}/{encoder.noise}" for encoder in encoders if encoder.is_trained)
    tasks = data_sets_of(config)
    real = [task for task in tasks if isinstance(plugins.tasks()[task], TaskEntry)]
    return [
        *(_job("index_corpus", name, f"results/corpora/{name}", "index.parquet", "manifest.json") for name in corpora),
        *(
            _job("inject_noise", name, f"results/noise/{name}", "manifest.json", "transitions.parquet")
            for name in noises
        ),
        *(_picture_job(corpus, noise) for corpus, noise in pictured_noises(config)),
        *map(_encoder_job, encoders),
        *(_job("fetch_task", name, f"results/tasks/{name}", "ready.json") for name in real),
        _job("draw_tasks", "", "results/figures/tasks", *(f"{name}.png" for name in tasks)),
        *(job for encoder, task in pairs for job in _tuning_jobs(config, encoder, task)),
        _job("build_tables", "", "results/tables", "main.txt", *(f"{name}.parquet" for name in TABLES)),
        _job("draw_figures", "", "results/figures", *(f"{name}.png" for name in FIGURES)),
        _job("write_report", "", "results/report", "index.html"),
    ]


def cells_of(config: Config, encoder: Encoder, task: str) -> tuple[str, ...]:
    """Return the paths of the cells of an encoder and a task, one a method."""
    return tuple(str(cell_path(encoder, task, method)) for method in sorted(config.methods))


def _picture_job(corpus: str, noise: Noise) -> Job:
    return _job("draw_noise", f"{corpus}/{noise}", f"results/figures/noise/{corpus}", f"{noise}.png", f"{noise}.pdf")


def _encoder_job(encoder: Encoder) -> Job:
    folder = str(encoder_dir(encoder))
    if encoder.corpus == ZOO:
        return _job("import_encoder", encoder.recipe, folder, "model.safetensors", "meta.json")
    if encoder.is_trained:
        return _job("pretrain", str(encoder), folder, "model.safetensors", "meta.json", "log.csv")
    name = f"{encoder.corpus}/{encoder.recipe}/s{encoder.seed}"
    return _job("initialise_encoder", name, folder, "model.safetensors", "meta.json")


def _tuning_jobs(config: Config, encoder: Encoder, task: str) -> Iterator[Job]:
    """Yield the job of all methods on features, and one for each method that changes the encoder."""
    pair = f"{encoder}/{task}"
    names = sorted(config.methods)
    alone = [name for name in names if plugins.changes_encoder(config.methods[name].method or name)]
    together = [name for name in names if name not in alone]
    yield Job("tune", pair, (*_cell_files(encoder, task, together), str(spectrum_path(encoder, task))))
    for name in alone:
        yield Job("tune_encoder", f"{pair}/{name}", _cell_files(encoder, task, [name]))


def _cell_files(encoder: Encoder, task: str, methods: list[str]) -> tuple[str, ...]:
    cells = [str(cell_path(encoder, task, method)).removesuffix(".parquet") for method in methods]
    return tuple(cell + end for cell in cells for end in (".parquet", ".predictions.parquet", ".meta.json"))


def _job(rule: str, name: str, folder: str, *files: str) -> Job:
    return Job(rule, name, tuple(f"{folder}/{file}" for file in files))
