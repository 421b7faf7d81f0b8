# What the rules need to know of released encoders: whose they are, their weights, and the code that builds them.
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
