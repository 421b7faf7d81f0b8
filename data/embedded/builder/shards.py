"""Write gzip-compressed WebDataset tars whose bytes depend on the samples alone, and what describes them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections import Counter
from pathlib import Path

from .images import encode
from .samples import Sample, Task, share, unit

CORPUS_SHARDS = 12


def tar_gz(samples: list[Sample]) -> bytes:
    """Return a `.tar.gz` with `<key>.webp`, `<key>.cls` and, where there is a caption, `<key>.txt`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for sample in samples:
            members = {"cls": str(sample.label).encode(), "webp": encode(sample.image)}
            if sample.caption is not None:
                members["txt"] = sample.caption.encode("utf-8")
            for suffix, data in sorted(members.items()):
                info = tarfile.TarInfo(f"{sample.key}.{suffix}")
                info.size = len(data)
                info.mode = 0o644
                tar.addfile(info, io.BytesIO(data))
    compressed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=compressed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(buffer.getvalue())
    return compressed.getvalue()


def _write_shard(root: Path, name: str, samples: list[Sample]) -> dict[str, object]:
    """Write one shard and return its entry for `info.json`.

    Raises
    ------
    ValueError
        A key is given twice, or has a dot.
    """
    keys = [sample.key for sample in samples]
    twice = sorted(key for key, count in Counter(keys).items() if count > 1)
    if twice:
        raise ValueError(f"{root.name}/{name}: key {twice[0]!r} is given {keys.count(twice[0])} times; keys are unique")
    dotted = [key for key in keys if "." in key]
    if dotted:
        raise ValueError(f"{root.name}/{name}: key {dotted[0]!r} has a dot, at which WebDataset would cut it")
    data = tar_gz(samples)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"file": name, "samples": len(samples), "sha256": hashlib.sha256(data).hexdigest()}


def _write_description(root: Path, classes: list[str], info: dict[str, object]) -> None:
    (root / "classnames.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    (root / "info.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _split_entry(samples: list[Sample], shards: list[dict[str, object]]) -> dict[str, object]:
    """Return a split's entry for `info.json`; `units` counts what is independent: distinct key prefixes."""
    return {"samples": len(samples), "units": len({unit(sample.key) for sample in samples}), "shards": shards}


def write_task(root: Path, task: Task) -> None:
    """Write one task as `<split>/0.tar.gz` with `<split>/nshards.txt`, `classnames.txt` and `info.json`."""
    splits = {}
    for name, samples in task.splits.items():
        ordered = sorted(samples, key=lambda sample: sample.key)
        splits[name] = _split_entry(ordered, [_write_shard(root, f"{name}/0.tar.gz", ordered)])
        (root / name / "nshards.txt").write_text("1\n")
    info = {
        "name": task.name,
        "group": task.group,
        "classes": len(task.classes),
        "image_size": 32,
        "stands_in_for": task.stands_in_for,
        "sources": task.sources,
        "licence": task.licence,
        "split_unit": task.split_unit,
        "notes": task.notes,
        "splits": splits,
    }
    _write_description(root, task.classes, info)


def write_corpus(root: Path, name: str, classes: list[str], splits: dict[str, list[Sample]], about: dict) -> None:
    """Write `<name>-train-NN.tar.gz` (samples spread over shards by hash) and `<name>-val-00.tar.gz`."""
    written = {}
    for split, samples in splits.items():
        shards = CORPUS_SHARDS if split == "train" else 1
        ordered = sorted(samples, key=lambda sample: (share(f"shard/{sample.key}"), sample.key))
        parts = [sorted(ordered[i::shards], key=lambda sample: sample.key) for i in range(shards)]
        entries = [_write_shard(root, f"{name}-{split}-{i:02d}.tar.gz", part) for i, part in enumerate(parts)]
        written[split] = _split_entry(samples, entries)
    info = {"name": name, "classes": len(classes), "image_size": 32, **about, "splits": written}
    _write_description(root, classes, info)
