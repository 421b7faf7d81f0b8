# What code is behind a job: a hash of it is a param of every rule, as docs/architecture.md says.
from nml.codehash import code_hash
from nml.task_entries import readers_of


@cache
def code_of(*files):
    """Hash source files of the project and what they import."""
    return code_hash([Path(workflow.basedir, file) for file in files], kept=Path(".snakemake/nml-code"))


def code(script, *modules):
    """Hash the code behind a rule: its script, what that imports, and modules that it loads by name."""
    return code_of(f"workflow_scripts/{script}.py", *modules)


def noise_code(wildcards):
    kind = noise_kind(wildcards.noise)
    return code("inject_noise", *([plugins.source_file("noise/kinds", kind)] if kind != CLEAN else []))


def features_code(wildcards):
    return code_of("nml/features/extract.py", *features_files(encoder_file(wildcards.encoder), wildcards.task))


@cache
def features_files(architecture, task):
    """Return what reads a task and builds an encoder, which jobs load by name."""
    return [architecture, *reader_files([parsed_task(task).name])]


def reader_files(tasks):
    """Return what reads tasks, which jobs load by name."""
    readers = {
        name for task in tasks for name in readers_of(lookup(plugins.tasks(), task, "task in nml/tasks/catalogue.yaml"))
    }
    return [plugins.source_file(plugins.READERS, name) for name in sorted(readers)]


def tune_code(wildcards):
    return code("tune", *task_noise_files(wildcards.task))


def task_noise_files(task):
    noise = parsed_task(task).noise
    return [plugins.source_file("noise/kinds", noise.kind)] if noise.percent else []


def method_files(methods):
    """Return the files with the code and the declarations of methods."""
    specs = [plugins.tuning_method(CONFIG.methods[name].method or name) for name in methods]
    return sorted({file for spec in specs for file in (spec.file, *spec.declared_in)})


def tune_encoder_code(wildcards):
    return code_of_tuned(encoder_file(wildcards.encoder), wildcards.task, wildcards.method)


@cache
def code_of_tuned(architecture, task, method):
    by_name = [*features_files(architecture, task), *method_files([method]), *task_noise_files(task)]
    return code("tune_encoder", *by_name, *probe_files(method))


def probe_files(method):
    """Return the method that the head of another one starts from, if its configuration says so."""
    values = CONFIG.methods[method].model_dump()
    return [plugins.tuning_method("lp").file] if values.get("initial_head") == "linear-probe" else []


@cache
def architecture_file(recipe):
    architecture = lookup(CONFIG.recipes, recipe, "recipe in the configuration").architecture
    return plugins.architecture_file(architecture)
