"""A picture of a task: some images of its training split with their classes, and how many samples each class has."""

import io
import logging
import textwrap
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageOps

from nml.artifacts import atomic_path
from nml.errors import UserError
from nml.seeds import hash_keys
from nml.tasks.task import Task, list_split, open_task, read_rows

logger = logging.getLogger("nml")

COLUMNS, ROWS = 10, 4
SIDE, GAP, NAME = 64, 5, 14
"""Pixels of a thumbnail, between two, and of the line that names one."""
LETTERS = 10
NAMED_BARS = 12
"""Up to so many classes, each bar has its name."""
BAR_COLOUR, ERROR_COLOUR = "#0072B2", "#B00020"
LINE = 130
"""Letters of a line of what is wrong with a task."""
SIZE = (7.2, 2.5)
SHEET, HISTOGRAM, NAMED_HISTOGRAM = (0.005, 0.0, 0.62, 0.9), (0.7, 0.18, 0.29, 0.68), (0.77, 0.18, 0.22, 0.68)
"""Width and height in inches, and left, bottom, width and height of the parts as shares of them."""
RC = {
    "font.size": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "savefig.dpi": 150,
}


def draw_tasks(files: Iterable[tuple[str, Path]]) -> None:
    """Draw each task, by its name, into its file; in the place of a damaged one stands what is wrong with it.

    That is logged as an error too. So one damaged image holds up neither the other pictures nor the report.
    """
    for name, file in files:
        try:
            draw_task(open_task(name), file)
        except UserError as error:
            said = f"{error}\nOnce it is mended, draw the tasks again: snakemake --forcerun draw_tasks"
            logger.error("the task '%s' cannot be drawn: %s", name, said)
            _draw_error(name, said, file)


def draw_task(task: Task, file: Path) -> None:
    """Draw a contact sheet and the class histogram of a task's training split as a PNG with 256 colours.

    Raises
    ------
    UserError
        If a file, image or label of the task is missing or damaged.
    """
    keys, labels = list_split(task, "train")
    counts = np.bincount(labels, minlength=len(task.class_names))
    named = len(counts) <= NAMED_BARS
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=SIZE)
        figure.text(0.01, 0.95, task.name, fontsize=8, weight="bold", va="center")
        figure.text(0.99, 0.95, _facts(counts), ha="right", va="center")
        _draw_sheet(figure.add_axes(SHEET), task, sample_rows(labels, keys), labels)
        _draw_histogram(figure.add_axes(NAMED_HISTOGRAM if named else HISTOGRAM), counts, task.class_names)
        _save(figure, file)


def _draw_error(name: str, said: str, file: Path) -> None:
    lines = [line for paragraph in said.splitlines() for line in textwrap.wrap(paragraph, LINE)]
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=SIZE)
        figure.text(0.01, 0.95, f"{name}: cannot be drawn", fontsize=8, weight="bold", va="center", color=ERROR_COLOUR)
        figure.text(0.01, 0.86, "\n".join(lines), va="top", color=ERROR_COLOUR, parse_math=False)
        _save(figure, file)


def sample_rows(labels: np.ndarray, keys: list[str]) -> np.ndarray:
    """Choose which samples are shown where: ints [ROWS, columns], -1 for none.

    With at most COLUMNS classes, each has a column, or a block of as many columns as there is room for. More classes
    follow each other line by line, with as many samples each as there is room for; if they are too many, some are
    shown, spread evenly over the labels. By a hash of the key: the first of a class are often alike.
    """
    order = np.lexsort((hash_keys(keys, salt="contact sheet"), labels))
    classes, first, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    shown = np.linspace(0, len(classes) - 1, min(len(classes), ROWS * COLUMNS)).round().astype(int)
    width = COLUMNS // len(classes)
    blocks = np.full((len(shown), ROWS * width or ROWS * COLUMNS // len(shown)), -1)
    for block, start, size in zip(blocks, first[shown], sizes[shown], strict=True):
        own = order[start : start + min(size, len(block))]
        block[: len(own)] = own
    if width:
        return np.concatenate([block.reshape(ROWS, width) for block in blocks], axis=1)
    rows = np.full(ROWS * COLUMNS, -1)
    rows[: blocks.size] = blocks.ravel()
    return rows.reshape(ROWS, COLUMNS)


def _facts(counts: np.ndarray) -> str:
    low, high = counts.min(), counts.max()
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{counts.sum():,} training samples, {len(counts):,} classes with {each} each"


def _draw_sheet(axes: Axes, task: Task, rows: np.ndarray, labels: np.ndarray) -> None:
    shown = np.unique(rows[rows >= 0])
    images = dict(
        zip(shown.tolist(), (_thumbnail(image) for _, image, _ in read_rows(task, "train", shown)), strict=True)
    )
    in_blocks = len(np.unique(labels)) <= COLUMNS
    line_height = SIDE + (GAP if in_blocks else NAME)
    sheet = np.full((NAME + ROWS * line_height, COLUMNS * (SIDE + GAP), 3), 255, dtype=np.uint8)
    for (line, column), row in np.ndenumerate(rows):
        if row >= 0:
            top, left = NAME + line * line_height, column * (SIDE + GAP)
            sheet[top : top + SIDE, left : left + SIDE] = images[row]
    axes.imshow(sheet, interpolation="lanczos")
    axes.axis("off")
    axes.set_anchor("NW")
    for line, column, span, label in _names(rows, labels, in_blocks):
        if in_blocks and column:
            axes.axvline(column * (SIDE + GAP) - (GAP + 1) / 2, color="0.6", linewidth=0.6)
        middle = column * (SIDE + GAP) + (span * (SIDE + GAP) - GAP) / 2
        below = NAME - 4 if in_blocks else NAME + line * line_height + SIDE + NAME - 5
        axes.text(middle, below, _short(task.class_names[label], span * LETTERS), fontsize=5, ha="center")


def _names(rows: np.ndarray, labels: np.ndarray, in_blocks: bool) -> list[tuple[int, int, int, int]]:
    """Return line, column, number of columns and label of each name on the sheet."""
    if not in_blocks:
        return [(line, column, 1, labels[row]) for (line, column), row in np.ndenumerate(rows) if row >= 0]
    classes = np.unique(labels)
    width = rows.shape[1] // len(classes)
    return [(0, place * width, width, label) for place, label in enumerate(classes)]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    resample = Image.Resampling.NEAREST if max(image.shape) <= SIDE else Image.Resampling.LANCZOS
    return np.asarray(ImageOps.fit(Image.fromarray(image), (SIDE, SIDE), resample))


def _draw_histogram(axes: Axes, counts: np.ndarray, names: list[str]) -> None:
    if len(names) <= NAMED_BARS:
        axes.barh(range(len(names)), counts, color=BAR_COLOUR, height=0.75)
        axes.set_yticks(range(len(names)), [_short(name, 2 * LETTERS) for name in names])
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.set_xlabel("training samples")
        return
    axes.stairs(np.sort(counts)[::-1], fill=True, color=BAR_COLOUR)
    axes.set_xlim(0, len(counts))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("classes, the largest first")
    axes.set_ylabel("training samples")


def _short(name: str, letters: int) -> str:
    return (name if len(name) <= letters else name[: letters - 1] + "…").replace("$", r"\$")


def _save(figure: Figure, file: Path) -> None:
    """Write a PNG with a palette of its own, a third of the size, and without dates or versions."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    with atomic_path(file) as temporary, Image.open(buffer) as picture:
        picture.convert("RGB").quantize(256).save(temporary, optimize=True)
