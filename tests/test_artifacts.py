"""Files are whole or absent, and equal content gives equal bytes."""

import errno
import hashlib
import os
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nml.artifacts import atomic_path, locked, read_json, sha256_file, write_json, write_parquet, write_text


def fail_half_way(path: Path) -> None:
    with pytest.raises(RuntimeError, match="half way"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half way")


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    fail_half_way(tmp_path / "out" / "file.txt")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "file.txt", "old")
    fail_half_way(tmp_path / "file.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "old"


def test_a_value_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", {"a": object()})
    assert read_json(tmp_path / "file.json") == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_the_file_appears_at_the_end_and_only_there(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep" / "er" / "file.parquet") as temporary:
        temporary.write_text("x")
        assert temporary.suffix == ".parquet"
        assert temporary.name.startswith(".")
        assert not (tmp_path / "deep" / "er" / "file.parquet").exists()
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["file.parquet"]


def test_equal_columns_give_equal_bytes(tmp_path: Path) -> None:
    columns = {"name": ["a", "b", None], "value": [0.1, 2.0, float("nan")], "count": [1, 2, 3]}
    for name in ("first", "second"):
        write_parquet(tmp_path / f"{name}.parquet", columns)
    assert (tmp_path / "first.parquet").read_bytes() == (tmp_path / "second.parquet").read_bytes()
    assert pq.read_table(tmp_path / "first.parquet")["name"].to_pylist() == ["a", "b", None]


def test_json_keeps_the_order_and_the_letters(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"b": "Bär", "a": [1]})
    assert (tmp_path / "file.json").read_text(encoding="utf-8") == '{\n  "b": "Bär",\n  "a": [\n    1\n  ]\n}\n'


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"bytes")
    assert sha256_file(tmp_path / "file") == hashlib.sha256(b"bytes").hexdigest()


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    events: list[str] = []

    def work() -> None:
        with locked(tmp_path / "deep/file"):
            events.append("in")
            time.sleep(0.01)
            events.append("out")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events == ["in", "out"] * 4
    assert list((tmp_path / "deep").iterdir()) == [], "no lock file is left"


@pytest.mark.parametrize(("number", "fails"), [(errno.ESTALE, False), (errno.EIO, True)])
def test_a_lock_file_that_another_machine_removed_is_not_held(
    number: int, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, errors = os.fstat, [OSError(number, os.strerror(number))]

    def fstat(descriptor: int) -> os.stat_result:
        if errors:
            raise errors.pop()
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(OSError) if fails else nullcontext(), locked(tmp_path / "file"):
        assert not errors


def test_a_lock_file_that_a_killed_process_left_is_no_obstacle_and_goes(tmp_path: Path) -> None:
    (tmp_path / ".file.lock").touch()
    with locked(tmp_path / "file"):
        assert [path.name for path in tmp_path.iterdir()] == [".file.lock"]
    assert list(tmp_path.iterdir()) == []
