"""Reading the overlay that a noise lays over a corpus' shards."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nml.artifacts import read_json, sha256_file
from nml.errors import UserError


def read_overlay(noise_dir: Path, shard: str) -> dict[str, dict[str, Any]]:
    """Return the changed members of a shard's samples by key, such as `{"1f98a_noto": {"label": 3}}`.

    Raises
    ------
    UserError
        If the overlay file is missing or is not the one that the manifest names.
    """
    path = noise_dir / "overlay" / f"{shard}.parquet"
    expected = read_json(noise_dir / "manifest.json")["overlay"].get(shard)
    if not path.is_file() or sha256_file(path) != expected:
        raise UserError(
            f"the noise overlay {path} is missing or does not match {noise_dir / 'manifest.json'}. "
            f"Delete {noise_dir} and run again."
        )
    rows = pq.ParquetFile(path).read().to_pylist()
    return {row.pop("key"): row for row in rows}
