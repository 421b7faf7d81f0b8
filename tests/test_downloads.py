"""Downloads from servers on this machine that cut, lie, refuse and cannot resume."""

import hashlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nml import downloads, plugins
from nml.downloads import Remote, download
from nml.errors import UserError
from nml.preemption import EXIT_CODE
from tests.interrupted import exit_code_of
from tests.loopback import Server

CONTENT = bytes(range(256)) * 20_000
"""Five megabytes: more than one chunk, so that a cut leaves something."""
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Server]]:
    monkeypatch.setattr(downloads, "PAUSE", 0)
    servers: list[Server] = []

    def start() -> Server:
        servers.append(Server(CONTENT))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(serve: Callable[[], Server]) -> Server:
    return serve()


def remote(*urls: str, checksum: str | None = SHA256, size: int | None = None) -> Remote:
    return Remote("data.bin", urls, checksum, size)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


@pytest.mark.parametrize("checksum", [SHA256, MD5, None])
def test_a_file_comes_whole_and_alone(server: Server, tmp_path: Path, checksum: str | None) -> None:
    path = download(remote(server.url(), checksum=checksum), tmp_path / "new")
    assert path.read_bytes() == CONTENT
    assert names(tmp_path / "new") == {"data.bin"}


@pytest.mark.parametrize("checksum", [SHA256, None])
def test_a_cut_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path, checksum: str | None) -> None:
    server.cuts = 2
    assert download(remote(server.url(), checksum=checksum), tmp_path).read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert [request.get("range") for request in server.requests] == [
        None,
        f"bytes={half}-",
        f"bytes={half + half // 2}-",
    ]
    assert names(tmp_path) == {"data.bin"}


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.cuts = 100
    with pytest.raises(UserError, match=r"(?s)the connection was cut.*data\.bin\.part; the next try goes on"):
        download(remote(server.url()), tmp_path)
    have = (tmp_path / "data.bin.part").stat().st_size
    server.cuts, server.requests = 0, []
    assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert server.requests[0]["range"] == f"bytes={have}-"


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, 1
    assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_without_a_checksum_a_changed_file_is_not_pieced_together(server: Server, tmp_path: Path) -> None:
    server.cuts = 100
    with pytest.raises(UserError):
        download(remote(server.url(), checksum=None), tmp_path)
    server.cuts, server.content, server.etag = 0, CONTENT[::-1], '"two"'
    assert download(remote(server.url(), checksum=None), tmp_path).read_bytes() == CONTENT[::-1]


def test_pieces_of_different_files_are_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(b"another" * 1000)
    assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_too_long_starts_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT + b"more")
    assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT


def test_the_next_mirror_is_asked_where_the_first_is_dead(serve: Callable[[], Server], tmp_path: Path) -> None:
    gone, dead, good = serve(), serve(), serve()
    gone.status = 404
    dead.close()
    dead.close = lambda: None
    assert download(remote(gone.url(), dead.url(), good.url()), tmp_path).read_bytes() == CONTENT
    assert len(gone.requests) == 1, "a file that is not there is not asked for again"


def test_a_mirror_goes_on_where_the_one_before_stopped(serve: Callable[[], Server], tmp_path: Path) -> None:
    first, second = serve(), serve()
    first.cuts = 100
    assert download(remote(first.url(), second.url()), tmp_path).read_bytes() == CONTENT
    assert "range" in second.requests[0]


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(UserError, match="HTTP 503, 4 times"):
        download(remote(server.url()), tmp_path)
    assert len(server.requests) == downloads.TRIES


def test_a_wrong_file_from_every_mirror_is_kept_and_named(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(UserError, match=r"has the sha256 \w+, where \w+ is expected; it is kept as .*part\.bad"):
        download(remote(server.url()), tmp_path)
    assert (tmp_path / "data.bin.part.bad").read_bytes() == server.content
    assert not (tmp_path / "data.bin").exists()


def test_a_wrong_size_is_refused_where_there_is_no_checksum(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has 5,120,000 bytes, where 7 are expected"):
        download(remote(server.url(), checksum=None, size=7), tmp_path)


def test_what_the_user_has_is_used_without_asking_anybody(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    before = (tmp_path / "data.bin").stat()
    assert download(remote(server.url()), tmp_path) == tmp_path / "data.bin"
    assert (tmp_path / "data.bin").stat().st_mtime_ns == before.st_mtime_ns
    assert not server.requests


def test_what_the_user_has_is_never_deleted(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data.bin.bad").write_bytes(b"first")
    (tmp_path / "data.bin").write_bytes(b"second")
    with caplog.at_level(logging.WARNING, "nml"):
        assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT
    assert (tmp_path / "data.bin.bad").read_bytes() == b"first"
    assert (tmp_path / "data.bin.bad-2").read_bytes() == b"second"
    assert "data.bin.bad-2, because it has the sha256" in caplog.text


def test_a_full_disk_is_found_before_the_transfer(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"data\.bin needs 5\.1 MB on the disk of .*, which has 1\.0 kB left"):
        download(remote(server.url()), tmp_path)
    assert names(tmp_path) == set()


def test_a_packed_file_stays_packed(server: Server, tmp_path: Path) -> None:
    server.encoding = "x-gzip"
    assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(downloads, "TOKENS", {"127.0.0.1": "HUB_TOKEN"})
    monkeypatch.setenv("HUB_TOKEN", "secret-word")
    return "secret-word"


def test_a_token_goes_to_its_own_host_alone(
    serve: Callable[[], Server], token: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub, store = serve(), serve()
    hub.redirect = f"http://localhost:{store.port}/data.bin?signature=hidden"
    store.cuts = 100
    with caplog.at_level(logging.DEBUG, "nml"), pytest.raises(UserError) as refusal:
        download(remote(hub.url()), tmp_path)
    assert hub.requests[0]["authorization"] == f"Bearer {token}"
    assert all("authorization" not in request for request in store.requests)
    for text in (caplog.text, str(refusal.value)):
        assert token not in text and "hidden" not in text


@pytest.mark.parametrize(("value", "words"), [("secret-word", "is set, but was not accepted"), ("", "is not set")])
def test_a_gate_says_which_token_it_wants(
    server: Server, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv("HUB_TOKEN", value)
    server.status = 401
    with pytest.raises(UserError, match=f"HTTP 401 .*environment variable HUB_TOKEN {words}"):
        download(remote(server.url()), tmp_path)


def test_what_has_no_checksum_is_not_fetched_unencrypted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.invalid/data\.bin: its address is not encrypted"):
        download(remote("http://data.invalid/data.bin", checksum=None, size=5), tmp_path)


def test_what_has_no_checksum_is_not_sent_on_to_where_it_is_unencrypted(server: Server, tmp_path: Path) -> None:
    server.redirect = "http://data.invalid/data.bin"
    with pytest.raises(UserError, match="its address is not encrypted"):
        download(remote(server.url(), checksum=None), tmp_path)


def test_an_unencrypted_address_will_do_where_there_is_a_checksum(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_is_loopback", lambda host: False)
    assert download(remote(server.url()), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("checksum", [SHA256, None])
def test_it_is_said_when_nothing_tells_whether_a_file_is_the_right_one(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, checksum: str | None
) -> None:
    download(remote(server.url(), checksum=checksum), tmp_path)
    assert ("there is no checksum to compare it with" in caplog.text) == (checksum is None)


@pytest.mark.parametrize(("checksum", "size"), [(SHA256, None), (None, len(CONTENT)), (None, None)])
def test_it_is_said_when_nothing_tells_whether_the_users_file_is_the_right_one(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, checksum: str | None, size: int | None
) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    download(remote(server.url(), checksum=checksum, size=size), tmp_path)
    assert ("data.bin is used; there is no checksum to compare it with" in caplog.text) == (checksum is None)
    assert ("its size is right" in caplog.text) == (size is not None)


@pytest.mark.parametrize(("checksum", "promised"), [(SHA256, "it is checked, used"), (None, "it is used")])
def test_no_check_is_promised_where_there_is_none(
    server: Server, tmp_path: Path, checksum: str | None, promised: str
) -> None:
    server.status = 404
    with pytest.raises(UserError, match=f"run again: {promised}, and never deleted"):
        download(remote(server.url(), checksum=checksum), tmp_path)


def test_a_token_is_not_sent_unencrypted(
    server: Server, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_is_loopback", lambda host: False)
    download(remote(server.url()), tmp_path)
    assert all("authorization" not in request for request in server.requests)


def test_secrets_in_an_address_are_not_shown(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server.status = 503
    url = server.url("data.bin?signature=hidden#hidden").replace("127", "user:hidden@127", 1)
    with pytest.raises(UserError) as refusal:
        download(remote(url), tmp_path)
    assert "127.0.0.1" in str(refusal.value) and "127.0.0.1" in caplog.text
    assert "hidden" not in str(refusal.value) + caplog.text


def test_every_download_of_the_catalogue_is_encrypted_or_has_a_checksum() -> None:
    for name, entry in plugins.tasks().items():
        for wanted in getattr(entry, "downloads", []):
            assert wanted.sha256 or wanted.md5 or all(url.startswith("https://") for url in wanted.urls), name


def test_two_processes_fetch_a_file_once(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=download, args=(remote(server.url()), tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.requests) == 1


def fetch_until(moment: Callable[[], None], url: str, folder: Path) -> None:
    """Download a file; the moment comes when some of it is there."""
    chunks = downloads.Progress.advance

    def advance(*arguments: object) -> None:
        chunks(*arguments)
        moment()

    downloads.Progress.advance = advance
    download(Remote("data.bin", (url,)), folder)


def test_a_download_that_is_asked_to_stop_keeps_what_has_come(tmp_path: Path) -> None:
    server = Server(CONTENT)
    try:
        assert exit_code_of(fetch_until, server.url(), tmp_path) == EXIT_CODE
        assert CONTENT.startswith((tmp_path / "data.bin.part").read_bytes())
        assert (tmp_path / "data.bin.part").stat().st_size >= 1 << 20
        download(Remote("data.bin", (server.url(),)), tmp_path)
    finally:
        server.close()
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert "range" in server.requests[-1], "the rest alone was asked for"
