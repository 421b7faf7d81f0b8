# Encoders that others have released, in the form of those that are trained here: no rule after this one tells them apart.
from nml.grid import ZOO, Encoder, encoder_dir


def released(name):
    return lookup(CONFIG.zoo, name, "released model under zoo in the configuration")


@cache
def released_file(name):
    """Return the file that builds a released model."""
    model = released(name)
    return plugins.architecture_file(f"{model.library}/{model.architecture}")


def released_weights(wildcards):
    """Return the file that the configuration names for a released model; those from the hub are no inputs."""
    file = released(wildcards.model).weights
    made = encoder_dir(Encoder.released(wildcards.model)) / "model.safetensors"
    if file and not Path(file).is_file() and not Path(made).is_file():
        raise WorkflowError(f"zoo.{wildcards.model}.weights: {file} is not there. Put it there, or name where it lies.")
    return file or []


def released_json(wildcards):
    return released(wildcards.model).model_dump_json()


def released_code(wildcards):
    return code("import_encoder", released_file(wildcards.model))


def encoder_file(address):
    """Return the file that builds an encoder."""
    corpus, recipe = address.split("/")[:2]
    if corpus != ZOO:
        return architecture_file(recipe)
    return released_file(recipe)


rule import_encoder:
    input:
        released_weights,
    output:
        model="results/encoders/zoo/{model}/released/s0/model.safetensors",
        meta="results/encoders/zoo/{model}/released/s0/meta.json",
    log:
        "results/logs/import_encoder/{model}.log",
    benchmark:
        "results/benchmarks/import_encoder/{model}.jsonl"
    params:
        model=released_json,
        code=released_code,
    # What is wrong with a name, or missing on the hub, should be known early.
    priority: 2
    resources:
        mem_mb=asks("import_encoder", "mem_mb"),
        runtime=asks("import_encoder", "runtime"),
    conda:
        "../envs/environment.yaml"
    wildcard_constraints:
        model=NAME,
    # Nodes of a cluster often have no way out.
    localrule: True
    script:
        "../workflow_scripts/import_encoder.py"
