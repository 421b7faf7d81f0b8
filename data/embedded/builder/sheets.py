"""Contact sheets: what the corpus and every task look like, for human eyes."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .images import SIZE
from .samples import Sample, Task, share, unit

MAX_ROWS = 26
COLUMNS = 14
LABEL_WIDTH = 150
CELL = SIZE + 2


def _spread(samples: list[Sample], count: int) -> list[Sample]:
    """Return up to `count` samples in hashed order, different units first."""
    seen: dict[str, int] = {}
    ranked = []
    for sample in sorted(samples, key=lambda s: share(f"sheet/{s.key}")):
        rank = seen.get(unit(sample.key), 0)
        seen[unit(sample.key)] = rank + 1
        ranked.append((rank, len(ranked), sample))
    return [sample for _, _, sample in sorted(ranked, key=lambda row: row[:2])[:count]]


def _rows(classes: list[str]) -> list[int]:
    """Return up to 26 labels, spread evenly over the classes."""
    count = min(MAX_ROWS, len(classes))
    return [i * len(classes) // count for i in range(count)]


def _save(sheet: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return a text in at most `width` pixels; one that is cut ends in an ellipsis."""
    if draw.textlength(text, font) <= width:
        return text
    ends = (f"{text[:end].rstrip()}…" for end in range(len(text), 0, -1))
    return next(cut for cut in ends if draw.textlength(cut, font) <= width)


def task_sheet(classes: list[str], splits: dict[str, list[Sample]], columns: int) -> Image.Image:
    """Return a sheet with a row for each class and a block of columns for each split."""
    rows = _rows(classes)
    width = LABEL_WIDTH + len(splits) * (columns * CELL + 8)
    sheet = Image.new("RGB", (width, 14 + len(rows) * CELL), (214, 220, 228))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for block, (name, samples) in enumerate(splits.items()):
        left = LABEL_WIDTH + block * (columns * CELL + 8)
        draw.text((left, 1), name, fill=(0, 0, 0), font=font)
        for row, label in enumerate(rows):
            text = _fitted(draw, classes[label], font, LABEL_WIDTH - 9)
            draw.text((3, 14 + row * CELL + 10), text, fill=(0, 0, 0), font=font)
            for column, sample in enumerate(_spread([s for s in samples if s.label == label], columns)):
                sheet.paste(sample.image, (left + column * CELL, 14 + row * CELL))
    return sheet


def corpus_sheet(classes: list[str], samples: list[Sample]) -> Image.Image:
    """Return a sheet of captioned corpus samples, three a line."""
    chosen = _spread(samples, 66)
    sheet = Image.new("RGB", (3 * 390, 22 * CELL), (214, 220, 228))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(10)
    for i, sample in enumerate(chosen):
        left, top = i % 3 * 390, i // 3 * CELL
        sheet.paste(sample.image, (left, top))
        draw.text((left + CELL + 2, top + 2), f"[{classes[sample.label]}]", fill=(120, 0, 0), font=font)
        text = _fitted(draw, sample.caption or "", font, 390 - CELL - 8)
        draw.text((left + CELL + 2, top + 16), text, fill=(0, 0, 0), font=font)
    return sheet


def write_sheets(folder: Path, classes: list[str], corpus: dict[str, list[Sample]], tasks: list[Task]) -> None:
    """Write `corpus-emoji.png`, `corpus-emoji-classes.png` and `<task>.png` for every task."""
    _save(corpus_sheet(classes, corpus["train"]), folder / "corpus-emoji.png")
    _save(task_sheet(classes, corpus, COLUMNS // 2), folder / "corpus-emoji-classes.png")
    for task in tasks:
        columns = max(2, COLUMNS * 2 // 3 // max(1, len(task.splits) - 1))
        _save(task_sheet(task.classes, task.splits, columns), folder / f"{task.name}.png")
