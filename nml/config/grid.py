"""The grid that a configuration spans."""

from nml.config.schema import Config
from nml.grid import UNTRAINED, Encoder, Noise, TaskAddress


def encoders_of(config: Config) -> list[Encoder]:
    """Return the trained encoders, each family's clean one first, the untrained controls, one a seed, and the zoo."""
    trained = [
        Encoder(family.corpus, family.recipe, noise, seed)
        for family in config.pretraining
        for noise in [Noise(), *(Noise(kind, percent) for kind, ps in family.noise.items() for percent in ps)]
        for seed in range(family.seeds)
    ]
    controls = [Encoder(encoder.corpus, encoder.recipe, Noise(UNTRAINED), encoder.seed) for encoder in trained]
    return list(dict.fromkeys([*trained, *controls, *map(Encoder.released, config.zoo)]))


def data_sets_of(config: Config) -> list[str]:
    """Return the tasks of the catalogue, each once, whatever noise the configuration adds to their labels."""
    return list(dict.fromkeys(TaskAddress.parse(task).name for task in config.tasks))


def pictured_noises(config: Config) -> list[tuple[str, Noise]]:
    """Return each corpus and noise kind with its highest percent: what a kind does, and most of it."""
    noises = [
        (family.corpus, Noise(kind, percent))
        for family in config.pretraining
        for kind, percents in family.noise.items()
        for percent in percents
    ]
    highest = {(corpus, noise.kind): (corpus, noise) for corpus, noise in sorted(noises)}
    return list(highest.values())
