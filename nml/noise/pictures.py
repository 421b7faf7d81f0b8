"""A picture of a noise: who became whom, and some of the corrupted samples."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure

from nml.artifacts import read_json, save_figure
from nml.corpora.catalogue import Corpus
from nml.corpora.shards import CorruptImage, decode_caption, decode_image, decode_label, read_samples
from nml.noise.overlay import read_overlay
from nml.seeds import hash_keys

COLUMNS, ROWS = 4, 4
SHOWN = COLUMNS * ROWS
CLEAN_COLOUR, NOISY_COLOUR = "#333333", "#B22222"
# Classes are named on the axes only where the names can be read.
NAMED_CLASSES = 30
LETTERS, LINES = 24, 3
RC = {"font.size": 7, "axes.titlesize": 8, "pdf.fonttype": 42, "savefig.dpi": 200}


@dataclass(frozen=True)
class Corrupted:
    """A corrupted sample: its image uint8 [H, W, 3], what it had, and what it has."""

    image: np.ndarray
    clean: str
    noisy: str


def draw_noise(corpus: Corpus, noise_dir: Path, stem: Path) -> None:
    """Draw the transitions between classes and some corrupted samples, as `<stem>.png` (200 dpi) and `<stem>.pdf`.

    Of a corpus without classes there are the samples alone.

    Parameters
    ----------
    corpus : the clean shards
    noise_dir : `results/noise/<corpus>/<noise>`
    stem : such as `results/figures/noise/emoji/symmetric-20`

    Raises
    ------
    UserError
        If a shard or an overlay is missing or damaged.
    """
    manifest = read_json(noise_dir / "manifest.json")
    samples = list(islice(_corrupted(corpus, noise_dir, manifest["overlay"]), SHOWN))
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(7.5 if corpus.class_names else 4.3, 4.4), layout="constrained")
        figure.suptitle(_title(manifest))
        if corpus.class_names:
            left, right = figure.subfigures(1, 2, width_ratios=(3.3, 4.2))
            transitions = pq.read_table(noise_dir / "transitions.parquet").to_pydict()
            _draw_transitions(left, transitions, corpus.class_names)
        else:
            right = figure.subfigures(1, 1)
        _draw_samples(right, samples)
        save_figure(figure, stem)


def _title(manifest: dict[str, Any]) -> str:
    return (
        f"{manifest['noise']} on {manifest['corpus']}: {manifest['changed']:,} of {manifest['samples']:,} samples, "
        f"{manifest['realised_percent']:.2f} %"
    )


def _corrupted(corpus: Corpus, noise_dir: Path, overlays: dict[str, str]) -> Iterator[Corrupted]:
    """Yield corrupted samples, a few of each shard, so that a page shows more than one part of the corpus.

    Those whose image cannot be decoded are passed over.
    """
    shards = corpus.shards["train"]
    per_shard = -(-SHOWN // len(shards))
    # The first shards of a pool are of one member, and the first class folders are alike.
    for place in np.argsort(hash_keys([shard.name for shard in shards], salt="picture"), kind="stable"):
        shard = shards[place]
        changes = read_overlay(noise_dir, shard.name, overlays[shard.name])
        # By a hash: the first of a shard are often of one class.
        order = np.argsort(hash_keys(changes, salt="picture"), kind="stable")[:per_shard]
        chosen = {key: changes[key] for key in np.array(list(changes), dtype=object)[order]}
        samples = read_samples([shard.path]) if chosen else iter(())
        for sample in islice((s for s in samples if shard.prefix + s["__key__"] in chosen), len(chosen)):
            with suppress(CorruptImage):
                yield Corrupted(decode_image(sample), *_words(corpus, sample, chosen[shard.prefix + sample["__key__"]]))


def _words(corpus: Corpus, sample: dict[str, Any], change: dict[str, Any]) -> tuple[str, str]:
    if "caption" in change:
        return decode_caption(sample, corpus.empty_captions), change["caption"]
    names = corpus.class_names
    return names[decode_label(sample, len(names))], names[change["label"]]


def _draw_transitions(place: SubFigure, transitions: dict[str, list[int]], class_names: list[str]) -> None:
    counts = np.zeros((len(class_names), len(class_names)))
    counts[transitions["label"], transitions["noisy_label"]] = transitions["samples"]
    axes = place.add_subplot()
    # Logarithmic: where few classes are confused, they would outshine all others.
    norm = LogNorm(1, max(counts.max(), 2))
    picture = axes.imshow(np.ma.masked_equal(counts, 0), cmap="viridis_r", norm=norm, interpolation="nearest")
    place.colorbar(picture, ax=axes, label="samples", shrink=0.7, pad=0.02)
    axes.set_title("From class (down) to class (across)")
    _name_classes(axes, class_names)


def _name_classes(axes: Axes, class_names: list[str]) -> None:
    if len(class_names) > NAMED_CLASSES:
        axes.set_xlabel("noisy label")
        axes.set_ylabel("true label")
        return
    axes.set_xticks(range(len(class_names)), class_names, rotation=90)
    axes.set_yticks(range(len(class_names)), class_names)


def _draw_samples(place: SubFigure, samples: list[Corrupted]) -> None:
    grid = place.subplots(ROWS, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, sample in zip(grid.flat, samples, strict=False):
        axes.imshow(sample.image)
        axes.set_title(_short(sample.clean), fontsize=5, color=CLEAN_COLOUR, pad=2)
        axes.text(
            0.5, -0.04, _short(sample.noisy), fontsize=5, color=NOISY_COLOUR, ha="center", va="top",
            transform=axes.transAxes,
        )  # fmt: skip


def _short(text: str) -> str:
    """Wrap a text to lines of the width of a picture; `$` is no formula."""
    lines = fill(text.replace("$", r"\$"), LETTERS).splitlines()
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], lines[LINES - 1][: LETTERS - 1] + "…"])
