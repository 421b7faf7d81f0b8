"""Data sets are fetched from their downloads, and a user's own files are used and kept."""

import hashlib
import io
import logging
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nml import downloads, plugins
from nml.errors import UserError
from nml.task_entries import TaskEntry
from nml.tasks.fetch import fetch_task
from nml.tasks.places import missing_files
from tests.loopback import Server

PLACE = Path("data/tasks/toy")


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return buffer.getvalue()


IMAGES, LABELS = archive("images/a.png", "images/b.png"), b"labels"


def entry(**changes: Any) -> TaskEntry:
    layout = {"reader": "folders", "variant": "papers", "needs": ["toy/images", "toy/labels.mat"]}
    layout |= {"train": {"samples": 2}, "tests": {"test": {"samples": 2}}}
    values = {"title": "Toy", "place": "toy", "classes": 2, "class_names": "x.txt", "metric": "accuracy"}
    values |= {"licence": "CC0", "size": "9 kB", "tests": {"test": "id"}, "layouts": {"usual": layout}}
    return TaskEntry.model_validate(values | changes)


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    """The task `toy` with two downloads, in an empty project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, "PAUSE", 0)
    images, labels = Server(IMAGES), Server(LABELS)
    known = {"md5": hashlib.md5(LABELS).hexdigest(), "bytes": len(LABELS)}
    wanted = [
        {"urls": [images.url("images.tar.gz")], "into": "toy", "sha256": hashlib.sha256(IMAGES).hexdigest()},
        {"urls": [labels.url("labels.mat")], "into": "toy", **known},
    ]
    monkeypatch.setattr(plugins, "tasks", lambda: {"toy": entry(downloads=wanted)})
    yield images, labels
    images.close()
    labels.close()


def test_what_an_entry_lists_is_fetched_and_unpacked(servers: tuple[Server, Server]) -> None:
    found = fetch_task("toy")
    assert found == {"task": "toy", "folder": str(PLACE), "variant": "papers", "licence": "CC0"}
    assert (PLACE / "toy/images/a.png").read_text() == "images/a.png"
    assert (PLACE / "toy/labels.mat").read_bytes() == LABELS
    assert (PLACE / "images.tar.gz").read_bytes() == IMAGES, "the archive is kept"
    assert not missing_files("toy")


def test_what_is_here_is_left_alone(servers: tuple[Server, Server]) -> None:
    (PLACE / "toy/images").mkdir(parents=True)
    (PLACE / "toy/labels.mat").write_bytes(b"the user's own")
    fetch_task("toy")
    assert not servers[0].requests and not servers[1].requests
    assert sorted(path.name for path in PLACE.rglob("*")) == ["images", "labels.mat", "toy"]


@pytest.mark.parametrize("folder", [PLACE, PLACE / "toy"])
def test_an_archive_that_the_user_has_is_used_and_kept(servers: tuple[Server, Server], folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "images.tar.gz").write_bytes(IMAGES)
    fetch_task("toy")
    assert not servers[0].requests and len(servers[1].requests) == 1
    assert (folder / "images.tar.gz").read_bytes() == IMAGES


def test_a_wrong_archive_of_the_user_is_kept_aside(
    servers: tuple[Server, Server], caplog: pytest.LogCaptureFixture
) -> None:
    PLACE.mkdir(parents=True)
    (PLACE / "images.tar.gz").write_bytes(b"half of it")
    with caplog.at_level(logging.WARNING, "nml"):
        fetch_task("toy")
    assert (PLACE / "images.tar.gz.bad").read_bytes() == b"half of it"
    assert "images.tar.gz is kept as" in caplog.text
    assert not missing_files("toy")


def test_a_place_that_lacks_nothing_is_left_alone(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = plugins.tasks()["toy"].model_dump()
    values["layouts"]["usual"]["needs"], values["downloads"][1]["place"] = ["toy/images"], "variant"
    values["layouts"]["usual"]["tests"]["test"] |= {"place": "variant", "needs": ["toy/labels.mat"]}
    monkeypatch.setattr(plugins, "tasks", lambda: {"toy": TaskEntry.model_validate(values)})
    variant = PLACE.with_name("variant")
    (variant / "toy").mkdir(parents=True)
    (variant / "toy/labels.mat").write_bytes(b"the user's own")
    fetch_task("toy")
    assert servers[0].requests and not servers[1].requests
    assert sorted(path.name for path in variant.rglob("*")) == ["labels.mat", "toy"]


def test_where_a_download_fails_the_other_layouts_are_named(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = plugins.tasks()["toy"].model_dump()
    values["layouts"]["shards"] = values["layouts"]["usual"] | {"needs": ["shards"], "access": "Ask for the shards."}
    monkeypatch.setattr(plugins, "tasks", lambda: {"toy": TaskEntry.model_validate(values)})
    servers[0].status = 404
    with pytest.raises(UserError, match=r"(?s)could not be fetched.*\n  or, as shards: Ask for the shards\."):
        fetch_task("toy")


def test_only_what_is_not_fetched_yet_is_fetched(servers: tuple[Server, Server]) -> None:
    images, labels = servers
    labels.status = 404
    with pytest.raises(UserError, match=r"(?s)task 'toy' \(Toy\): labels\.mat .*could not be fetched.*HTTP 404"):
        fetch_task("toy")
    labels.status = 200
    fetch_task("toy")
    assert len(images.requests) == 1


def test_what_the_user_deleted_is_fetched_again(servers: tuple[Server, Server]) -> None:
    fetch_task("toy")
    shutil.rmtree(PLACE / "toy")
    (PLACE / "images.tar.gz").unlink()
    fetch_task("toy")
    assert not missing_files("toy")
    assert [len(server.requests) for server in servers] == [2, 2]


def test_a_download_that_lacks_what_it_should_hold_is_named(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = plugins.tasks()["toy"].model_dump()
    other["layouts"]["usual"]["needs"], other["access"] = ["toy/images", "toy/pictures"], "Ask the keeper."
    monkeypatch.setattr(plugins, "tasks", lambda: {"toy": TaskEntry.model_validate(other)})
    with pytest.raises(UserError, match=r"(?s)toy/pictures is still missing.*something else.*By hand: Ask the keeper"):
        fetch_task("toy")


def test_caltech101_is_unpacked_to_where_torchvision_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = plugins.tasks()["caltech101"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("caltech-101/", b"")
        packed.writestr("caltech-101/101_ObjectCategories.tar.gz", archive("101_ObjectCategories/ant/image_0001.jpg"))
        packed.writestr("__MACOSX/caltech-101/._101_ObjectCategories.tar.gz", b"of macOS")
        packed.writestr("caltech-101/show_annotation.m", b"")
    (tmp_path / "caltech-101.zip").write_bytes(buffer.getvalue())
    checked = {"sha256": hashlib.sha256(buffer.getvalue()).hexdigest(), "bytes": len(buffer.getvalue())}
    downloads = [entry.downloads[0].model_copy(update=checked)]
    known = {"caltech101": entry.model_copy(update={"downloads": downloads})}
    monkeypatch.setattr(plugins, "tasks", lambda: known)
    place = Path("data/tasks/caltech101")
    place.mkdir(parents=True)
    shutil.copy(tmp_path / "caltech-101.zip", place)
    fetch_task("caltech101")
    assert (place / "caltech101/101_ObjectCategories/ant/image_0001.jpg").is_file()
    assert not missing_files("caltech101")


def test_a_data_set_with_a_gate_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "tasks", lambda: {"toy": entry(access="Ask the keeper of the toys.")})
    with pytest.raises(
        UserError, match=r"(?s)task 'toy' \(Toy\) is not on disk.*to get it: Ask the keeper of the toys"
    ):
        fetch_task("toy")
    assert not (tmp_path / "data").exists()


def test_what_is_by_hand_is_asked_for_before_the_rest_is_fetched(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = plugins.tasks()["toy"].model_dump() | {"access": "Ask the keeper."}
    values["layouts"]["usual"]["tests"]["test"] |= {"place": "gated", "needs": ["vault"]}
    monkeypatch.setattr(plugins, "tasks", lambda: {"toy": TaskEntry.model_validate(values)})
    with pytest.raises(UserError, match=r"to get it: Ask the keeper\.\n  then, for the rest: nml data fetch toy"):
        fetch_task("toy")
    assert not servers[0].requests
    Path("data/tasks/gated/vault").mkdir(parents=True)
    fetch_task("toy")
    assert not missing_files("toy")


def test_a_disk_without_room_is_found_before_anything_is_fetched(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3))
    with pytest.raises(
        UserError, match=r"task 'toy' needs 6 bytes on the disk of data/tasks/toy, which has 3 bytes left"
    ):
        fetch_task("toy")
    assert not servers[0].requests


def test_a_place_that_cannot_be_written_to_is_named(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13), str(PLACE))

    monkeypatch.setattr("nml.tasks.fetch.download", refuse)
    with pytest.raises(UserError, match=r"data/tasks/toy cannot be written to\. Complete the data set there"):
        fetch_task("toy")
