"""Is a noise on disk, or what was materialised of it, still what was made?"""

from collections.abc import Callable
from pathlib import Path

from nml.artifacts import read_json, sha256_file
from nml.corpora.content import sha256_of
from nml.errors import UserError
from nml.noise.overlay import overlay_file


def verify_noise(noise_dir: Path, corpus_dir: Path) -> None:
    """Compare the files of a noise with its manifest, and that with the manifest of the corpus.

    Parameters
    ----------
    noise_dir : `results/noise/<corpus>/<noise>`
    corpus_dir : `results/corpora/<corpus>`

    Raises
    ------
    UserError
        If the noise was made for another index, or a file of it is missing or changed; all are named.
    """
    noise = read_json(noise_dir / "manifest.json")
    if noise["corpus_manifest_sha256"] != sha256_file(corpus_dir / "manifest.json"):
        raise UserError(f"{noise_dir} was made for another index of the corpus. Run the workflow again to renew it.")
    files = {overlay_file(noise_dir, shard): sha256 for shard, sha256 in noise["overlay"].items()}
    _require(noise_dir, files | {noise_dir / "transitions.parquet": noise["transitions_sha256"]}, sha256_file)


def verify_materialised(out_dir: Path) -> None:
    """Compare every materialised shard, or class folder, with the manifest beside them.

    Raises
    ------
    UserError
        Naming all that are missing or changed.
    """
    shards = read_json(out_dir / "manifest.json")["shards"]
    _require(out_dir, {out_dir / name: sha256 for name, sha256 in shards.items()}, sha256_of)


def _require(folder: Path, expected: dict[Path, str], digest: Callable[[Path], str]) -> None:
    wrong = [str(path) for path, sha256 in expected.items() if not path.exists() or digest(path) != sha256]
    if wrong:
        listing = "".join(f"\n  {path}" for path in wrong)
        raise UserError(
            f"{len(wrong)} of {len(expected)} files are missing or changed:{listing}\nDelete {folder} and run again."
        )
