"""Reading the overlay that a noise lays over a corpus' shards."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nml.artifacts import sha256_file
from nml.errors import UserError

Changes = dict[str, dict[str, Any]]
"""What changes in samples, and where they start in the shard, by key: `{"1f98a_noto": {"offset": 512, "label": 3}}`."""


def read_overlay(noise_dir: Path, shard: str, sha256: str) -> Changes:
    """Return what the noise changes in a shard.

    Parameters
    ----------
    noise_dir : `results/noise/<corpus>/<noise>`
    shard : its name
    sha256 : that of the shard's overlay, from the `manifest.json` there

    Raises
    ------
    UserError
        If the overlay file is missing or is not the one that the manifest names.
    """
    path = overlay_file(noise_dir, shard)
    if not path.is_file() or sha256_file(path) != sha256:
        raise UserError(
            f"the noise overlay {path} is missing or does not match {noise_dir / 'manifest.json'}. "
            f"Delete {noise_dir} and run again."
        )
    rows = pq.ParquetFile(path).read().to_pylist()
    return {row.pop("key"): row for row in rows}


def overlay_file(noise_dir: Path, shard: str) -> Path:
    """Return where the overlay of a shard is."""
    return noise_dir / "overlay" / f"{shard}.parquet"
