"""A run fetches the data of a real task by itself, once, from a server on this machine."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator

import pytest
import yaml
from PIL import Image

from tests.loopback import Server
from tests.workflow.conftest import Project

pytestmark = pytest.mark.workflow
ENCODER = "emoji/resnet-smoke/untrained/s0"
SIZES = {"train": 40, "test": 8}


def archive() -> bytes:
    """Pack images of two classes, a dark and a light one, with a list for each split."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for split, count in SIZES.items():
            names = [f"{'ab'[number % 2]}/{split}{number:02d}.png" for number in range(count)]
            files = {f"images/{name}": image(60 + 100 * (place % 2) + place) for place, name in enumerate(names)}
            for name, content in (files | {f"{split}.txt": "\n".join(names).encode()}).items():
                info = tarfile.TarInfo(f"shapes/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def image(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 30), grey).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(archive())
    yield running
    running.close()


@pytest.fixture
def shapes(small_project: Project, server: Server) -> Project:
    """The project with one more entry in its catalogue."""
    parts = {split: {"samples": count, "options": {"listing": f"shapes/{split}.txt"}} for split, count in SIZES.items()}
    layout = {"reader": "listed", "variant": "papers", "needs": ["shapes/images"], "train": parts["train"]}
    layout |= {"options": {"image": "shapes/images/{}", "label": "folder"}, "tests": {"test": parts["test"]}}
    entry = {"title": "Shapes", "classes": 2, "class_names": "shapes.txt", "metric": "accuracy", "licence": "CC0"}
    entry |= {"size": "9 kB", "tests": {"test": "id"}, "layouts": {"lists": layout}}
    sha256 = hashlib.sha256(server.content).hexdigest()
    entry |= {"downloads": [{"urls": [server.url("shapes.tar.gz")], "sha256": sha256}]}
    (small_project.path / "shapes.txt").write_text("a\nb\n")
    with (small_project.path / "nml/tasks/catalogue.yaml").open("a") as file:
        file.write(yaml.safe_dump({"shapes": entry}))
    return small_project


def test_what_a_cell_needs_is_fetched_once(shapes: Project, server: Server) -> None:
    targets = [f"results/cells/{ENCODER}/{task}/lp.parquet" for task in ("shapes", "shapes+symmetric-20")]
    assert shapes.jobs(*targets)["fetch_task"] == 1
    server.cuts = 1
    shapes.snakemake("--", *targets, "results/tasks/shapes/ready.json")
    assert len(server.requests) == 2, "one that is cut, and one that goes on"
    ready = json.loads((shapes.path / "results/tasks/shapes/ready.json").read_text())
    assert ready == {"task": "shapes", "folder": "data/tasks/shapes", "variant": "papers", "licence": "CC0"}
    noisy = json.loads((shapes.path / targets[1].replace(".parquet", ".meta.json")).read_text())
    assert noisy["label_noise"]["train"]["realised_percent"] == pytest.approx(20, abs=3)
    assert shapes.jobs(*targets) == {}
