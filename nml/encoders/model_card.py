"""The README of an exported encoder: what it is, what it was trained on, and how to load it."""

from typing import Any

import nml
from nml import plugins
from nml.grid import CLEAN, UNTRAINED, Encoder, Noise

_CARD = """\
---
library_name: {library}
tags: [noisy-model-learning]
license: other
license_name: data-dependent
---

# {address}

An encoder for the study of noise in pre-training data (Noisy Model Learning), made with nml {version}. It is meant for
comparing noise ratios, not for use in a product.

| | |
|---|---|
{facts}

## Loading

```python
{usage}
```

Images: {images}.

## Licence

The weights were trained on {corpus}, whose licence the catalogue of nml gives as: {licence}. What that allows for
weights is for you to judge.
"""


def model_card(
    meta: dict[str, Any], preprocessing: dict[str, Any], library: str, usage: str, checksums: dict[str, str]
) -> str:
    """Return the card of an encoder in Markdown.

    Parameters
    ----------
    meta : the encoder's `meta.json`
    preprocessing : how its images are prepared, as in its header
    library : what loads it
    usage : lines of Python that do
    checksums : SHA-256 by name of file
    """
    encoder = Encoder.parse(meta["address"])
    facts = _facts(encoder, meta) | {f"SHA-256 of `{name}`": f"`{digest}`" for name, digest in checksums.items()}
    return _CARD.format(
        library=library,
        address=encoder,
        version=nml.__version__,
        facts="\n".join(f"| {name} | {value} |" for name, value in facts.items()),
        usage=usage,
        images=_images(preprocessing),
        corpus=encoder.corpus,
        licence=plugins.corpora().get(encoder.corpus, {}).get("licence", "not known here"),
    )


def _facts(encoder: Encoder, meta: dict[str, Any]) -> dict[str, str]:
    recipe = meta["recipe"]
    size = f"{recipe['epochs']} epochs, {recipe['batch_size']} images a step"
    facts = {"corpus": encoder.corpus, "noise": _noise(encoder.noise), "pre-training seed": str(encoder.seed)}
    if (realised := meta["realised_noise_percent"]) is not None:
        facts["realised noise"] = f"{realised:g} % of the samples"
    facts["recipe"] = f"`{encoder.recipe}`: {meta['objective']}, `{meta['architecture']}`, {size}"
    if (accuracy := meta["validation_accuracy"]) is not None:
        facts["accuracy on clean validation data"] = f"{accuracy:.2%}"
    return facts


def _noise(noise: Noise) -> str:
    names = {CLEAN: "none", UNTRAINED: "none: this is the untrained initialisation, a control"}
    return names.get(noise.kind, f"{noise.kind}, {noise.percent:g} %")


def _images(preprocessing: dict[str, Any]) -> str:
    said = (f"{name} {value}" for name, value in preprocessing.items())
    return "RGB with values from 0 to 1; " + "; ".join(said)
